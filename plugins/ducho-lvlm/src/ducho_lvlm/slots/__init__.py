"""Descriptions as content: the values of labelled slots as one-hot attributes.

What may be used from Python is exported here, and imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_EXPORTS = {
    "Cluster": "mapping",
    "SlotMapping": "mapping",
    "column_names": "report",
    "read_mappings": "report",
}

if TYPE_CHECKING:
    from ducho_lvlm.slots.mapping import Cluster, SlotMapping
    from ducho_lvlm.slots.report import column_names, read_mappings

__all__ = ["Cluster", "SlotMapping", "column_names", "read_mappings"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_lvlm.slots' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_lvlm.slots.{_EXPORTS[name]}"), name)
