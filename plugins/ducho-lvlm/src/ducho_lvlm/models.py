"""Good models to start with, for ``ducho plugins models`` and where no model was given.

Licences and lengths (the hidden sizes) were written down from general knowledge of the models, not
read off their cards: check the licence on a model's card before you use it. The length of GME's
vectors is that of Xinference's list of embedding models.
"""

from __future__ import annotations

from ducho_core import KnownModel

MODELS = (
    KnownModel(
        name="HuggingFaceTB/SmolVLM-256M-Instruct",
        dim=576,
        licence="Apache-2.0",
        remark="the smallest; runs on a processor",
    ),
    KnownModel(
        name="HuggingFaceTB/SmolVLM-500M-Instruct",
        dim=960,
        licence="Apache-2.0",
        remark="small",
    ),
    KnownModel(
        name="Qwen/Qwen2-VL-2B-Instruct",
        dim=1536,
        licence="Apache-2.0",
        remark="the smaller sister of the study's model",
    ),
    KnownModel(
        name="Qwen/Qwen2-VL-7B-Instruct", dim=3584, licence="Apache-2.0", remark="needs a GPU"
    ),
    KnownModel(
        name="llava-hf/llava-1.5-7b-hf", dim=4096, remark="needs a GPU; 576 tokens an image"
    ),
    KnownModel(
        name="HuggingFaceTB/SmolLM2-135M-Instruct",
        dim=576,
        licence="Apache-2.0",
        remark="texts only",
    ),
)
"""Prompted models; the first three are named where no model was given."""

EMBEDDERS = (
    KnownModel(
        name="Qwen/Qwen3-VL-Embedding-2B",
        dim=2048,
        licence="Apache-2.0",
        remark="images and texts",
    ),
    KnownModel(
        name="Alibaba-NLP/gme-Qwen2-VL-2B-Instruct",
        dim=1536,
        licence="Apache-2.0",
        remark="images and texts",
    ),
)
"""Embedding models."""


def known_models() -> tuple[KnownModel, ...]:
    """The models that ``ducho plugins models lvlm`` lists."""
    return MODELS


def known_embedders() -> tuple[KnownModel, ...]:
    """The models that ``ducho plugins models lvlm/embedder`` lists."""
    return EMBEDDERS
