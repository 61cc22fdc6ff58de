"""From token vectors to one vector an item, and how the outputs are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ducho_core import Output, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ducho_hf.hidden import States


def resolve_layers(layers: Sequence[int], count: int | None, model: str) -> tuple[int, ...]:
    """Hidden states counted from 0, sorted, each once.

    Args:
        layers: as the user gave them; negative ones count from the end.
        count: blocks of the encoder, one fewer than hidden states.
        model: its name, for messages.

    Raises:
        UsageError: there is no such hidden state.
    """
    if layers and count is None:
        raise UsageError(
            f"the configuration of {model!r} does not say how many layers it has, so none can"
            " be chosen; leave layers out"
        )
    found = set()
    for layer in layers:
        states = (count or 0) + 1
        if not -states <= layer < states:
            raise UsageError(
                f"layers: {model!r} has hidden states 0 to {states - 1} (or -{states} to -1), so"
                f" there is no {layer}"
            )
        found.add(layer % states)
    return tuple(sorted(found))


def output_names(
    layers: Sequence[int], pooling: Sequence[str]
) -> dict[str, tuple[int | None, str]]:
    """Output name to hidden state (None for the final output) and pooling.

    Raises:
        UsageError: the model's own pooler is asked for a hidden state.
    """
    if layers and "pooler" in pooling:
        raise UsageError(
            "pooling=pooler is the model's own and works on its final output only; leave layers"
            " out, or choose another pooling"
        )
    if not layers:
        return {how: (None, how) for how in dict.fromkeys(pooling)}
    return {
        f"layer{layer}_{how}": (layer, how) for layer in layers for how in dict.fromkeys(pooling)
    }


def outputs(names: dict[str, tuple[int | None, str]], dim: int | None) -> tuple[Output, ...]:
    """Output descriptors before a model is loaded; a pooler's length only loading tells."""
    return tuple(
        Output(name=name, dim=None if how == "pooler" else dim) for name, (_, how) in names.items()
    )


def pool(states: States, layer: int | None, how: str, mask: torch.Tensor | None) -> torch.Tensor:
    """Pool one hidden state, in float32.

    Args:
        states: what the pass gave.
        layer: which hidden state; None for the final output.
        how: mean, cls, max, last or pooler.
        mask: 1 where there is a token, shape (n, tokens), rows filled from the left; None where
            all positions count.

    Returns:
        Shape (n, d), float32.

    Raises:
        UsageError: the model has no pooled output, or no class token.
    """
    if how == "pooler":
        if states.pooled is None:
            raise UsageError(
                "pooling=pooler: the model has no pooled output of its own; choose another"
            )
        return states.pooled.flatten(1).float()
    hidden = states.last if layer is None else states.hidden[layer]
    assert hidden is not None
    if hidden.ndim == 4:
        if how != "mean":
            raise UsageError(
                f"pooling={how}: the model gives maps, not tokens; choose mean or pooler"
            )
        hidden = hidden.flatten(2).transpose(1, 2)
    hidden = hidden.float()
    if how == "cls":
        return hidden[:, 0]
    if mask is None:
        return hidden.mean(1)
    if how == "last":
        rows = mask.sum(1) - 1
        return hidden[rows.new_tensor(range(len(rows))), rows]
    wide = mask.unsqueeze(-1)
    if how == "max":
        return hidden.masked_fill(wide == 0, float("-inf")).amax(1)
    weights = wide.to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)
