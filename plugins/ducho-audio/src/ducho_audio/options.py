"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from ducho_hf import ModelOptions

from ducho_core import RunOptions, option

SoundPooling = Literal["mean", "max", "last", "cls", "pooler"]

_WINDOW = (
    "long sounds are cut into windows of so many seconds, whose results are pooled; the model's"
    " own length if not given, or else 30"
)
_HOP = "seconds from one window's beginning to the next's; as long as a window if not given"
_MAX_SECONDS = (
    "longest sound; what happens to longer ones says too_long. If not given, sounds over an hour"
    " fail"
)
_TOO_LONG = (
    "of a sound over max_seconds, cut: take the beginning, counted as truncated; or let it fail"
)
MOST_SECONDS = 3600

Length = Literal["cut", "fail"]


Window = Annotated[float | None, option(help=_WINDOW, gt=0, le=MOST_SECONDS)]
Hop = Annotated[float | None, option(help=_HOP, gt=0, le=MOST_SECONDS)]
MaxSeconds = Annotated[float | None, option(help=_MAX_SECONDS, gt=0, le=MOST_SECONDS)]
TooLong = Annotated[Length, option(help=_TOO_LONG)]


class EncoderOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``audio/encoder``."""

    pooling: Annotated[
        tuple[SoundPooling, ...],
        option(
            help="how frame vectors become one; an output for each that is named. cls and pooler"
            " only where the model has them (AST)",
            min_length=1,
        ),
    ] = ("mean",)
    layers: Annotated[
        tuple[int, ...],
        option(
            help="hidden states to pool: 0 is the embeddings, -1 the last; the encoder's final"
            " output if not given"
        ),
    ] = ()
    frames: Annotated[
        Literal["sound", "all"],
        option(
            help="of models that pad every window to one length (Whisper, AST), pool the frames"
            " that hold sound, or the padding too"
        ),
    ] = "sound"
    window: Window = None
    hop: Hop = None
    max_seconds: MaxSeconds = None
    too_long: TooLong = "cut"


class ClapOptions(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``audio/clap``."""

    long_sounds: Annotated[
        Literal["windows", "first", "centre"],
        option(
            help="of sounds longer than a window, take all in windows whose vectors are averaged,"
            " or only the first or the middle window",
            inputs=("audio",),
        ),
    ] = "windows"
    window: Annotated[
        float | None, option(help=_WINDOW, gt=0, le=MOST_SECONDS, inputs=("audio",))
    ] = None
    hop: Annotated[float | None, option(help=_HOP, gt=0, le=MOST_SECONDS, inputs=("audio",))] = (
        None
    )
    max_seconds: Annotated[
        float | None, option(help=_MAX_SECONDS, gt=0, le=MOST_SECONDS, inputs=("audio",))
    ] = None
    too_long: Annotated[Length, option(help=_TOO_LONG, inputs=("audio",))] = "cut"
    max_length: Annotated[
        int | None,
        option(
            help="longest text in tokens; the model's own limit if not given",
            ge=1,
            inputs=("text",),
        ),
    ] = None


class AudioRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run is carried out."""

    pass_seconds: Annotated[
        float,
        option(
            help="seconds of sound that go through the model in one pass; fewer need less memory",
            gt=0,
        ),
    ] = 60.0
