"""Building a network of keras.applications and filling it with weights."""

from __future__ import annotations

import math
import os
import random
import warnings
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ducho_core import SourceError, UsageError
from ducho_keras.applications import applications
from ducho_keras.fetching import cache_folder
from ducho_keras.library import keras_settings, load_keras

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ducho_keras.sources import WeightsSource


def build_model(source: WeightsSource, size: tuple[int, int], dtype: str) -> Any:
    """Build the whole network and load its weights, on the CPU.

    Args:
        source: model and weights.
        size: (width, height) of the input in pixels.
        dtype: of activations.

    Raises:
        UsageError: the weights do not fit the model, or the size does not.
        SourceError: the weights file is damaged.
    """
    keras = load_keras()
    builder = getattr(keras.applications, source.model)
    # Layers without a name of their own get one by a counter; it starts anew, so that names
    # are the same for every model, as in a process of its own.
    keras.utils.clear_session(free_memory=False)
    with keras_settings(keras, dtype), keras.device("cpu"), _seeded(keras, source.seed):
        if source.built_for_own_weights:
            if size != applications()[source.model].size:
                raise UsageError(
                    f"Keras' pretrained {source.model} takes images of its own size only: drop"
                    " resize"
                )
            if not os.access(cache_folder(), os.W_OK):
                raise UsageError(
                    f"Keras reads its own weights of {source.model} out of {cache_folder()} only"
                    " where it may write there, and would fetch others into /tmp: let it, or point"
                    " KERAS_HOME to a copy of that folder"
                )
            return builder(weights="imagenet")
        try:
            model = builder(weights=None, input_shape=(size[1], size[0], 3))
        except ValueError as error:
            raise UsageError(
                f"{source.model} cannot be built for these images: {error}"
            ) from error
        if source.file is not None:
            _load(model, source.model, source.file)
        return model


def _load(model: Any, name: str, path: str) -> None:
    file = os.path.basename(path)
    values = [(one.path, one.value.data) for one in model.weights if one.value.is_floating_point()]
    for _, value in values:
        value.fill_(math.nan)
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that it finds no weights for; they are counted below.
            warnings.simplefilter("ignore")
            model.load_weights(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{file} is damaged or no file of Keras weights: {error}") from error
    except (ValueError, KeyError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UsageError(
            f"{file} does not fit {name} with {model.output_shape[-1]} classes at"
            f" {model.input_shape[2]} x {model.input_shape[1]} pixels: {first}"
        ) from error
    lacking = [where for where, value in values if bool(torch.isnan(value).any())]
    if lacking:
        raise UsageError(
            f"{file} does not fit {name}: it lacks {len(lacking)} of {len(values)} weights"
            f" ({', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}) or holds no"
            " numbers there"
        )


@contextmanager
def _seeded(keras: Any, seed: int) -> Iterator[None]:
    """Keras draws weights from Python's and torch's generators; both are as before afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            keras.utils.set_random_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
