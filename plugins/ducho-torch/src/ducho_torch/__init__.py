"""What Ducho's torch plugins share: devices, precision, layers in one pass, weights.

Everything is imported on first use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "LayerCapture": "layers",
    "Precision": "precision",
    "checkpoint_dtype": "weights",
    "computing": "precision",
    "ensure_torchvision": "guard",
    "layer_names": "layers",
    "load_state": "weights",
    "load_weights": "weights",
    "memory_errors": "model",
    "pool_spatial": "pooling",
    "prepare_model": "model",
    "resolve_device": "device",
    "resolve_precision": "precision",
    "supports_bfloat16": "precision",
    "to_numpy": "model",
    "weights_digest": "weights",
}

if TYPE_CHECKING:
    from ducho_torch.device import resolve_device
    from ducho_torch.guard import ensure_torchvision
    from ducho_torch.layers import LayerCapture, layer_names
    from ducho_torch.model import memory_errors, prepare_model, to_numpy
    from ducho_torch.pooling import pool_spatial
    from ducho_torch.precision import Precision, computing, resolve_precision, supports_bfloat16
    from ducho_torch.weights import checkpoint_dtype, load_state, load_weights, weights_digest

__all__ = [
    "LayerCapture",
    "Precision",
    "__version__",
    "checkpoint_dtype",
    "computing",
    "ensure_torchvision",
    "layer_names",
    "load_state",
    "load_weights",
    "memory_errors",
    "pool_spatial",
    "prepare_model",
    "resolve_device",
    "resolve_precision",
    "supports_bfloat16",
    "to_numpy",
    "weights_digest",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_torch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_torch.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
