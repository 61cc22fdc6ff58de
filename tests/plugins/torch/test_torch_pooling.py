"""What is left out of the mean of a vision transformer's tokens, and what is not."""

from __future__ import annotations

import pytest
import torch
from ducho_torch import LayerPooling, ensure_torchvision
from torch import nn

HEIGHT, WIDTH = 32, 16


class Embedding(nn.Module):
    """Cuts an image into patches of 8 pixels and says so in some way."""

    def __init__(self, **said: object) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 4, 8, stride=8)
        for name, value in said.items():
            setattr(self, name, value)


class Transformer(nn.Module):
    def __init__(self, embedding: nn.Module, **said: object) -> None:
        super().__init__()
        self.patch_embed = embedding
        for name, value in said.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    "embedding",
    [
        {"dynamic_feat_size": lambda size: (size[0] // 8, size[1] // 8), "patch_size": 1},
        {"patch_size": 8},
        {"patch_size": (8, 8)},
        {},
    ],
)
@pytest.mark.parametrize(
    ("tokens", "count"),
    [
        ({"num_prefix_tokens": 5, "cls_token": nn.Parameter(torch.zeros(1, 1, 4))}, 5),
        ({"cls_token": nn.Parameter(torch.zeros(1, 2, 4))}, 2),
        ({"class_token": nn.Parameter(torch.zeros(1, 1, 4))}, 1),
        ({"class_token": False}, 0),
    ],
)
def test_tokens_before_the_patches_are_found_and_left_out_of_the_mean(
    embedding: dict[str, object], tokens: dict[str, object], count: int
) -> None:
    model = Transformer(Embedding(**embedding), **tokens)
    pool = LayerPooling.of(model, "avg", height=HEIGHT, width=WIDTH)
    patches = torch.randn(1, 8, 4)
    joined = torch.cat([torch.full((1, count, 4), 100.0), patches], 1)
    assert torch.equal(pool("blocks.0", joined), patches.mean(1))
    assert torch.equal(pool("patch_embed", patches), patches.mean(1))
    # Where a network pools its patches on the way, the class token is still before them.
    fewer = torch.cat([joined[:, :count], patches[:, :2]], 1)
    assert torch.equal(pool("blocks.1", fewer), patches[:, :2].mean(1))


def test_a_number_that_is_given_wins() -> None:
    model = Transformer(Embedding(), num_prefix_tokens=1)
    pool = LayerPooling.of(model, "avg", height=HEIGHT, width=WIDTH, prefix_tokens=3)
    tokens = torch.randn(1, 11, 4)
    assert torch.equal(pool("blocks.0", tokens), tokens[:, 3:].mean(1))


def test_torchvisions_vision_transformer() -> None:
    ensure_torchvision()
    from torchvision.models import VisionTransformer

    model = VisionTransformer(32, 8, 1, 2, 16, 16)
    pool = LayerPooling.of(model, "max", height=32, width=32)
    tokens = torch.randn(1, model.seq_length, 16)
    assert torch.equal(pool("encoder.ln", tokens), tokens[:, 1:].amax(1))
    assert torch.equal(pool("permute", tokens[:, :16]), tokens[:, :16].amax(1))
