"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import RunOptions, option


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layers and preprocessing: the same for every extractor that runs a timm network."""

    layers: Annotated[
        tuple[str, ...],
        option(
            help="outputs wanted, an output each: names as in the model's named_modules(), and the"
            " word pooled; only pooled if not given"
        ),
    ] = ()
    pooling: Annotated[
        Literal["avg", "max", "gem", "cls", "none-flatten"],
        option(
            help="how a layer's map or tokens become one vector (class tokens are left out of avg,"
            " max and gem); has no part in pooled"
        ),
    ] = "avg"
    preprocessing: Annotated[
        Literal["model", "zscore", "minmax", "none"],
        option(
            help="model: as the model was trained; the others resize straight to 224 x 224 or to"
            " resize, divide by 255, and then zscore: subtract mean and divide by std (those of"
            " ImageNet if not given), minmax: stretch each image to 0..1, none: no more"
        ),
    ] = "model"
    resize: Annotated[
        tuple[int, ...],
        option(
            help="WIDTH,HEIGHT or one side in pixels: resize straight to it, keeping no aspect"
            " ratio and cropping nothing",
            ge=1,
            max_length=2,
        ),
    ] = ()
    input_size: Annotated[
        tuple[int, ...],
        option(
            help="WIDTH,HEIGHT or one side in pixels of the model's input, with the model's own"
            " way of resizing and cropping",
            ge=1,
            max_length=2,
        ),
    ] = ()
    crop_pct: Annotated[
        float | None,
        option(help="share of the resized image that the centre crop keeps", gt=0, le=1),
    ] = None
    interpolation: Annotated[
        Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] | None,
        option(help="resampling filter; the model's own, or bicubic with resize, if not given"),
    ] = None
    mean: Annotated[
        tuple[float, ...],
        option(help="three channel means of values in 0..1, subtracted", max_length=3),
    ] = ()
    std: Annotated[
        tuple[float, ...],
        option(help="three channel deviations, divided by", gt=0, max_length=3),
    ] = ()


class TimmOptions(ImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``timm/image``."""

    model: Annotated[
        str | None,
        option(help="timm model name such as resnet50.a1_in1k, or hf-hub:ORGANISATION/NAME"),
    ] = None
    revision: Annotated[
        str | None,
        option(help="branch, tag or commit on the hub; the newest commit of main if not given"),
    ] = None
    pretrained: Annotated[
        bool, option(help="false: random weights drawn from seed, as a control")
    ] = True
    seed: Annotated[int, option(help="seed of random weights", ge=0)] = 0


class TimmRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Circumstances of ``timm/image``; what is in the weights file enters the SPEC as a digest."""

    weights: Annotated[
        str | None,
        option(
            help="a .safetensors or checkpoint file with weights for model, or a folder with"
            " config.json and one such file"
        ),
    ] = None
