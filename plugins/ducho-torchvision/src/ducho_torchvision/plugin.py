"""What ducho-torchvision registers. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    return [
        ExtractorSpec(
            name="image",
            summary="image features from torchvision models: pooled, or of any graph nodes",
            inputs=("image",),
            implementation="ducho_torchvision.extractor:TorchvisionExtractor",
            options="ducho_torchvision.options:TorchvisionOptions",
            run_options="ducho_torchvision.options:TorchvisionRunOptions",
            default=True,
            batch_size=32,
            chunk_size=512,
            models="ducho_torchvision.registry:known_models",
        ),
    ]
