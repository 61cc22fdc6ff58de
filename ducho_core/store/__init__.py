"""The feature store: immutable Parquet chunks, each committed by one put-if-absent."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ducho_core.store.reader import FeatureSet
    from ducho_core.store.store import SetInfo, Store
    from ducho_core.store.writer import SetWriter

_EXPORTS = {"FeatureSet": "reader", "SetInfo": "store", "SetWriter": "writer", "Store": "store"}

__all__ = ["FeatureSet", "SetInfo", "SetWriter", "Store"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_core.store' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_core.store.{_EXPORTS[name]}"), name)
