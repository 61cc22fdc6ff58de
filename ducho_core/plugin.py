"""The built-in plugin ``core``. Imports nothing but the specs and the hook marker."""

from __future__ import annotations

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.hookspecs import hookimpl
from ducho_core.specs import EngineSpec, ExporterSpec, ExtractorSpec, FuserSpec, LoaderSpec


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
            joint=True,
            implementation="ducho_core.extractors.hash:HashExtractor",
            options="ducho_core.extractors.hash_options:HashOptions",
            default=True,
            batch_size=1024,
            chunk_size=8192,
        ),
    ]


@hookimpl
def ducho_fusers() -> list[FuserSpec]:
    combining = {
        "concat": ("Concat", 1, "vectors one after the other; scales one input alone, too"),
        "sum": ("Sum", 2, "the sum, number by number"),
        "mean": ("Mean", 2, "the mean, number by number, weighted or not"),
        "mul": ("Multiply", 2, "the product, number by number"),
        "max": ("Maximum", 2, "the largest, number by number"),
    }
    fusers = [
        FuserSpec(
            name=name,
            summary=summary,
            implementation=f"ducho_core.fusers.combine:{kind}",
            options="ducho_core.fusers.options:"
            + ("MeanOptions" if name == "mean" else "CombineOptions"),
            fewest=fewest,
        )
        for name, (kind, fewest, summary) in combining.items()
    ]
    # Each name: module and class, options, summary, and how many inputs.
    others = {
        "pca": ("refine:Pca", "PcaOptions", "the first principal components of one set", 1),
        "whiten": ("refine:Whiten", "WhitenOptions", "one set without correlations", 1),
        "project": ("refine:Project", "ProjectOptions", "a random projection of one set", 1),
        "cca": ("correlate:Cca", "CcaOptions", "what two sets have in common", 2),
        "pool": ("pool:Pool", "PoolOptions", "the slots of an item become one vector", 1),
        "shuffle": (
            "shuffle:Shuffle",
            "ShuffleOptions",
            "vectors shuffled among items: a control",
            1,
        ),
        "noise": ("controls:Noise", "NoiseOptions", "noise of the same shape: a control", 1),
        "constant": (
            "controls:Constant",
            "ConstantOptions",
            "one vector for every item: a control",
            1,
        ),
    }
    fusers += [
        FuserSpec(
            name=name,
            summary=summary,
            implementation=f"ducho_core.fusers.{kind}",
            options=f"ducho_core.fusers.options:{options}",
            fewest=count,
            most=count,
        )
        for name, (kind, options, summary, count) in others.items()
    ]
    return fusers


@hookimpl
def ducho_exporters() -> list[ExporterSpec]:
    return [
        ExporterSpec(
            name="npy",
            summary="a NumPy matrix a set, and the ids of its rows",
            implementation="ducho_core.exporters.npy:NpyExporter",
            users=True,
        ),
        ExporterSpec(
            name="parquet",
            summary="one Parquet table with the keys and a column of vectors a set",
            implementation="ducho_core.exporters.parquet:ParquetExporter",
            keys=KEY_COLUMNS,
        ),
        ExporterSpec(
            name="csv",
            summary="one CSV or TSV table with the keys and a column a number",
            implementation="ducho_core.exporters.csv:CsvExporter",
            options="ducho_core.exporters.options:CsvOptions",
            keys=KEY_COLUMNS,
        ),
        ExporterSpec(
            name="safetensors",
            summary="one safetensors file with a tensor a set, and the ids of its rows",
            implementation="ducho_core.exporters.safetensors:SafetensorsExporter",
            users=True,
        ),
        ExporterSpec(
            name="ducho2",
            summary="the tree that Ducho 2.0 wrote: BACKEND/MODEL/LAYER/ITEM_ID.npy",
            implementation="ducho_core.exporters.ducho2:Ducho2Exporter",
            options="ducho_core.exporters.options:Ducho2Options",
            keys=("user_id", "item_id"),
            separate=True,
        ),
        ExporterSpec(
            name="huggingface",
            summary="a Hugging Face dataset with its card, and Croissant metadata",
            implementation="ducho_core.exporters.huggingface:HuggingFaceExporter",
            options="ducho_core.exporters.options:HuggingFaceOptions",
            keys=KEY_COLUMNS,
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
