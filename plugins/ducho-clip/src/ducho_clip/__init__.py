"""Images and texts in one space, from CLIP, SigLIP and their kin, for Ducho.

Everything is imported on first use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "DualExtractor": "extractor",
    "DualOptions": "options",
    "known_models": "models",
}

if TYPE_CHECKING:
    from ducho_clip.extractor import DualExtractor
    from ducho_clip.models import known_models
    from ducho_clip.options import DualOptions

__all__ = ["DualExtractor", "DualOptions", "__version__", "known_models"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_clip' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_clip.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
