"""The plugin ``hf``: features from Hugging Face models. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """Sentence vectors, any text encoder, any vision encoder."""
    return [
        ExtractorSpec(
            name="sentence",
            summary="one vector a text, from a sentence-transformers model",
            implementation="ducho_hf.sentence:SentenceExtractor",
            options="ducho_hf.options:SentenceOptions",
            models="ducho_hf.models:sentence_models",
            inputs=("text",),
            default=True,
            batch_size=256,
            batch_budget=2048,
        ),
        ExtractorSpec(
            name="text",
            summary="pooled layers of any Transformers text encoder",
            implementation="ducho_hf.text:TextExtractor",
            options="ducho_hf.options:TextOptions",
            models="ducho_hf.models:text_models",
            inputs=("text",),
            batch_size=256,
            batch_budget=2048,
        ),
        ExtractorSpec(
            name="vision",
            summary="pooled layers of any Transformers vision encoder",
            implementation="ducho_hf.vision:VisionExtractor",
            options="ducho_hf.options:VisionOptions",
            models="ducho_hf.models:vision_models",
            inputs=("image",),
            batch_size=16,
            chunk_size=512,
        ),
    ]
