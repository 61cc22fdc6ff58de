"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from ducho_torch import ImageOptions

from ducho_core import RunOptions, option

__all__ = ["ImageOptions", "TimmOptions", "TimmRunOptions"]


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
