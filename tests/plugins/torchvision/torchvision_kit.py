"""Extractors made as the core makes them, and torchvision called directly."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ducho_torch import ensure_torchvision
from ducho_torchvision import TorchvisionExtractor, TorchvisionOptions, TorchvisionRunOptions

from ducho_core import Media, ResolveContext, Resolved

ensure_torchvision()

from torchvision import models  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def resolve(precision: Any = "exact", weights_file: Any = None, **options: Any) -> Resolved:
    """``resolve`` as the core calls it, over a pickle as a worker gets it."""
    run_options = TorchvisionRunOptions(
        device="cpu", weights_file=None if weights_file is None else str(weights_file)
    )
    context = ResolveContext(precision=precision, run_options=run_options, inputs=())
    resolved = TorchvisionExtractor.resolve(TorchvisionOptions(**options), context)
    return pickle.loads(pickle.dumps(resolved))


def make(precision: Any = "exact", weights_file: Any = None, **options: Any) -> Any:
    """An extractor; random weights where no file is given."""
    options.setdefault("pretrained", weights_file is not None)
    resolved = resolve(precision, weights_file, **options)
    return TorchvisionExtractor.load(resolved, TorchvisionRunOptions(device="cpu"))


def features(
    extractor: Any, pictures: Sequence[Media], batch: int | None = None
) -> dict[str, np.ndarray]:
    samples = [extractor.prepare({"image": Media(one.bytes)}) for one in pictures]
    step = batch or len(samples)
    parts = [extractor.extract(samples[at : at + step]) for at in range(0, len(samples), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_model(name: str, seed: int = 0, **arguments: Any) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.get_model(name, weights=None, **arguments).eval()


def nodes(
    model: torch.nn.Module,
    names: Sequence[str],
    pictures: Sequence[Media],
    transform: Callable[[Any], torch.Tensor],
    batch: int | None = None,
    *,
    together: bool = False,
) -> dict[str, torch.Tensor]:
    """What torchvision's own feature extraction gives, one node at a time or in one pass."""
    values = torch.stack([transform(Media(one.bytes).image()) for one in pictures])
    found: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for wanted in [names] if together else [[name] for name in names]:
            network = create_feature_extractor(model, list(wanted), suppress_diff_warning=True)
            parts = [network.eval()(part) for part in values.split(batch or len(values))]
            found |= {name: torch.cat([part[name] for part in parts]) for name in wanted}
    return found


def distances(one: np.ndarray, other: Any) -> np.ndarray:
    other = np.asarray(other)
    assert one.shape == other.shape
    return np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)
