"""One spec a wrong class, called like the check that must find it, perhaps with a suffix."""

from __future__ import annotations

from ducho_core import ExtractorSpec, LoaderSpec, hookimpl
from ducho_wrong import declared
from ducho_wrong.names import EXTRACTORS, LOADERS


@hookimpl
def ducho_extractors():
    specs = [
        ExtractorSpec(
            name=name,
            summary=f"wrong: {name}" if name != "right" else "a right one",
            inputs=inputs,
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
