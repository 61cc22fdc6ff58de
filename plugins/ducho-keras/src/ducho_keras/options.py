"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from ducho_torch import ResizedImageOptions

from ducho_core import RunOptions, option


class KerasOptions(ResizedImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``keras/image``."""

    layers: Annotated[
        tuple[str, ...],
        option(
            help="outputs wanted, an output each: layer names as Keras has them (avg_pool, fc2,"
            " block5_pool), and the word pooled, which is what the classifier takes; only pooled"
            " if not given"
        ),
    ] = ()
    preprocessing: Annotated[
        Literal["model", "zscore", "minmax", "none"],
        option(
            help="model: preprocess_input of the model's family; the others divide by 255, and"
            " then zscore: subtract mean and divide by std (those of ImageNet if not given),"
            " minmax: stretch each image to 0..1, none: no more"
        ),
    ] = "model"
    resize: Annotated[
        tuple[int, ...],
        option(
            help="WIDTH,HEIGHT or one side in pixels of the model's input, to which images are"
            " resized keeping no aspect ratio; the model's own if not given",
            ge=1,
            max_length=2,
        ),
    ] = ()
    interpolation: Annotated[
        Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"],
        option(
            help="resampling filter; bicubic is Ducho 2.0's, nearest that of keras.utils.load_img"
        ),
    ] = "bicubic"
    model: Annotated[
        str | None,
        option(help="name in keras.applications such as ResNet50; case does not count"),
    ] = None
    pretrained: Annotated[
        bool, option(help="false: random weights drawn from seed, as a control")
    ] = True
    seed: Annotated[int, option(help="seed of random weights", ge=0, le=2**32 - 1)] = 0


class KerasRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Circumstances of ``keras/image``; what is in a weights file enters the SPEC."""

    weights_file: Annotated[
        str | None,
        option(
            help="a .weights.h5, .h5 or .keras file with weights for model; of a .keras file"
            " nothing but the weights is read"
        ),
    ] = None
