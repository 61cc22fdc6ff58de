"""What a user may choose of an image network. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import option


class ResizedImageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layers and preprocessing of a network over images that are resized and not cropped."""

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


class ImageOptions(ResizedImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layers and preprocessing: the same for every extractor that runs a network over images."""

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
