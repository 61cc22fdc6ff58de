"""Resizing, cropping and normalising, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision_kit as kit
from ducho_torchvision import TorchvisionOptions
from ducho_torchvision.preprocessing import Preprocessing, resolve_preprocessing
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights

from ducho_core import ItemError, Media, OptionError

ENTRIES = [
    ("resnet50", "IMAGENET1K_V1"),
    ("resnet50", "IMAGENET1K_V2"),
    ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
    ("efficientnet_b1", "IMAGENET1K_V1"),
    ("inception_v3", "IMAGENET1K_V1"),
]


def settled(model: str = "resnet50", entry: str = "IMAGENET1K_V2", **options: Any) -> Any:
    return resolve_preprocessing(TorchvisionOptions(**options), get_model_weights(model)[entry])


def values(preprocessing: Preprocessing, picture: Media) -> torch.Tensor:
    pixels = preprocessing.pixels(picture.image())
    assert pixels.dtype == np.uint8
    return preprocessing.normalised(torch.from_numpy(pixels[None].copy()))[0]


@pytest.mark.parametrize(("model", "entry"), ENTRIES)
def test_values_are_those_of_the_weights_own_transforms(
    model: str, entry: str, pictures: list[Media]
) -> None:
    preprocessing = settled(model, entry)
    transform = get_model_weights(model)[entry].transforms()
    for picture in pictures:
        assert torch.equal(values(preprocessing, picture), transform(picture.image()))


@pytest.mark.parametrize("kind", ["zscore", "minmax", "none"])
@pytest.mark.parametrize("resize", [(), (64, 48)])
def test_ducho_2_0s_choices(kind: Any, resize: Any, pictures: list[Media]) -> None:
    preprocessing = settled(preprocessing=kind, resize=resize)
    for picture in pictures:
        small = picture.image().resize(resize or (224, 224), resample=Image.Resampling.BICUBIC)
        expected = transforms.ToTensor()(small)
        if kind == "zscore":
            expected = transforms.Normalize(*kit.IMAGENET)(expected)
        elif kind == "minmax":
            expected = (expected - expected.min()) / (expected.max() - expected.min())
        assert torch.equal(values(preprocessing, picture), expected)


@pytest.mark.parametrize(
    ("options", "size", "resize_size"),
    [
        ({}, [224, 224], 232),
        ({"input_size": (448,)}, [448, 448], 464),
        ({"input_size": (96, 64), "crop_pct": 0.5}, [96, 64], 192),
        ({"crop_pct": 1.0}, [224, 224], 224),
    ],
)
def test_sizes_of_the_models_own_crop(options: Any, size: Any, resize_size: int) -> None:
    identity = settled(**options).identity()
    assert identity["size"] == size
    assert identity["resize_size"] == resize_size
    pixels = settled(**options).pixels(Image.new("RGB", (300, 200)))
    assert pixels.shape == (size[1], size[0], 3)


def test_a_filter_and_a_normalisation_of_ones_own() -> None:
    identity = settled(interpolation="lanczos", mean=(0.1, 0.2, 0.3), std=(1, 2, 3)).identity()
    assert identity["interpolation"] == "lanczos"
    assert identity["mean"] == [0.1, 0.2, 0.3]
    assert identity["std"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resize": (32,), "crop_pct": 0.9}, "only resize=WIDTH,HEIGHT"),
        ({"preprocessing": "zscore", "input_size": (32,)}, "only resize=WIDTH,HEIGHT"),
        ({"preprocessing": "minmax", "mean": (0.1, 0.1, 0.1)}, "uses no mean"),
        ({"std": (0.1,)}, "three values"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        settled(**options)


def test_an_image_too_narrow_to_crop_fails_alone() -> None:
    with pytest.raises(ItemError, match="extreme_aspect_ratio"):
        settled().pixels(Image.new("RGB", (1, 5000)))
    assert settled(resize=(32,)).pixels(Image.new("RGB", (1, 5000))).shape == (32, 32, 3)


def test_networks_made_for_one_size_are_built_for_the_size_asked_for(
    pictures: list[Media],
) -> None:
    layers = ("encoder.ln", "permute", "conv_proj")
    found = kit.features(kit.make(model="vit_b_32", input_size=(64,), layers=layers), pictures[:2])
    assert found["encoder.ln"].shape == (2, 768)
    # The patches, before the class token joins them: none of them is left out.
    assert kit.distances(found["permute"], found["conv_proj"]).max() <= 1e-5
