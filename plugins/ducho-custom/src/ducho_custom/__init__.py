"""Features from the user's own model, for Ducho."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "CustomExtractor": "extractor",
    "CustomOptions": "options",
    "CustomRunOptions": "options",
    "convert": "conversion",
}

if TYPE_CHECKING:
    from ducho_custom.conversion import convert
    from ducho_custom.extractor import CustomExtractor
    from ducho_custom.options import CustomOptions, CustomRunOptions

__all__ = ["CustomExtractor", "CustomOptions", "CustomRunOptions", "__version__", "convert"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_custom' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_custom.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
