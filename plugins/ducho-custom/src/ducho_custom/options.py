"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ducho_torch import ImageOptions

from ducho_core import RunOptions, option

OUTPUT = "output"
"""The layer that stands for what the model itself gives."""

POOLED = "pooled"
"""The layer that stands for the features before the classifier."""


class CustomOptions(ImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``custom/model``."""

    model: Annotated[
        str | None,
        option(
            help="the file that holds the weights (.safetensors, or a state dict) or the program"
            " (.onnx, TorchScript, .pt2), or a Transformers folder"
        ),
    ] = None
    architecture: Annotated[
        str | None,
        option(
            help="the network that the weights are for: timm:NAME, torchvision:NAME or"
            " transformers:FOLDER (one with a config.json)"
        ),
    ] = None
    factory: Annotated[
        str | None,
        option(
            help="MODULE:FUNCTION or FILE.py:FUNCTION, your own code that makes the network that"
            " the weights are for; it is run"
        ),
    ] = None
    arguments: Annotated[
        dict[str, Any],
        option(help="keyword arguments for the architecture or factory, as JSON"),
    ] = {}  # noqa: RUF012 - msgspec copies it
    prefix: Annotated[
        str,
        option(
            help="take only the weights whose names begin so, and drop it from them: backbone. or"
            " model. as training frameworks leave them"
        ),
    ] = ""
    ignore: Annotated[
        tuple[str, ...],
        option(help="weights to leave aside, by the module that they belong to, such as fc"),
    ] = ()
    layers: Annotated[
        tuple[str, ...],
        option(
            help="outputs wanted, an output each: modules as in named_modules() (ONNX: tensors of"
            " the graph), output: what the model gives, pooled: the features before the"
            " classifier; if not given, pooled for an architecture of timm or torchvision, else"
            " output"
        ),
    ] = ()
    pooling: Annotated[
        Literal["avg", "max", "gem", "cls", "last", "none-flatten"],
        option(
            help="how a layer's map or tokens become one vector (images: class tokens are left"
            " out of avg, max and gem; texts: padding is left out; last: the last token of a"
            " text)"
        ),
    ] = "avg"  # type: ignore[assignment]  # one more word than images have
    prefix_tokens: Annotated[
        int | None,
        option(
            help="class and register tokens at the start of an image's tokens; the network's own"
            " number if not given",
            ge=0,
        ),
    ] = None
    tokenizer: Annotated[
        str | None,
        option(help="folder of a Transformers tokenizer, for texts; the model's own by default"),
    ] = None
    max_length: Annotated[
        int | None, option(help="longest text in tokens; the model's own limit if not given", ge=1)
    ] = None
    preprocessing_file: Annotated[
        str | None,
        option(
            help="TOML file with preprocessing, resize, input_size, crop_pct, interpolation, mean"
            " or std; preprocessing.toml beside the model if not given. An option given here wins"
        ),
    ] = None


class CustomRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Circumstances of ``custom/model``."""

    sha256: Annotated[
        str | None,
        option(
            help="digest of the model file. A pickle, TorchScript or .pt2 is loaded only so: what"
            " you pin may run any code, so pin nothing whose author you do not trust"
        ),
    ] = None
