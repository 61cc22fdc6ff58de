"""Padded batches of prompts, their positions, and the images that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_lvlm.chat import Arrays


@dataclass(slots=True)
class Batch:
    """Prompts padded on the left.

    Attributes:
        tokens: ``input_ids`` and what else there is a number of for each token, each of shape
            (n, length), int64.
        mask: True where there is a token, shape (n, length).
        images: what belongs to the images, on the device, as the model takes it.
    """

    tokens: dict[str, torch.Tensor]
    mask: torch.Tensor
    images: dict[str, torch.Tensor]


def pad_tokens(
    prompts: Sequence[Arrays], pad: int, device: torch.device
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Pad on the left to the longest; see ``Batch``."""
    length = max(len(one["input_ids"]) for one in prompts)
    mask = np.zeros((len(prompts), length), bool)
    padded = {
        name: np.full((len(prompts), length), pad if name == "input_ids" else 0, np.int64)
        for name in prompts[0]
    }
    for row, one in enumerate(prompts):
        start = length - len(one["input_ids"])
        mask[row, start:] = True
        for name, array in one.items():
            padded[name][row, start:] = array
    tensors = {name: torch.from_numpy(array).to(device) for name, array in padded.items()}
    return tensors, torch.from_numpy(mask).to(device)


def join_images(
    items: Sequence[Arrays], device: torch.device, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Arrays of several items' images, one after another, smaller ones filled up with zeros.

    Filling up is what Transformers' processors do to a batch themselves, with masks beside it
    where that matters.
    """
    joined: dict[str, torch.Tensor] = {}
    for name in items[0]:
        arrays = [one[name] for one in items]
        shape = tuple(np.max([array.shape[1:] for array in arrays], axis=0).astype(int))
        if any(array.shape[1:] != shape for array in arrays):
            arrays = [_filled(array, shape) for array in arrays]
        tensor = torch.from_numpy(np.concatenate(arrays)).to(device)
        joined[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return joined


def positions(model: Any, batch: Batch) -> torch.Tensor:
    """Position of each token, 0 where there is none.

    Returns:
        Shape (n, length), or (3, n, length) for models whose positions have three axes.
    """
    counted = batch.mask.long().cumsum(1).sub(1).clamp(min=0)
    if not hasattr(model, "get_rope_index"):
        return counted
    if not batch.images:
        return counted.expand(3, *counted.shape)
    found: torch.Tensor = model.get_rope_index(
        batch.tokens["input_ids"],
        mm_token_type_ids=batch.tokens["mm_token_type_ids"],
        image_grid_thw=batch.images["image_grid_thw"],
        attention_mask=batch.mask,
    )[0]
    return found


def _filled(array: Any, shape: tuple[int, ...]) -> Any:
    whole = np.zeros((len(array), *shape), array.dtype)
    whole[(slice(None), *(slice(0, length) for length in array.shape[1:]))] = array
    return whole
