"""Good models to start with, for ``ducho plugins models`` and where no model was given.

Lengths of vectors are the ``hidden_size`` in each model's published config.json; sizes are the
parameters that Transformers makes of that configuration, at four bytes each, with the heads that
the checkpoint holds; licences are those of the model cards. Looked up on the date in ``as_of``.
"""

from __future__ import annotations

from ducho_core import KnownModel

_AS_OF = "2026-11-25"

SENTENCE_MODELS = (
    KnownModel(
        name="sentence-transformers/all-MiniLM-L6-v2",
        dim=384,
        megabytes=90.9,
        licence="Apache-2.0",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="BAAI/bge-small-en-v1.5",
        dim=384,
        megabytes=133.4,
        licence="MIT",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="intfloat/multilingual-e5-small",
        dim=384,
        megabytes=470.6,
        licence="MIT",
        remark="94 languages; wants -o prompt='query: '",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="sentence-transformers/all-mpnet-base-v2",
        dim=768,
        megabytes=437.9,
        licence="Apache-2.0",
        remark="English; better and slower than all-MiniLM-L6-v2",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        dim=384,
        megabytes=470.6,
        licence="Apache-2.0",
        remark="50 languages",
        as_of=_AS_OF,
    ),
)
"""Sentence-transformers models."""

TEXT_MODELS = (
    KnownModel(
        name="distilbert/distilbert-base-uncased",
        dim=768,
        megabytes=267.9,
        licence="Apache-2.0",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="google-bert/bert-base-uncased",
        dim=768,
        megabytes=440.4,
        licence="Apache-2.0",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="FacebookAI/roberta-base",
        dim=768,
        megabytes=498.8,
        licence="MIT",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="FacebookAI/xlm-roberta-base",
        dim=768,
        megabytes=1113.2,
        licence="MIT",
        remark="100 languages",
        as_of=_AS_OF,
    ),
)
"""Text encoders of Transformers."""

VISION_MODELS = (
    KnownModel(
        name="facebook/dinov2-small",
        dim=384,
        megabytes=88.2,
        licence="Apache-2.0",
        remark="self-supervised; finds look-alikes",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="google/vit-base-patch16-224-in21k",
        dim=768,
        megabytes=345.6,
        licence="Apache-2.0",
        remark="trained on the classes of ImageNet-21k",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="openai/clip-vit-base-patch32",
        dim=768,
        megabytes=605.1,
        remark="trained on captions; the card states no licence; only the vision tower is used",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="facebook/dinov2-base",
        dim=768,
        megabytes=346.3,
        licence="Apache-2.0",
        remark="self-supervised; better and slower than dinov2-small",
        as_of=_AS_OF,
    ),
)
"""Vision encoders of Transformers."""


def sentence_models() -> tuple[KnownModel, ...]:
    """For ``hf/sentence``."""
    return SENTENCE_MODELS


def text_models() -> tuple[KnownModel, ...]:
    """For ``hf/text``."""
    return TEXT_MODELS


def vision_models() -> tuple[KnownModel, ...]:
    """For ``hf/vision``."""
    return VISION_MODELS
