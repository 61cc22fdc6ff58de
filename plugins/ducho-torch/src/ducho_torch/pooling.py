"""From maps and token sequences to one vector an item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Self

from torch import nn

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


class LayerPooling:
    """Pools the outputs of named layers of one image network.

    Whether a layer's map lies as (n, d, height, width) or as (n, height, width, d) is told by
    its sides when it is first seen, which must be for a batch of one.

    Args:
        how: as in ``pool_spatial``.
        height: of the network's input.
        width: of the network's input.
        prefix_tokens: class and register tokens at the start of a token sequence.
        patches: length of a sequence of patches alone, where it is known; none of one so long
            are left out, since the class token has not joined it (yet).
        channels_last: what a map is taken for where its sides leave it open.
    """

    def __init__(
        self,
        how: str,
        *,
        height: int,
        width: int,
        prefix_tokens: int = 0,
        patches: int | None = None,
        channels_last: bool = False,
    ) -> None:
        self._how = how
        self._aspect = math.log(height / width)
        self._prefix_tokens = prefix_tokens
        self._patches = patches
        self._default = channels_last
        self._channels_last: dict[str, bool] = {}

    @classmethod
    def of(
        cls,
        model: nn.Module,
        how: str,
        *,
        height: int,
        width: int,
        prefix_tokens: int | None = None,
    ) -> Self:
        """Pooling for a network, with what timm's and torchvision's say of their tokens.

        Args:
            model: the network.
            how: as in ``pool_spatial``.
            height: of its input.
            width: of its input.
            prefix_tokens: class and register tokens, where they are not to be found out.
        """
        return cls(
            how,
            height=height,
            width=width,
            prefix_tokens=_prefix_tokens(model) if prefix_tokens is None else prefix_tokens,
            patches=_patches(model, height, width),
            channels_last=getattr(model, "output_fmt", None) == "NHWC",
        )

    def __call__(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Pool the output of layer ``name``.

        Returns:
            Shape (n, d).

        Raises:
            UsageError: the output is not a row an image, or the pooling does not fit its shape.
        """
        if name not in self._channels_last:
            self._channels_last[name] = self._is_channels_last(name, tensor)
        joined = tensor.ndim != 3 or tensor.shape[1] != self._patches
        return pool_spatial(
            tensor,
            self._how,
            prefix_tokens=self._prefix_tokens if joined else 0,
            channels_last=self._channels_last[name],
        )

    def _is_channels_last(self, name: str, tensor: torch.Tensor) -> bool:
        if tensor.ndim < 2 or tensor.shape[0] != 1:
            raise UsageError(
                f"layer {name} gives shape {tuple(tensor.shape)} for one image, which is not a row"
                " an image (windows, perhaps); choose the block around it"
            )
        if tensor.ndim != 4:
            return False
        _, first, second, third = tensor.shape
        as_first = abs(math.log(second / third) - self._aspect)
        as_last = abs(math.log(first / second) - self._aspect)
        if math.isclose(as_first, as_last, abs_tol=1e-6):
            return self._default
        return as_last < as_first


def _prefix_tokens(model: nn.Module) -> int:
    """Class and register tokens: what timm counts, or the shape of the class token."""
    count = getattr(model, "num_prefix_tokens", None)
    if isinstance(count, int):
        return count
    for name in ("class_token", "cls_token"):
        token = getattr(model, name, None)
        if isinstance(token, nn.Parameter):
            return int(token.shape[1]) if token.ndim == 3 else 1
    return 0


def _patches(model: nn.Module, height: int, width: int) -> int | None:
    """Patches that a vision transformer cuts an image into; None where that is not known."""
    for owner in (getattr(model, "patch_embed", None), getattr(model, "pixel_embed", None), model):
        grid = getattr(owner, "dynamic_feat_size", None)
        if callable(grid):
            return int(math.prod(grid((height, width))))
        projection = getattr(owner, "proj", None)
        step = getattr(owner, "patch_size", getattr(projection, "stride", None))
        down, across = step if isinstance(step, tuple | list) else (step, step)
        if isinstance(down, int) and isinstance(across, int):
            return (height // down) * (width // across)
    return None


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
