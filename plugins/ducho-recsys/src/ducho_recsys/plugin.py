"""The plugin ``recsys``: formats of recommender frameworks. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExporterSpec, hookimpl


@hookimpl
def ducho_exporters() -> list[ExporterSpec]:
    """Formats that recommender frameworks read."""
    return []
