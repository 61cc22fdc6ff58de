"""What a user may choose; nothing needs to be. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from ducho_audio import MaxSeconds, TooLong
from ducho_timm import ImageOptions

from ducho_core import option

RandomWeights = Annotated[
    bool, option(help="random weights instead of the trained ones, as a control in a study")
]
Seed = Annotated[int, option(help="seed of the random weights", ge=0)]


class StarterImageOptions(ImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``starter/image``: those of ``timm/image``, less the choice of a model."""

    random_weights: RandomWeights = False
    seed: Seed = 0


class StarterTextOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``starter/text``."""

    random_weights: RandomWeights = False
    seed: Seed = 0


class StarterAudioOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``starter/audio``."""

    features: Annotated[
        Literal["embedding", "spectrogram"],
        option(
            help="embedding: what the network gives; spectrogram: the mean of what it is given, as"
            " a control in a study"
        ),
    ] = "embedding"
    max_seconds: MaxSeconds = None
    too_long: TooLong = "cut"
