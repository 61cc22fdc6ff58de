"""Image features from files into a store, against a DataLoader loop over timm.

Run as ``python benchmarks/images.py [--quick] [--model MODEL]``. JPEGs of 500 to 1,000 px on
the longer side, drawn here; resnet50 with random weights and EfficientNet-Lite0.

The peer is what timm's own documentation does: the model's eval transform in a DataLoader of
two worker processes, batches of 32, float32, inference mode; its features are written to
Parquet at the end. ``efficiency`` compares with the sum of the best stage costs, measured in the
same rounds on preloaded input: CPU seconds of preparing and of the forward pass, over the
number of cores.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _common import arguments, interleave, report
from _loading import load_extractor
from ducho_torch import ensure_torchvision
from PIL import Image

from ducho_core import Media
from ducho_core.extraction.session import extract

ensure_torchvision()

import timm  # noqa: E402

if TYPE_CHECKING:
    import argparse

EXACT_GOAL = 1.0
FAST_GOAL = 2.5
EFFICIENCY_GOAL = 0.90
CORES = os.cpu_count() or 1
MODELS: dict[str, dict[str, Any]] = {
    "resnet50": {
        "plugin": "timm/image",
        "options": {"model": "resnet50", "pretrained": False},
        "architecture": "resnet50",
    },
    "efficientnet-lite0": {
        "plugin": "starter/image",
        "options": {},
        "architecture": "tf_efficientnet_lite0",
    },
}


def write_photos(folder: Path, count: int) -> None:
    """JPEGs with the structure and noise of photos, 500 to 1,000 px on the longer side."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    for at in range(count):
        long = int(chance.integers(500, 1001))
        width, height = (long, int(long * 0.75)) if at % 2 else (int(long * 0.75), long)
        coarse = chance.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        noise = chance.integers(-12, 13, (height, width, 1), dtype=np.int16)
        pixels = np.clip(np.asarray(smooth).astype(np.int16) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{at:05d}.jpg", quality=88)


class Photos(torch.utils.data.Dataset[torch.Tensor]):
    """The peer's dataset."""

    def __init__(self, folder: Path, transform: Any) -> None:
        self._paths = sorted(folder.iterdir())
        self._transform = transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, at: int) -> torch.Tensor:
        with Image.open(self._paths[at]) as image:
            transformed: torch.Tensor = self._transform(image.convert("RGB"))
        return transformed


def peer(folder: Path, architecture: str) -> None:
    """Files to features to Parquet with timm and a DataLoader."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, pretrained=False, num_classes=0).eval()
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    loader = torch.utils.data.DataLoader(
        Photos(folder, transform), batch_size=32, num_workers=CORES
    )
    with torch.inference_mode():
        features = torch.cat([model(batch) for batch in loader]).numpy()
    keys = pa.array([path.stem for path in sorted(folder.iterdir())])
    flat = pa.array(features.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, features.shape[1])
    with tempfile.TemporaryDirectory() as out:
        pq.write_table(pa.table({"item_id": keys, "features": column}), Path(out) / "f.parquet")


def ours(folder: Path, model: str, precision: str) -> None:
    """Files to features to a store with Ducho."""
    settings = MODELS[model]
    with tempfile.TemporaryDirectory() as store:
        (done,) = extract(
            folder,
            settings["plugin"],
            store=store,
            options=settings["options"],
            precision=precision,
        )
        assert done.stored == sum(1 for _ in folder.iterdir())


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Stages:
    """The stages alone: what they cost at best, on preloaded input."""

    def __init__(self, folder: Path, model: str, precision: str) -> None:
        settings = MODELS[model]
        self._extractor = load_extractor(
            settings["plugin"], settings["options"], precision=precision
        )
        paths = sorted(folder.iterdir())[:128]
        self._files = [path.read_bytes() for path in paths]
        self._items = sum(1 for _ in folder.iterdir())
        self._samples = [self._extractor.prepare({"image": Media(one)}) for one in self._files]

    def ideal_seconds(self) -> float:
        """Wall time of all items if every core did nothing but prepare and forward."""
        began = cpu()
        for one in self._files:
            self._extractor.prepare({"image": Media(one)})
        prepare = (cpu() - began) / len(self._files)
        began = time.perf_counter()
        for start in range(0, len(self._samples), 32):
            self._extractor.extract(self._samples[start : start + 32])
        forward = (time.perf_counter() - began) * torch.get_num_threads() / len(self._samples)
        return self._items * (prepare + forward) / CORES


def main() -> None:
    """Measure and print."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model", choices=list(MODELS), help="only this model")
        parser.add_argument("--images", type=int, help="default 1000; quick 150")

    args = arguments("image features from files, against a DataLoader loop over timm", add)
    count = args.images or (150 if args.quick else 1000)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        write_photos(folder, count)
        for model in [args.model] if args.model else list(MODELS):
            stages = {word: Stages(folder, model, word) for word in ("exact", "fast")}
            rounds = interleave(
                {
                    "exact": lambda model=model: ours(folder, model, "exact"),
                    "fast": lambda model=model: ours(folder, model, "fast"),
                    "peer": lambda model=model: peer(folder, MODELS[model]["architecture"]),
                    "ideal exact": stages["exact"].ideal_seconds,
                    "ideal fast": stages["fast"].ideal_seconds,
                },
                rounds=args.rounds,
                title=model,
            )
            rows += [
                rounds.row(f"{model}, {word}, times the peer", word, "peer", goal=goal)
                for word, goal in (("exact", EXACT_GOAL), ("fast", FAST_GOAL))
            ]
            rows += [
                rounds.row(
                    f"{model}, {word}, efficiency", word, f"ideal {word}", goal=EFFICIENCY_GOAL
                )
                for word in ("exact", "fast")
            ]
    report("images", rows, args)


if __name__ == "__main__":
    main()
