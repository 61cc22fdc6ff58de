"""The hooks. Each takes no argument and returns an iterable of specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ducho_core.specs import EngineSpec, ExporterSpec, ExtractorSpec, FuserSpec, LoaderSpec

hookspec = pluggy.HookspecMarker("ducho")
hookimpl = pluggy.HookimplMarker("ducho")


@hookspec
def ducho_loaders() -> Iterable[LoaderSpec]:  # type: ignore[empty-body]
    """Loaders: source to Arrow record batches of keys and inputs."""


@hookspec
def ducho_extractors() -> Iterable[ExtractorSpec]:  # type: ignore[empty-body]
    """Extractors: one loaded model that gives named outputs per item."""


@hookspec
def ducho_fusers() -> Iterable[FuserSpec]:  # type: ignore[empty-body]
    """Fusers: feature sets to a feature set."""


@hookspec
def ducho_exporters() -> Iterable[ExporterSpec]:  # type: ignore[empty-body]
    """Exporters: feature sets to files for another system."""


@hookspec
def ducho_engines() -> Iterable[EngineSpec]:  # type: ignore[empty-body]
    """Engines: what carries chunks to workers."""
