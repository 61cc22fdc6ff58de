"""One spec a wrong class, called like the check that must find it, perhaps with a suffix."""

from __future__ import annotations

from ducho_core import ExporterSpec, ExtractorSpec, FuserSpec, LoaderSpec, hookimpl
from ducho_wrong import declared
from ducho_wrong.names import EXPORTERS, EXTRACTORS, FUSERS, LOADERS


@hookimpl
def ducho_extractors():
    specs = [
        ExtractorSpec(
            name=name,
            summary=f"wrong: {name}" if name != "right" else "a right one",
            inputs=inputs,
            joint="joint" in name,
            implementation=f"ducho_wrong.{module}:{implementation}",
            options="ducho_wrong.options:Options",
            models="ducho_wrong.models:right",
        )
        for name, (module, implementation, inputs) in EXTRACTORS.items()
    ]
    return specs + declared.extractors()


@hookimpl
def ducho_loaders():
    specs = [
        LoaderSpec(
            name=name,
            summary=f"wrong: {name}",
            implementation=f"ducho_wrong.loaders:{implementation}",
            options="ducho_wrong.options:Options",
        )
        for name, implementation in LOADERS.items()
    ]
    return specs + declared.others(LoaderSpec, "ducho_wrong.loaders:Right")


@hookimpl
def ducho_fusers():
    specs = [
        FuserSpec(
            name=name,
            summary=f"wrong: {name}",
            implementation=f"ducho_wrong.fusers:{implementation}",
            options="ducho_wrong.options:Options",
        )
        for name, implementation in FUSERS.items()
    ]
    return specs + declared.others(FuserSpec, "ducho_wrong.fusers:Right")


@hookimpl
def ducho_exporters():
    specs = [
        ExporterSpec(
            name=name,
            summary=f"wrong: {name}",
            implementation=f"ducho_wrong.exporters:{implementation}",
            options="ducho_wrong.options:Options",
            keys=("user_id", "item_id", "slot"),
        )
        for name, implementation in EXPORTERS.items()
    ]
    return specs + declared.others(ExporterSpec, "ducho_wrong.exporters:Right")
