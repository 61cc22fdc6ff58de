"""The plugin ``recsys``: formats of recommender frameworks. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExporterSpec, FuserSpec, hookimpl


@hookimpl
def ducho_fusers() -> list[FuserSpec]:
    """Reviews, pooled without a look at what is tested."""
    return [
        FuserSpec(
            name="reviews",
            summary="reviews in the train part of a split become one vector an item or a user",
            implementation="ducho_recsys.reviews:Reviews",
            options="ducho_recsys.options:ReviewsOptions",
            most=1,
        )
    ]


@hookimpl
def ducho_exporters() -> list[ExporterSpec]:
    """Formats that recommender frameworks read."""
    return []
