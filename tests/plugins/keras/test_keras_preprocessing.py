"""Resizing and normalising, bit by bit."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import keras_kit as kit
import numpy as np
import pytest
import torch
from ducho_keras import KerasOptions
from ducho_keras.applications import applications
from ducho_keras.preprocessing import family_mode, resolve_preprocessing
from PIL import Image

from ducho_core import Media, OptionError

MODES = {
    "convnext": "inside",
    "densenet": "torch",
    "efficientnet": "inside",
    "efficientnet_v2": "inside",
    "inception_resnet_v2": "tf",
    "inception_v3": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "mobilenet_v3": "inside",
    "nasnet": "tf",
    "resnet": "caffe",
    "resnet_v2": "tf",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "tf",
}


def values(preprocessing: Any, picture: Media) -> np.ndarray:
    pixels = preprocessing.pixels(picture.image())
    assert pixels.dtype == np.uint8
    return preprocessing.normalised(torch.from_numpy(pixels[None].copy()))[0].numpy()


def test_all_families_are_known() -> None:
    assert {one.family for one in applications().values()} == set(MODES)
    assert {family: family_mode(family) for family in MODES} == MODES


@pytest.mark.parametrize("family", ["densenet", "mobilenet_v2", "resnet", "convnext"])
@pytest.mark.parametrize("interpolation", ["bicubic", "nearest"])
def test_values_are_those_of_preprocess_input_after_load_img(
    family: str, interpolation: Any, pictures: list[Media], tmp_path: Path
) -> None:
    options = KerasOptions(interpolation=interpolation, resize=(48, 32))
    preprocessing = resolve_preprocessing(options, family, (224, 224))
    module = importlib.import_module(f"keras.applications.{family}")
    for number, picture in enumerate(pictures):
        picture.image().save(tmp_path / f"{number}.png")
        image = kit.keras.utils.load_img(
            tmp_path / f"{number}.png", target_size=(32, 48), interpolation=interpolation
        )
        expected = module.preprocess_input(kit.keras.utils.img_to_array(image))
        assert np.array_equal(values(preprocessing, picture).transpose(1, 2, 0), expected)


@pytest.mark.parametrize("kind", ["zscore", "minmax", "none"])
def test_ducho_2_0s_choices(kind: Any, pictures: list[Media]) -> None:
    preprocessing = resolve_preprocessing(KerasOptions(preprocessing=kind), "resnet", (224, 224))
    for picture in pictures:
        small = picture.image().resize((224, 224), resample=Image.Resampling.BICUBIC)
        expected = np.array(small, np.float32).transpose(2, 0, 1) / np.float32(255)
        if kind == "zscore":
            mean, std = np.float32([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
            expected = (expected - mean[:, None, None]) / std[:, None, None]
        elif kind == "minmax":
            expected = (expected - expected.min()) / (expected.max() - expected.min())
        assert np.array_equal(values(preprocessing, picture), expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preprocessing": "minmax", "mean": (0.1, 0.1, 0.1)}, "uses no mean"),
        ({"std": (0.1,)}, "three values"),
        ({"mean": (0.1, 0.1, 0.1)}, "preprocessing=zscore"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        resolve_preprocessing(KerasOptions(**options), "resnet", (224, 224))
