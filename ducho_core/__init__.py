"""Ducho: features for recommender systems from images, texts and sounds.

Plugins import what they need from here and from ``ducho_core.testing``; everything is
imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "API_VERSION": "specs",
    "Binding": "catalogue",
    "build_options": "options",
    "Chunk": "extraction.preparing",
    "ChunkResult": "extraction.job",
    "ContractError": "errors",
    "DelimitedReader": "loaders.delimited",
    "DeviceMemoryError": "errors",
    "DuchoError": "errors",
    "Engine": "extraction.engine",
    "EngineSpec": "specs",
    "ExportBatch": "exporter",
    "ExportContext": "exporter",
    "Exporter": "exporter",
    "ExporterSpec": "specs",
    "ExportFolder": "exporter",
    "ExportInput": "exporter",
    "ExportNotes": "exporter",
    "ExportRows": "exporter",
    "export": "exporting.session",
    "extract": "extraction.session",
    "Extractor": "extractor",
    "ExtractorSpec": "specs",
    "FeatureSet": "store",
    "file_digest": "digests",
    "files_digest": "digests",
    "fuse": "fusion.session",
    "Fuser": "fuser",
    "FuserBatch": "fuser",
    "FuserContext": "fuser",
    "FuserInput": "fuser",
    "FuserSpec": "specs",
    "GroupBatch": "fuser",
    "GroupFuser": "fuser",
    "hookimpl": "hookspecs",
    "InputField": "catalogue",
    "ItemError": "errors",
    "ItemFiles": "exporter",
    "Job": "extraction.job",
    "KEY_COLUMNS": "catalogue",
    "KnownModel": "specs",
    "Loader": "loader",
    "LoaderSpec": "specs",
    "LocalEngine": "extraction.engine",
    "Media": "media",
    "npy_header": "exporters.npy",
    "option": "options",
    "OptionError": "errors",
    "Output": "extractor",
    "parse_options": "options",
    "PluginLoadError": "errors",
    "RecipeStep": "recipe_steps",
    "Registry": "registry",
    "RelabelFuser": "fuser",
    "ResolveContext": "extractor",
    "Resolved": "extractor",
    "RowFuser": "fuser",
    "RunOptions": "extractor",
    "Sample": "extractor",
    "SourceError": "errors",
    "StepReport": "recipe_steps",
    "Store": "store",
    "StoreError": "errors",
    "TableColumn": "loaders.reading",
    "TableLoader": "loaders.table",
    "TableOptions": "loaders.options",
    "TableReader": "loaders.reading",
    "TransientError": "errors",
    "Universe": "exporter",
    "UsageError": "errors",
}

if TYPE_CHECKING:
    from ducho_core.catalogue import KEY_COLUMNS, Binding, InputField
    from ducho_core.digests import file_digest, files_digest
    from ducho_core.errors import (
        ContractError,
        DeviceMemoryError,
        DuchoError,
        ItemError,
        OptionError,
        PluginLoadError,
        SourceError,
        StoreError,
        TransientError,
        UsageError,
    )
    from ducho_core.exporter import (
        ExportBatch,
        ExportContext,
        Exporter,
        ExportFolder,
        ExportInput,
        ExportNotes,
        ExportRows,
        ItemFiles,
        Universe,
    )
    from ducho_core.exporters.npy import npy_header
    from ducho_core.extraction.engine import Engine, LocalEngine
    from ducho_core.extraction.job import ChunkResult, Job
    from ducho_core.extraction.preparing import Chunk
    from ducho_core.extraction.session import extract
    from ducho_core.extractor import (
        Extractor,
        Output,
        ResolveContext,
        Resolved,
        RunOptions,
        Sample,
    )
    from ducho_core.fuser import (
        Fuser,
        FuserBatch,
        FuserContext,
        FuserInput,
        GroupBatch,
        GroupFuser,
        RelabelFuser,
        RowFuser,
    )
    from ducho_core.fusion.session import fuse
    from ducho_core.hookspecs import hookimpl
    from ducho_core.loader import Loader
    from ducho_core.loaders.delimited import DelimitedReader
    from ducho_core.loaders.options import TableOptions
    from ducho_core.loaders.reading import TableColumn, TableReader
    from ducho_core.loaders.table import TableLoader
    from ducho_core.media import Media
    from ducho_core.options import build_options, option, parse_options
    from ducho_core.recipe_steps import RecipeStep, StepReport
    from ducho_core.registry import Registry
    from ducho_core.specs import (
        API_VERSION,
        EngineSpec,
        ExporterSpec,
        ExtractorSpec,
        FuserSpec,
        KnownModel,
        LoaderSpec,
    )
    from ducho_core.store import FeatureSet, Store

__all__ = [
    "API_VERSION",
    "KEY_COLUMNS",
    "Binding",
    "Chunk",
    "ChunkResult",
    "ContractError",
    "DelimitedReader",
    "DeviceMemoryError",
    "DuchoError",
    "Engine",
    "EngineSpec",
    "ExportBatch",
    "ExportContext",
    "ExportFolder",
    "ExportInput",
    "ExportNotes",
    "ExportRows",
    "Exporter",
    "ExporterSpec",
    "Extractor",
    "ExtractorSpec",
    "FeatureSet",
    "Fuser",
    "FuserBatch",
    "FuserContext",
    "FuserInput",
    "FuserSpec",
    "GroupBatch",
    "GroupFuser",
    "InputField",
    "ItemError",
    "ItemFiles",
    "Job",
    "KnownModel",
    "Loader",
    "LoaderSpec",
    "LocalEngine",
    "Media",
    "OptionError",
    "Output",
    "PluginLoadError",
    "RecipeStep",
    "Registry",
    "RelabelFuser",
    "ResolveContext",
    "Resolved",
    "RowFuser",
    "RunOptions",
    "Sample",
    "SourceError",
    "StepReport",
    "Store",
    "StoreError",
    "TableColumn",
    "TableLoader",
    "TableOptions",
    "TableReader",
    "TransientError",
    "Universe",
    "UsageError",
    "__version__",
    "build_options",
    "export",
    "extract",
    "file_digest",
    "files_digest",
    "fuse",
    "hookimpl",
    "npy_header",
    "option",
    "parse_options",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_core' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_core.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
