"""Keras on its torch backend."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_VARIABLE = "KERAS_BACKEND"
_lock = threading.Lock()


def load_keras() -> Any:
    """Keras, imported on its torch backend whatever ``KERAS_BACKEND`` says.

    Raises:
        UsageError: this process has imported Keras on another backend before.
    """
    with _lock:
        if "keras" not in sys.modules:
            before = os.environ.get(_VARIABLE)
            os.environ[_VARIABLE] = "torch"
            try:
                importlib.import_module("keras")
            finally:
                if before is None:
                    del os.environ[_VARIABLE]
                else:
                    os.environ[_VARIABLE] = before
        keras: Any = sys.modules["keras"]
        backend = keras.config.backend()
    if backend != "torch":
        raise UsageError(
            f"Keras runs on {backend} in this process already, and keras/image needs it on torch:"
            " set KERAS_BACKEND=torch before the first import of Keras, or run ducho in a process"
            " of its own"
        )
    return keras


@contextmanager
def keras_settings(keras: Any, dtype: str) -> Iterator[None]:
    """Building for a compute dtype, in Keras' default layout; what was set before comes back.

    Weights stay in float32, as in Keras' mixed precision: drawn in a short dtype, random ones
    would be others.
    """
    policy, layout = keras.config.dtype_policy(), keras.config.image_data_format()
    try:
        keras.config.set_dtype_policy(dtype if dtype == "float32" else f"mixed_{dtype}")
        keras.config.set_image_data_format("channels_last")
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(layout)


def device_name(device: torch.device) -> str:
    """A torch device as ``keras.device`` takes it."""
    return device.type if device.index is None else f"{device.type}:{device.index}"
