"""Feature sets as indexes for nearest neighbours, for Ducho."""

from __future__ import annotations

__version__ = "3.0.0a1"

__all__ = ["__version__"]
