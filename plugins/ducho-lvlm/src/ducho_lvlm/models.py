"""Good models to start with, for ``ducho plugins models`` and where no model was given.

Lengths are the hidden sizes. Licences are what public copies of the models' cards and pages about
them said in November 2026 (SmolVLM-256M, Qwen2-VL, LLaVA, Qwen3-VL-Embedding's repository); those
of the others were written down from general knowledge. The lengths of GME's vectors are those of
Xinference's list of embedding models. Check the licence on a model's own card before you use it.
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
        name="llava-hf/llava-1.5-7b-hf",
        dim=4096,
        licence="Llama 2 Community License",
        remark="needs a GPU; 576 tokens an image",
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
