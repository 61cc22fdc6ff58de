"""What a user may choose. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from ducho_torch import ImageOptions

from ducho_core import RunOptions, option


class TorchvisionOptions(ImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``torchvision/image``."""

    layers: Annotated[
        tuple[str, ...],
        option(
            help="outputs wanted, an output each: names of graph nodes as torchvision has them"
            " (avgpool, classifier.3, layer4.2.relu_2; a module stands for its last node), and"
            " the word pooled, which is what the classifier takes; only pooled if not given"
        ),
    ] = ()
    model: Annotated[
        str | None, option(help="torchvision model name such as resnet50 or vit_b_16")
    ] = None
    weights: Annotated[
        str,
        option(
            help="entry of the model's weights enum, such as IMAGENET1K_V2, or DEFAULT; it settles"
            " the preprocessing too"
        ),
    ] = "DEFAULT"
    pretrained: Annotated[
        bool, option(help="false: random weights drawn from seed, as a control")
    ] = True
    seed: Annotated[int, option(help="seed of random weights", ge=0)] = 0


class TorchvisionRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Circumstances of ``torchvision/image``; what is in a weights file enters the SPEC."""

    weights_file: Annotated[
        str | None,
        option(
            help="a .safetensors or checkpoint file with weights for model; the preprocessing"
            " stays that of weights"
        ),
    ] = None
