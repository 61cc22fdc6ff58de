"""The libraries that vectors are exported for."""

from __future__ import annotations

from tests.core.set_samples import unsynced  # noqa: F401
