"""Good models to start with, for ``ducho plugins models`` and where no model was given.

Lengths are those of the projected vectors, by each model's published config.json; sizes are the
parameters that Transformers makes of that configuration, at four bytes each; licences are those
of the model cards, none where a card states none. Looked up on the date in ``as_of``; the cards
are at the model's name on the Hugging Face hub. ALIGN and AltCLIP are the models of "Ducho meets
Elliot" (Attimonelli et al., 2024).
"""

from __future__ import annotations

from ducho_core import KnownModel

_AS_OF = "2026-11-25"

MODELS = (
    KnownModel(
        name="openai/clip-vit-base-patch32",
        dim=512,
        megabytes=605.1,
        remark="English; the usual baseline; the card states no licence, the code's is MIT",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="google/siglip-base-patch16-224",
        dim=768,
        megabytes=812.6,
        licence="Apache-2.0",
        remark="English",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="google/siglip2-base-patch16-224",
        dim=768,
        megabytes=1500.8,
        licence="Apache-2.0",
        remark="many languages",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="openai/clip-vit-base-patch16",
        dim=512,
        megabytes=598.5,
        remark="English; CLIP of Ducho 2.0's demo; the card states no licence, the code's is MIT",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        dim=512,
        megabytes=605.1,
        licence="MIT",
        remark="English; trained on LAION-2B",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="openai/clip-vit-large-patch14",
        dim=768,
        megabytes=1710.5,
        remark="English; slower; the card states no licence, the code's is MIT",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="google/siglip-so400m-patch14-384",
        dim=1152,
        megabytes=3511.8,
        licence="Apache-2.0",
        remark="English; better and far slower",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="kakaobrain/align-base",
        dim=640,
        megabytes=688.5,
        remark="English; an EfficientNet and a BERT; the card states no licence",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="BAAI/AltCLIP",
        dim=768,
        megabytes=3456.7,
        licence="CreativeML-OpenRAIL-M",
        remark="English and Chinese",
        as_of=_AS_OF,
    ),
)
"""Dual encoders of Transformers; the first three are named where no model was given."""


def known_models() -> tuple[KnownModel, ...]:
    """The models that ``ducho plugins models clip`` lists."""
    return MODELS
