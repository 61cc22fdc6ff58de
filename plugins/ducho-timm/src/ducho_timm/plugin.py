"""What ducho-timm registers. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    return [
        ExtractorSpec(
            name="image",
            summary="image features from any timm model: pooled, or of any layers",
            inputs=("image",),
            implementation="ducho_timm.extractor:TimmExtractor",
            options="ducho_timm.options:TimmOptions",
            run_options="ducho_timm.options:TimmRunOptions",
            models="ducho_timm.models:known_models",
            default=True,
            batch_size=32,
            chunk_size=512,
        ),
    ]
