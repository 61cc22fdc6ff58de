"""Building a timm network and filling it, strictly, with weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from ducho_torch import ensure_torchvision, load_state
from torch import nn

from ducho_core import UsageError

if TYPE_CHECKING:
    from ducho_timm.sources import WeightsSource

State: TypeAlias = Mapping[str, torch.Tensor]
_PLACES = ("source", "file", "state_dict", "url", "hf_hub_id", "hf_hub_filename")

Reader: TypeAlias = Callable[[Sequence[str], State], State]


def build_model(source: WeightsSource, reader: Reader, size: tuple[int, int]) -> nn.Module:
    """Build the network and load its weights, on the CPU.

    Args:
        source: architecture and weights.
        reader: reads the weight files; is told the network's own state dict.
        size: (width, height) of the input in pixels.

    Raises:
        UsageError: the weights do not fit the architecture, or the size does not.
    """
    args = _arguments(source, size)
    if not source.files:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(source.seed)
            return _create(source, args)
    model = _create(source, args)
    state = reader(source.files, model.state_dict())
    args |= _classes(model, state)
    expected = model.state_dict()
    if "num_classes" in args:
        model = _create(source, args)
        expected = model.state_dict()
    same = expected.keys() == state.keys() and all(
        tensor.shape == state[name].shape for name, tensor in expected.items()
    )
    if not same:
        converted = _converted(source, args, state)
        if converted is not None:
            return converted
    load_state(model, state, source=f"the weights file for {source.architecture}")
    return model


def pretrained_config(source: WeightsSource) -> dict[str, Any]:
    """timm's ``pretrained_cfg`` for these weights; empty where timm has none."""
    if source.config is not None:
        return dict(source.config)
    ensure_torchvision()
    import timm

    config = timm.get_pretrained_cfg(source.architecture)
    found: dict[str, Any] = {} if config is None else config.to_dict()
    return found


def _arguments(source: WeightsSource, size: tuple[int, int]) -> dict[str, Any]:
    args = dict(source.model_args)
    config = pretrained_config(source)
    own = config.get("input_size")
    if own is not None and config.get("fixed_input_size") and tuple(own[:0:-1]) != size:
        args["img_size"] = (size[1], size[0])
    return args


def _create(source: WeightsSource, args: Mapping[str, Any], **more: Any) -> nn.Module:
    ensure_torchvision()
    import timm

    if source.config is not None:
        known = inspect.signature(timm.models.PretrainedCfg).parameters
        more["pretrained_cfg"] = {
            name: value
            for name, value in source.config.items()
            if name in known and name not in _PLACES
        }
    try:
        model: nn.Module = timm.create_model(source.architecture, **args, **more)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        raise UsageError(
            f"{source.architecture} takes images of its own size only; drop resize and input_size"
        ) from error
    return model


def _classes(model: nn.Module, state: State) -> dict[str, Any]:
    """``num_classes`` where the checkpoint's classifier is another than the network's."""
    config: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    expected = model.state_dict()
    for name in (names,) if isinstance(names, str) else names:
        weight = f"{name}.weight"
        if weight in expected and weight not in state:
            return {"num_classes": 0}
        if weight in state and (
            weight not in expected or state[weight].shape[0] != expected[weight].shape[0]
        ):
            return {"num_classes": int(state[weight].shape[0])}
    return {}


def _converted(source: WeightsSource, args: Mapping[str, Any], state: State) -> nn.Module | None:
    """The network with weights that timm itself converts to its names; None where it cannot."""
    overlay = {"state_dict": dict(state)}
    if "num_classes" in args:
        overlay["num_classes"] = args["num_classes"]
    try:
        return _create(source, args, pretrained=True, pretrained_cfg_overlay=overlay)
    except UsageError:
        raise
    except Exception:  # noqa: BLE001 - converters raise whatever a foreign state dict leads to
        return None
