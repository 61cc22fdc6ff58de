"""Building a torchvision network and filling it, strictly, with weights."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from ducho_torch import load_state
from torch import nn

from ducho_core import UsageError
from ducho_torchvision.registry import Weightless, classifier_name, models, quiet_arguments

if TYPE_CHECKING:
    from ducho_torchvision.sources import WeightsSource

State: TypeAlias = Mapping[str, torch.Tensor]
Reader: TypeAlias = Callable[[Sequence[str]], State]

_DENSE_LAYER = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)")
_AUXILIARY = ("aux1.", "AuxLogits.")


def build_model(
    source: WeightsSource, reader: Reader, size: tuple[int, int]
) -> tuple[nn.Module, str]:
    """Build the network and load its weights, on the CPU.

    Args:
        source: architecture and weights.
        reader: reads the weight files into a state dict under torchvision's names.
        size: (width, height) of the input in pixels.

    Returns:
        The network, and the name of its classifier: an ``nn.Identity`` where the weights have
        none.

    Raises:
        UsageError: the weights do not fit the architecture, or the size does not.
    """
    name = source.architecture
    args = {**_size_arguments(name, size), **source.model_args}
    if not source.files:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(source.seed)
            model = _create(name, args | quiet_arguments(name))
        return model, classifier_name(model)
    state = _present_names(name, reader(source.files))
    if name in ("googlenet", "inception_v3"):
        auxiliary = any(key.startswith(_AUXILIARY) for key in state)
        args |= {"init_weights": False, "aux_logits": auxiliary}
    with Weightless():
        classifier = classifier_name(_create(name, args))
    head = state.get(f"{classifier}.weight")
    if head is not None:
        args["num_classes"] = int(head.shape[0])
    model = _create(name, args)
    if head is None:
        model.set_submodule(classifier, nn.Identity())
    load_state(model, state, source=f"the weights file for {name}")
    return model, classifier


def _size_arguments(name: str, size: tuple[int, int]) -> dict[str, Any]:
    """What networks that are made for one size must be told of it."""
    width, height = size
    if name.startswith("vit_"):
        if width != height:
            raise UsageError(f"{name} takes square images only, not {width} x {height}")
        return {"image_size": width}
    if name.startswith("maxvit"):
        return {"input_size": (height, width)}
    return {}


def _create(name: str, args: Mapping[str, Any]) -> nn.Module:
    try:
        model: nn.Module = models.get_model(name, weights=None, **args)
    except (ValueError, AssertionError) as error:
        raise UsageError(f"{name} cannot be built for these images: {error}") from error
    return model


def _present_names(name: str, state: State) -> State:
    """Older checkpoints under the names of today, where the network does not see to it."""
    if name.startswith("densenet"):
        return {_DENSE_LAYER.sub(r"\1\2", key): value for key, value in state.items()}
    if name.startswith("mnasnet") and not hasattr(state, "_metadata"):
        # A file without versions, such as a .safetensors, is of the present one.
        versioned: Any = OrderedDict(state)
        versioned._metadata = {"": {"version": 2}}
        return cast("State", versioned)
    return state
