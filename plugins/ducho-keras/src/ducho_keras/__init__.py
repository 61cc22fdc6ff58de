"""Image features from keras.applications, through Keras 3 on its torch backend, for Ducho."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "KerasExtractor": "extractor",
    "KerasOptions": "options",
    "KerasRunOptions": "options",
    "load_keras": "library",
}

if TYPE_CHECKING:
    from ducho_keras.extractor import KerasExtractor
    from ducho_keras.library import load_keras
    from ducho_keras.options import KerasOptions, KerasRunOptions

__all__ = ["KerasExtractor", "KerasOptions", "KerasRunOptions", "__version__", "load_keras"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_keras' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_keras.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
