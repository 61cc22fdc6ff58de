"""Pictures drawn here, extractors made as the core makes them, and timm called directly."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ducho_timm import ImageOptions, TimmExtractor, TimmRunOptions
from ducho_torch import ensure_torchvision
from PIL import Image, ImageDraw

from ducho_core import Media, ResolveContext

ensure_torchvision()

import timm  # noqa: E402
from timm.data import create_transform, resolve_model_data_config  # noqa: E402

SIZES = ((320, 240), (200, 301), (160, 160), (97, 640), (500, 400), (31, 40))


def draw(width: int, height: int, seed: int) -> Image.Image:
    """A picture with a gradient, shapes and some noise."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * random.random(3)
    noise = random.integers(0, 40, (height, width, 3))
    picture = Image.fromarray((ramp * 0.8 + noise).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        left, top = random.integers(0, width), random.integers(0, height)
        box = (left, top, left + width // 3, top + height // 3)
        pen.ellipse(box, fill=tuple(int(value) for value in random.integers(0, 256, 3)))
    return picture


def encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=90)
    return buffer.getvalue()


def make(
    options: ImageOptions,
    *,
    precision: Any = "exact",
    kind: type[TimmExtractor] = TimmExtractor,
    **run_options: Any,
) -> TimmExtractor:
    """resolve, over a pickle, load: as a worker gets it."""
    context = ResolveContext(
        precision=precision, run_options=TimmRunOptions(**run_options), inputs=()
    )
    resolved = pickle.loads(pickle.dumps(kind.resolve(options, context)))
    return kind.load(resolved, context.run_options)


def features(
    extractor: TimmExtractor, files: Sequence[bytes], batch: int | None = None
) -> dict[str, np.ndarray]:
    samples = [extractor.prepare({"image": Media(content)}) for content in files]
    step = batch or len(samples)
    parts = [
        extractor.extract(samples[start : start + step]) for start in range(0, len(samples), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_model(name: str, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(name, pretrained=False).eval()


def direct(
    model: torch.nn.Module,
    files: Sequence[bytes],
    call: Callable[[Any, torch.Tensor], torch.Tensor],
    batch: int | None = None,
    size: int | None = None,
) -> np.ndarray:
    """What timm gives when it is called by its own documentation."""
    config = resolve_model_data_config(model)
    if size is not None:
        config["input_size"] = (3, size, size)
    transform = create_transform(**config, is_training=False)
    pictures = [Image.open(io.BytesIO(content)).convert("RGB") for content in files]
    values = torch.stack([transform(picture) for picture in pictures])
    with torch.inference_mode():
        return torch.cat(
            [call(model, part) for part in values.split(batch or len(values))]
        ).numpy()


def pooled(model: Any, values: torch.Tensor) -> torch.Tensor:
    return model.forward_head(model.forward_features(values), pre_logits=True)


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)
