"""Interactions, splits and the formats of recommender frameworks, for Ducho.

Everything is imported on first use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "Split": "splits.folder",
    "SplitRequest": "splits.request",
    "read_split": "splits.folder",
    "split_interactions": "splits.session",
}

if TYPE_CHECKING:
    from ducho_recsys.splits.folder import Split, read_split
    from ducho_recsys.splits.request import SplitRequest
    from ducho_recsys.splits.session import split_interactions

__all__ = [
    "Split",
    "SplitRequest",
    "__version__",
    "read_split",
    "split_interactions",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_recsys' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_recsys.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
