"""From maps and token sequences to one vector an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ducho_core import UsageError

if TYPE_CHECKING:
    import torch

Pooling = Literal["avg", "max", "gem", "cls", "none-flatten"]

_GEM_POWER = 3.0
_GEM_FLOOR = 1e-6


def pool_spatial(
    tensor: torch.Tensor,
    how: str,
    *,
    prefix_tokens: int = 0,
    channels_last: bool = False,
) -> torch.Tensor:
    """Pool a layer's output to one vector an item.

    Args:
        tensor: (n, d), returned as it is; (n, tokens, d); or a map, (n, d, height, width).
        how: ``avg``, ``max`` and ``gem`` (generalised mean, power 3, over values clamped to at
            least 1e-6) take all positions but the prefix tokens; ``cls`` takes the first
            token; ``none-flatten`` keeps everything, in the order in which it lies.
        prefix_tokens: class and register tokens at the start of a token sequence.
        channels_last: a map is (n, height, width, d).

    Returns:
        Shape (n, d), or (n, all the rest) for ``none-flatten``.

    Raises:
        UsageError: this pooling does not fit the shape.
    """
    if tensor.ndim == 2:
        return tensor
    if how == "none-flatten":
        return tensor.flatten(1)
    if tensor.ndim == 3:
        if how == "cls":
            return tensor[:, 0]
        positions = tensor[:, prefix_tokens:] if tensor.shape[1] > prefix_tokens else tensor
        return _reduce(positions, how, (1,))
    if tensor.ndim == 4 and how != "cls":
        return _reduce(tensor, how, (1, 2) if channels_last else (2, 3))
    raise UsageError(
        f"pooling={how} does not fit an output of shape {tuple(tensor.shape)}:"
        " cls needs tokens, avg, max and gem need a map or tokens; none-flatten always fits"
    )


def _reduce(tensor: torch.Tensor, how: str, dims: tuple[int, ...]) -> torch.Tensor:
    if how == "avg":
        return tensor.mean(dim=dims)
    if how == "max":
        return tensor.amax(dim=dims)
    if how == "gem":
        # In bfloat16 the third power and its root would lose half of the digits.
        powers = tensor.float().clamp(min=_GEM_FLOOR).pow(_GEM_POWER)
        return powers.mean(dim=dims).pow(1.0 / _GEM_POWER)
    raise UsageError(f"pooling={how}: it is one of avg, max, gem, cls, none-flatten")
