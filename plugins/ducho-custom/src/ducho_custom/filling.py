"""Filling a network with weights that need not fit it everywhere, and proving that they do.

What a checkpoint lacks becomes NaN in the network, where a random number would go unnoticed.
Where an output depends on it, the output is NaN too: the first pass tells, and names what lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Weights of a network that a state dict did not fill.

    Attributes:
        source: what the state dict came from.
        names: the weights, with both shapes where the state dict has one of another shape.
    """

    source: str
    names: tuple[str, ...] = ()

    def check(self, outputs: Mapping[str, torch.Tensor]) -> None:
        """See that no output of a first pass depends on what was not filled.

        Raises:
            UsageError: one does.
        """
        if not self.names:
            return
        hurt = [name for name, tensor in outputs.items() if not torch.isfinite(tensor).all()]
        if hurt:
            raise UsageError(
                f"{self.source} lacks weights that {', '.join(hurt)} would need, among these"
                f" {len(self.names)}: {_some(self.names)}. Is it the same architecture? Name"
                " layers before the missing ones, or give weights that have them"
            )


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], *, source: str) -> Gaps:
    """Put a state dict into a network, and NaN wherever it has no number of its own.

    Tensors that the network does not know are an error, apart from those of a module that it
    has under that name with other weights (a replaced classifier). Whole numbers that are
    missing (counters, position tables) stay as the network made them.

    Args:
        model: changed in place.
        state: names to tensors.
        source: what the state dict came from, for messages.

    Raises:
        UsageError: names that the network does not know, or nothing fits.
    """
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, ValueError, KeyError):
        pass
    else:
        return Gaps(source=source)
    expected = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if name in expected and expected[name].shape == tensor.shape
    }
    if not fitting:
        raise UsageError(
            f"no weight of {source} fits {type(model).__name__}: it has"
            f" {_some(tuple(state))}, the network {_some(tuple(expected))}. Is it the same"
            " architecture? -o prefix=... drops what stands before the names"
        )
    model.load_state_dict(fitting, strict=False)
    filled = {expected[name].data_ptr() for name in fitting}
    gaps: dict[str, str] = {}
    for name, tensor in expected.items():
        if name in fitting or tensor.data_ptr() in filled or not tensor.numel():
            continue
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.fill_(float("nan"))
            other = tuple(state[name].shape) if name in state else None
            gaps[name] = f"{name}" + (f" ({other} for {tuple(tensor.shape)})" if other else "")
    _refuse_strangers(state, expected, gaps, source, type(model).__name__)
    return Gaps(source=source, names=tuple(gaps.values()))


def _refuse_strangers(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    gaps: Mapping[str, str],
    source: str,
    network: str,
) -> None:
    replaced = {name.rpartition(".")[0] for name in gaps} - {""}
    strangers = [
        name
        for name in state
        if name not in expected and not any(name.startswith(f"{one}.") for one in replaced)
    ]
    if strangers:
        modules = sorted({name.rpartition(".")[0] or name for name in strangers})
        raise UsageError(
            f"{source} has {len(strangers)} weights that {network} does not know:"
            f" {_some(tuple(strangers))}. Is it the same architecture? What the outputs do not"
            f" need is left aside with -o ignore={','.join(modules[:3])}"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
