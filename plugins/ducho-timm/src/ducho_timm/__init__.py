"""Image features from any timm model, for Ducho.

What another plugin needs to bring weights of its own to a timm architecture is imported on
first use: ``TimmExtractor``, ``WeightsSource``, ``ImageOptions``, and the steps by which a
network is built and its preprocessing settled.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "ImageOptions": "options",
    "TimmExtractor": "extractor",
    "TimmOptions": "options",
    "TimmRunOptions": "options",
    "WeightsSource": "sources",
    "build_model": "building",
    "pretrained_config": "building",
    "resolve_preprocessing": "preprocessing",
    "timm_source": "sources",
}

if TYPE_CHECKING:
    from ducho_timm.building import build_model, pretrained_config
    from ducho_timm.extractor import TimmExtractor
    from ducho_timm.options import ImageOptions, TimmOptions, TimmRunOptions
    from ducho_timm.preprocessing import resolve_preprocessing
    from ducho_timm.sources import WeightsSource, timm_source

__all__ = [
    "ImageOptions",
    "TimmExtractor",
    "TimmOptions",
    "TimmRunOptions",
    "WeightsSource",
    "__version__",
    "build_model",
    "pretrained_config",
    "resolve_preprocessing",
    "timm_source",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_timm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_timm.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
