"""The built-in plugin ``core``. Imports nothing but the specs and the hook marker."""

from __future__ import annotations

from ducho_core.hookspecs import hookimpl
from ducho_core.specs import EngineSpec, ExtractorSpec, LoaderSpec


@hookimpl
def ducho_loaders() -> list[LoaderSpec]:
    return [
        LoaderSpec(
            name="folder",
            summary="images, sounds and text files in a folder",
            implementation="ducho_core.loaders.folder:FolderLoader",
            options="ducho_core.loaders.options:FolderOptions",
            directories=True,
        ),
        LoaderSpec(
            name="table",
            summary="rows of a TSV, CSV, JSONL or Parquet file",
            implementation="ducho_core.loaders.table:TableLoader",
            options="ducho_core.loaders.options:TableOptions",
            suffixes=(".tsv", ".csv", ".jsonl", ".ndjson", ".parquet"),
        ),
        LoaderSpec(
            name="set",
            summary="a text output of a feature set: set:NAME:OUTPUT",
            implementation="ducho_core.loaders.features:SetLoader",
            options="ducho_core.loaders.options:SetOptions",
            schemes=("set",),
        ),
    ]


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    return [
        ExtractorSpec(
            name="hash",
            summary="vectors made from the bytes alone: for tests, examples and overhead",
            inputs=("image", "text", "audio"),
            multiple_texts=True,
            implementation="ducho_core.extractors.hash:HashExtractor",
            options="ducho_core.extractors.hash_options:HashOptions",
            default=True,
            batch_size=1024,
            chunk_size=8192,
        ),
    ]


@hookimpl
def ducho_engines() -> list[EngineSpec]:
    return [
        EngineSpec(
            name="local",
            summary="this process, with threads",
            implementation="ducho_core.extraction.engine:LocalEngine",
        ),
    ]
