"""A plugin module that imports its implementation, and all that comes with it."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl
from ducho_wrong.extractors import Right


@hookimpl
def ducho_extractors():
    return [
        ExtractorSpec(
            name="module",
            summary="imports numpy with its plugin module",
            inputs=("text",),
            implementation=f"ducho_wrong.extractors:{Right.__name__}",
            options="ducho_wrong.options:Options",
        )
    ]
