"""Image features from torchvision's classification models, for Ducho.

What another plugin needs to bring weights of its own to a torchvision architecture is imported
on first use: ``TorchvisionExtractor``, ``WeightsSource``, ``NodeCapture``, and the steps by which
a network is built and its preprocessing settled.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "NodeCapture": "graph",
    "TorchvisionExtractor": "extractor",
    "TorchvisionOptions": "options",
    "TorchvisionRunOptions": "options",
    "WeightsSource": "sources",
    "build_model": "building",
    "node_names": "graph",
    "resolve_preprocessing": "preprocessing",
    "torchvision_source": "sources",
    "weights_entry": "registry",
}

if TYPE_CHECKING:
    from ducho_torchvision.building import build_model
    from ducho_torchvision.extractor import TorchvisionExtractor
    from ducho_torchvision.graph import NodeCapture, node_names
    from ducho_torchvision.options import TorchvisionOptions, TorchvisionRunOptions
    from ducho_torchvision.preprocessing import resolve_preprocessing
    from ducho_torchvision.registry import weights_entry
    from ducho_torchvision.sources import WeightsSource, torchvision_source

__all__ = [
    "NodeCapture",
    "TorchvisionExtractor",
    "TorchvisionOptions",
    "TorchvisionRunOptions",
    "WeightsSource",
    "__version__",
    "build_model",
    "node_names",
    "resolve_preprocessing",
    "torchvision_source",
    "weights_entry",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_torchvision' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_torchvision.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
