"""The plugin ``clip``: images and texts in one space. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """Dual encoders; a batch costs tokens: those of its texts, or the patches of its images."""
    return [
        ExtractorSpec(
            name="dual",
            summary="images and texts in one space: CLIP, SigLIP, AltCLIP, ALIGN and kin",
            implementation="ducho_clip.extractor:DualExtractor",
            options="ducho_clip.options:DualOptions",
            models="ducho_clip.models:known_models",
            inputs=("image", "text"),
            default=True,
            batch_size=256,
            batch_budget=4096,
            chunk_size=1024,
        )
    ]
