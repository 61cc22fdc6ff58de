"""What Ducho's torch plugins share: devices, precision, layers in one pass, weights.

Everything is imported on first use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "ImageNetwork": "network",
    "ImageOptions": "options",
    "LayerCapture": "layers",
    "LayerPooling": "pooling",
    "NetworkSource": "network",
    "PickleRefusedError": "weights",
    "Precision": "precision",
    "Preprocessing": "images",
    "ResizedImageOptions": "options",
    "check_aspect": "images",
    "check_normalisation": "images",
    "checkpoint_dtype": "weights",
    "computing": "precision",
    "direct_size": "images",
    "ensure_torchvision": "guard",
    "find_state": "weights",
    "is_direct": "images",
    "layer_names": "layers",
    "load_state": "weights",
    "load_weights": "weights",
    "memory_errors": "model",
    "normalisation": "images",
    "pack_linears": "linear",
    "pool_spatial": "pooling",
    "prepare_model": "model",
    "resolve_device": "device",
    "resolve_precision": "precision",
    "resolved_network": "network",
    "sides": "images",
    "supports_bfloat16": "precision",
    "to_numpy": "model",
    "wanted_layers": "layers",
    "weights_digest": "weights",
}

if TYPE_CHECKING:
    from ducho_torch.device import resolve_device
    from ducho_torch.guard import ensure_torchvision
    from ducho_torch.images import (
        Preprocessing,
        check_aspect,
        check_normalisation,
        direct_size,
        is_direct,
        normalisation,
        sides,
    )
    from ducho_torch.layers import LayerCapture, layer_names, wanted_layers
    from ducho_torch.linear import pack_linears
    from ducho_torch.model import memory_errors, prepare_model, to_numpy
    from ducho_torch.network import ImageNetwork, NetworkSource, resolved_network
    from ducho_torch.options import ImageOptions, ResizedImageOptions
    from ducho_torch.pooling import LayerPooling, pool_spatial
    from ducho_torch.precision import Precision, computing, resolve_precision, supports_bfloat16
    from ducho_torch.weights import (
        PickleRefusedError,
        checkpoint_dtype,
        find_state,
        load_state,
        load_weights,
        weights_digest,
    )

__all__ = [
    "ImageNetwork",
    "ImageOptions",
    "LayerCapture",
    "LayerPooling",
    "NetworkSource",
    "PickleRefusedError",
    "Precision",
    "Preprocessing",
    "ResizedImageOptions",
    "__version__",
    "check_aspect",
    "check_normalisation",
    "checkpoint_dtype",
    "computing",
    "direct_size",
    "ensure_torchvision",
    "find_state",
    "is_direct",
    "layer_names",
    "load_state",
    "load_weights",
    "memory_errors",
    "normalisation",
    "pack_linears",
    "pool_spatial",
    "prepare_model",
    "resolve_device",
    "resolve_precision",
    "resolved_network",
    "sides",
    "supports_bfloat16",
    "to_numpy",
    "wanted_layers",
    "weights_digest",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_torch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_torch.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
