"""The plugin ``lvlm``: prompted vision-language models. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExtractorSpec, FuserSpec, hookimpl


@hookimpl
def ducho_extractors() -> list[ExtractorSpec]:
    """Prompted models and embedding models; a batch costs tokens, padding included."""
    return [
        ExtractorSpec(
            name="prompted",
            summary="one prompt, per item an embedding and a description: Qwen-VL, SmolVLM, LLaVA",
            implementation="ducho_lvlm.extractor:PromptedExtractor",
            options="ducho_lvlm.options:PromptedOptions",
            run_options="ducho_lvlm.options:LvlmRunOptions",
            models="ducho_lvlm.models:known_models",
            inputs=("image", "text"),
            multiple_texts=True,
            joint=True,
            default=True,
            default_precision="native",
            batch_size=32,
            batch_budget=8192,
            chunk_size=64,
        ),
        ExtractorSpec(
            name="embedder",
            summary="images, texts or both in one space: Qwen3-VL-Embedding, GME and their kin",
            implementation="ducho_lvlm.embedder:EmbedderExtractor",
            options="ducho_lvlm.options:EmbedderOptions",
            run_options="ducho_lvlm.options:LvlmRunOptions",
            models="ducho_lvlm.models:known_embedders",
            inputs=("image", "text"),
            multiple_texts=True,
            joint=True,
            default_precision="native",
            batch_size=32,
            batch_budget=8192,
            chunk_size=64,
        ),
    ]


@hookimpl
def ducho_fusers() -> list[FuserSpec]:
    """Descriptions as content."""
    return [
        FuserSpec(
            name="slots",
            summary="slots of descriptions as one-hot attributes: `ducho lvlm slots SET`",
            implementation="ducho_lvlm.slots.fuser:SlotsFuser",
            options="ducho_lvlm.slots.options:SlotsOptions",
            takes="text",
        )
    ]
