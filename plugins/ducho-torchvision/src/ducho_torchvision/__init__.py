"""Image features from torchvision's classification models, for Ducho.

What another plugin needs to bring weights of its own to a torchvision architecture is imported
on first use: ``TorchvisionExtractor``, ``WeightsSource``, ``NodeCapture``.
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
    "node_names": "graph",
}

if TYPE_CHECKING:
    from ducho_torchvision.extractor import TorchvisionExtractor
    from ducho_torchvision.graph import NodeCapture, node_names
    from ducho_torchvision.options import TorchvisionOptions, TorchvisionRunOptions
    from ducho_torchvision.sources import WeightsSource

__all__ = [
    "NodeCapture",
    "TorchvisionExtractor",
    "TorchvisionOptions",
    "TorchvisionRunOptions",
    "WeightsSource",
    "__version__",
    "node_names",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_torchvision' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_torchvision.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
