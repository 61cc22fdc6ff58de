"""What ducho-keras registers. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    return [
        ExtractorSpec(
            name="image",
            summary="image features from keras.applications on torch: pooled, or of any layers",
            inputs=("image",),
            implementation="ducho_keras.extractor:KerasExtractor",
            options="ducho_keras.options:KerasOptions",
            run_options="ducho_keras.options:KerasRunOptions",
            default=True,
            batch_size=32,
            chunk_size=512,
            models="ducho_keras.applications:known_models",
        ),
    ]
