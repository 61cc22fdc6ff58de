"""Extractors made as the core makes them, and Keras called directly."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ducho_keras import KerasExtractor, KerasOptions, KerasRunOptions, load_keras
from PIL import Image

from ducho_core import Media, ResolveContext, Resolved

keras: Any = load_keras()


def resolve(precision: Any = "exact", weights_file: Any = None, **options: Any) -> Resolved:
    """``resolve`` as the core calls it, over a pickle as a worker gets it."""
    run_options = KerasRunOptions(
        device="cpu", weights_file=None if weights_file is None else str(weights_file)
    )
    context = ResolveContext(precision=precision, run_options=run_options, inputs=())
    return pickle.loads(pickle.dumps(KerasExtractor.resolve(KerasOptions(**options), context)))


def make(precision: Any = "exact", weights_file: Any = None, **options: Any) -> Any:
    """An extractor; random weights where no file is given."""
    options.setdefault("pretrained", weights_file is not None)
    resolved = resolve(precision, weights_file, **options)
    return KerasExtractor.load(resolved, KerasRunOptions(device="cpu"))


def features(
    extractor: Any, pictures: Sequence[Media], batch: int | None = None
) -> dict[str, np.ndarray]:
    samples = [extractor.prepare({"image": Media(one.bytes)}) for one in pictures]
    step = batch or len(samples)
    parts = [extractor.extract(samples[at : at + step]) for at in range(0, len(samples), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_model(name: str, side: int, seed: int = 0) -> Any:
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3))


def direct(
    model: Any,
    layer: str,
    pictures: Sequence[Media],
    family: str,
    batch: int | None = None,
) -> np.ndarray:
    """What Keras gives for a layer when it is called by its own documentation."""
    side = model.input_shape[1]
    images = [
        np.array(Media(one.bytes).image().resize((side, side), Image.Resampling.BICUBIC))
        for one in pictures
    ]
    preprocess = getattr(keras.applications, family).preprocess_input
    values = np.stack([preprocess(one) for one in images]).astype(np.float32)
    network = keras.Model(model.input, model.get_layer(layer).output)
    step = batch or len(values)
    with torch.no_grad():
        parts = [
            network(values[at : at + step], training=False) for at in range(0, len(values), step)
        ]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


def distances(one: np.ndarray, other: Any) -> np.ndarray:
    assert one.shape == other.shape
    return np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)
