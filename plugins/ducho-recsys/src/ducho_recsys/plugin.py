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
    return [
        ExporterSpec(
            name="elliot",
            summary="Elliot, as the fork of Ducho meets Elliot: arrays, splits, a configuration",
            implementation="ducho_recsys.exporters.elliot:ElliotExporter",
            options="ducho_recsys.exporters.options:ElliotOptions",
            most=2,
        ),
        ExporterSpec(
            name="mmrec",
            summary="MMRec: one dataset folder for each combination of features",
            implementation="ducho_recsys.exporters.mmrec:MmrecExporter",
            options="ducho_recsys.exporters.options:MmrecOptions",
            most=2,
        ),
        ExporterSpec(
            name="cornac",
            summary="Cornac: arrays, ids and splits, and a call that returns its modality",
            implementation="ducho_recsys.exporters.cornac:CornacExporter",
            options="ducho_recsys.exporters.options:SplitOptions",
        ),
        ExporterSpec(
            name="recbole",
            summary="RecBole: atomic files, with vectors for preload_weight",
            implementation="ducho_recsys.exporters.recbole:RecboleExporter",
            options="ducho_recsys.exporters.options:RecboleOptions",
        ),
        ExporterSpec(
            name="lattice",
            summary="LATTICE, MMSSL and their kin: 5-core JSON and two arrays",
            implementation="ducho_recsys.exporters.lattice:LatticeExporter",
            options="ducho_recsys.exporters.options:LatticeOptions",
            most=2,
        ),
    ]
