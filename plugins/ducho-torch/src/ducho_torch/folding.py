"""Folding batch norms into the convolutions before them, only where that proves right."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

if TYPE_CHECKING:
    from collections.abc import Collection

_PAIR_TOLERANCE = 1e-4
_MODEL_TOLERANCE = 1e-3
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norm(model: nn.Module, example: torch.Tensor, *, keep: Collection[str] = ()) -> int:
    """Fold batch norms into the convolutions whose output they alone take, in place.

    Which pairs there are is seen in a pass over ``example``. Each folded pair is compared
    with the original on its real input, then the whole model is; what differs by more than
    rounding is left as it was.

    Args:
        model: in evaluation mode, float32.
        example: an input batch with ordinary values, on the model's device.
        keep: names of modules whose outputs are wanted unchanged.

    Returns:
        How many batch norms were folded; 0 where the whole model could not be confirmed.
    """
    before = _forward(model, example)
    if before is None:
        return 0
    names = {module: name for name, module in model.named_modules()}
    originals: list[tuple[str, nn.Module]] = []
    for convolution, norm, value in _pairs(model, example):
        if any(_parts(kept, names[convolution], names[norm]) for kept in keep):
            continue
        folded = _fold_pair(convolution, norm, value)
        if folded is None:
            continue
        for module, replacement in zip((convolution, norm), folded, strict=True):
            originals.append((names[module], module))
            model.set_submodule(names[module], replacement)
    after = _forward(model, example)
    if after is None or not _close(before, after, _MODEL_TOLERANCE):
        for name, module in originals:
            model.set_submodule(name, module)
        return 0
    return len(originals) // 2


def _parts(kept: str, convolution: str, norm: str) -> bool:
    """Whether what a wanted module gives lies between the two, or inside the norm."""
    ends_before = _within(convolution, kept) and not _within(norm, kept)
    return ends_before or (kept != norm and _within(kept, norm))


def _within(name: str, module: str) -> bool:
    return f"{name}.".startswith(f"{module}.")


def _forward(model: nn.Module, example: torch.Tensor) -> torch.Tensor | None:
    with torch.inference_mode():
        output = model(example)
    return output.clone() if isinstance(output, torch.Tensor) else None


def _pairs(
    model: nn.Module, example: torch.Tensor
) -> list[tuple[nn.Module, nn.Module, torch.Tensor]]:
    """(convolution, batch norm, the convolution's input) where one feeds the other directly."""
    made_by: dict[int, nn.Module] = {}
    inputs: dict[nn.Module, torch.Tensor] = {}
    alive: list[torch.Tensor] = []  # so that no two outputs get the same id
    calls: dict[nn.Module, int] = {}
    pairs: list[tuple[nn.Module, nn.Module]] = []

    def after_convolution(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        inputs[module] = args[0].clone()
        made_by[id(output)] = module
        alive.append(output)

    def before_norm(module: nn.Module, args: Any) -> None:
        calls[module] = calls.get(module, 0) + 1
        convolution = made_by.get(id(args[0]))
        if convolution is not None:
            pairs.append((convolution, module))

    handles = []
    for module in model.modules():
        if _foldable_convolution(module):
            handles.append(module.register_forward_hook(after_convolution))
        elif _foldable_norm(module):
            handles.append(module.register_forward_pre_hook(before_norm))
    try:
        with torch.inference_mode():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return [
        (convolution, norm, inputs[convolution])
        for convolution, norm in pairs
        if calls[convolution] == calls[norm] == 1
    ]


def _foldable_convolution(module: nn.Module) -> bool:
    return isinstance(module, _CONVOLUTIONS) and not hasattr(module, "parametrizations")


def _foldable_norm(module: nn.Module) -> bool:
    return (
        isinstance(module, _BATCH_NORMS)
        and module.running_mean is not None
        and module.running_var is not None
        and _tail(module) is not None
    )


def _tail(norm: nn.Module) -> nn.Module | None:
    """What a batch norm module does after normalising; None where that is not known."""
    if type(norm) in _BATCH_NORMS:
        return nn.Identity()
    drop, activation = getattr(norm, "drop", None), getattr(norm, "act", None)
    if isinstance(drop, nn.Module) and isinstance(activation, nn.Module):
        return nn.Sequential(drop, activation)
    return None


def _fold_pair(
    convolution: Any, norm: Any, value: torch.Tensor
) -> tuple[nn.Module, nn.Module] | None:
    tail = _tail(norm)
    if tail is None:
        return None
    folded = copy.deepcopy(convolution)
    folded.weight, folded.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    with torch.inference_mode():
        expected = norm(convolution(value))
        if not _close(expected, tail(folded(value)), _PAIR_TOLERANCE):
            return None
    return folded, tail


def _close(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    distance = torch.linalg.vector_norm((one - other).float())
    length = torch.linalg.vector_norm(one.float())
    return bool(torch.isfinite(distance) and distance <= tolerance * length)
