"""Good models to start with, for ``ducho plugins models`` and where no model was given.

Lengths of vectors are those of each model's published config.json; sizes are the parameters that
Transformers makes of that configuration, at four bytes each, with what the checkpoint holds beside
the encoder; licences are those of the model cards. Looked up on the date in ``as_of``.
"""

from __future__ import annotations

from ducho_core import KnownModel

_AS_OF = "2026-11-25"

ENCODER_MODELS = (
    KnownModel(
        name="openai/whisper-base",
        dim=512,
        megabytes=290.4,
        licence="Apache-2.0",
        remark="speech in 98 languages; only its encoder is used",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="MIT/ast-finetuned-audioset-10-10-0.4593",
        dim=768,
        megabytes=346.4,
        licence="BSD-3-Clause",
        remark="sounds of all kinds, the 527 classes of AudioSet; -o pooling=pooler",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="facebook/wav2vec2-base",
        dim=768,
        megabytes=380.2,
        licence="Apache-2.0",
        remark="English speech, self-supervised",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="facebook/hubert-base-ls960",
        dim=768,
        megabytes=377.5,
        licence="Apache-2.0",
        remark="English speech, self-supervised",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="microsoft/wavlm-base-plus",
        dim=768,
        megabytes=377.5,
        remark="English speech and who speaks; the card names the licence of microsoft/UniSpeech",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="openai/whisper-tiny",
        dim=384,
        megabytes=151.0,
        licence="Apache-2.0",
        remark="speech in 98 languages; only its encoder is used",
        as_of=_AS_OF,
    ),
)
"""For ``audio/encoder``."""

CLAP_MODELS = (
    KnownModel(
        name="laion/clap-htsat-unfused",
        dim=512,
        megabytes=614.0,
        licence="Apache-2.0",
        remark="sounds of all kinds and English texts",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="laion/larger_clap_general",
        dim=512,
        megabytes=775.7,
        licence="Apache-2.0",
        remark="sounds of all kinds, music and speech, and English texts",
        as_of=_AS_OF,
    ),
    KnownModel(
        name="laion/clap-htsat-fused",
        dim=512,
        megabytes=614.0,
        licence="Apache-2.0",
        remark="as clap-htsat-unfused, trained with sounds over 10 seconds",
        as_of=_AS_OF,
    ),
)
"""For ``audio/clap``."""


def encoder_models() -> tuple[KnownModel, ...]:
    """For ``audio/encoder``."""
    return ENCODER_MODELS


def clap_models() -> tuple[KnownModel, ...]:
    """For ``audio/clap``."""
    return CLAP_MODELS
