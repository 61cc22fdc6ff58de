"""The plugin ``custom``: models of the user's own. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """The one extractor of this plugin."""
    return [
        ExtractorSpec(
            name="model",
            summary="your own model: weights for an architecture, a program, or a folder",
            implementation="ducho_custom.extractor:CustomExtractor",
            options="ducho_custom.options:CustomOptions",
            run_options="ducho_custom.options:CustomRunOptions",
            inputs=("image", "text"),
            default=True,
            batch_size=32,
            chunk_size=512,
        ),
    ]
