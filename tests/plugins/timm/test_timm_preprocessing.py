"""Decoding, resizing and normalising, bit by bit."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import timm_kit as kit
import torch
from ducho_timm import TimmExtractor, TimmOptions, TimmRunOptions
from ducho_timm.preprocessing import Preprocessing, resolve_preprocessing
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import transforms

from ducho_core import ItemError, Media, OptionError, ResolveContext

CONFIGS = [
    {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bicubic"},
    {"input_size": (3, 160, 160), "crop_pct": 0.95, "interpolation": "bilinear"},
    {"input_size": (3, 96, 160), "crop_pct": 0.9, "interpolation": "bicubic"},
    {"input_size": (3, 112, 112), "crop_pct": 1.0, "crop_mode": "squash"},
    {"input_size": (3, 112, 112), "crop_pct": 0.9, "crop_mode": "border", "mean": (0.5,) * 3},
]


def settled(config: dict[str, Any] | None = None, **options: Any) -> Preprocessing:
    return resolve_preprocessing(TimmOptions(**options), config or CONFIGS[0])


def rgb(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize("config", CONFIGS)
def test_pixels_and_values_are_those_of_timms_own_transform(
    config: dict[str, Any], files: list[bytes]
) -> None:
    own = resolve_data_config(pretrained_cfg=config)
    to_pixels = create_transform(**own, normalize=False)
    to_values = create_transform(**own)
    preprocessing = settled(config)
    for content in files:
        pixels = preprocessing.pixels(Media(content).image())
        expected = to_pixels(rgb(content)).permute(1, 2, 0).numpy()
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, expected)
        values = preprocessing.normalised(torch.from_numpy(pixels[None].copy()))
        assert torch.equal(values[0], to_values(rgb(content)))


@pytest.mark.parametrize("kind", ["zscore", "minmax", "none"])
def test_ducho_2_0s_choices(kind: Any, files: list[bytes]) -> None:
    preprocessing = settled(preprocessing=kind)
    for content in files:
        small = rgb(content).resize((224, 224), resample=Image.Resampling.BICUBIC)
        expected = transforms.ToTensor()(small)
        if kind == "zscore":
            norm = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
            expected = norm(expected)
        elif kind == "minmax":
            expected = (expected - expected.min()) / (expected.max() - expected.min())
        pixels = preprocessing.pixels(Media(content).image())
        values = preprocessing.normalised(torch.from_numpy(pixels[None].copy()))
        assert torch.equal(values[0], expected)


def test_minmax_stretches_each_image_by_itself_and_a_plain_one_becomes_zero() -> None:
    batch = torch.zeros((2, 8, 8, 3), dtype=torch.uint8)
    batch[0, 0, 0, 0] = 51
    batch[1] = 99
    values = settled(preprocessing="minmax").normalised(batch)
    assert values[0].max() == 1.0
    assert not values[1].any()


@pytest.mark.parametrize(
    ("given", "size"), [((48,), (48, 48)), ((64, 48), (64, 48)), ((), (224, 224))]
)
def test_resize_is_width_and_height_or_one_side(given: Any, size: Any, files: list[bytes]) -> None:
    preprocessing = settled(preprocessing="zscore", resize=given)
    height, width, channels = preprocessing.pixels(rgb(files[0])).shape
    assert ((width, height), channels) == (size, 3)


def test_resize_with_the_models_normalisation_crops_nothing(files: list[bytes]) -> None:
    preprocessing = settled(CONFIGS[4], resize=(32,), interpolation="lanczos")
    expected = np.asarray(rgb(files[0]).resize((32, 32), Image.Resampling.LANCZOS))
    assert np.array_equal(preprocessing.pixels(rgb(files[0])), expected)
    assert preprocessing.identity()["mean"] == [0.5, 0.5, 0.5]
    assert "crop" not in preprocessing.identity()


def test_overrides_of_the_models_own_values() -> None:
    preprocessing = settled(
        input_size=(96, 64), crop_pct=0.5, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
    )
    assert preprocessing.identity() == {
        "size": [96, 64],
        "interpolation": "bicubic",
        "normalise": "zscore",
        "crop": "center",
        "crop_pct": 0.5,
        "mean": [0.1, 0.2, 0.3],
        "std": [1.0, 2.0, 3.0],
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resize": (32,), "crop_pct": 0.9}, "only resize=WIDTH,HEIGHT"),
        ({"preprocessing": "zscore", "input_size": (32,)}, "only resize=WIDTH,HEIGHT"),
        ({"preprocessing": "minmax", "mean": (0.1, 0.1, 0.1)}, "uses no mean"),
        ({"mean": (0.1,)}, "three values"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        settled(**options)


def test_an_image_too_narrow_to_crop_fails_alone() -> None:
    with pytest.raises(ItemError, match="extreme_aspect_ratio"):
        settled().pixels(Image.new("RGB", (1, 5000)))
    assert settled(resize=(32,)).pixels(Image.new("RGB", (1, 5000))).shape == (32, 32, 3)


@pytest.fixture(scope="module")
def extractor() -> TimmExtractor:
    return kit.make(TimmOptions(model="test_resnet", pretrained=False))


def test_prepare_is_safe_from_several_threads(
    extractor: TimmExtractor, files: list[bytes]
) -> None:
    many = files * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: extractor.prepare({"image": Media(one)}).data, many))
    for index, content in enumerate(many):
        assert np.array_equal(found[index], extractor.prepare({"image": Media(content)}).data)


def test_a_broken_image_is_an_item_error_and_notes_are_handed_on(
    extractor: TimmExtractor, files: list[bytes]
) -> None:
    with pytest.raises(ItemError, match=r"decode_error|format_not_allowed"):
        extractor.prepare({"image": Media(files[0][:200])})
    buffer = io.BytesIO()
    frames = [kit.draw(64, 64, seed) for seed in range(2)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert extractor.prepare({"image": Media(buffer.getvalue())}).notes == ("first_frame",)


def test_fast_decodes_large_jpegs_at_a_smaller_scale_and_exact_does_not() -> None:
    content = kit.encoded(kit.draw(2400, 1800, 5), "JPEG")
    exact, fast = (
        kit.make(TimmOptions(model="test_resnet", pretrained=False), precision=precision)
        for precision in ("exact", "fast")
    )
    full = create_transform(
        **resolve_data_config(pretrained_cfg=kit.random_model("test_resnet").pretrained_cfg),
        normalize=False,
    )(rgb(content)).permute(1, 2, 0)
    assert np.array_equal(exact.prepare({"image": Media(content)}).data, full.numpy())
    difference = fast.prepare({"image": Media(content)}).data.astype(int) - full.numpy().astype(
        int
    )
    assert difference.any()
    assert abs(difference).mean() < 3


def test_size_counts_items_since_all_are_of_one_size(
    extractor: TimmExtractor, files: list[bytes]
) -> None:
    assert {extractor.size(extractor.prepare({"image": Media(one)})) for one in files} == {1}


def test_preprocessing_settles_before_any_model_is_built() -> None:
    context = ResolveContext(precision="exact", run_options=TimmRunOptions(), inputs=())
    options = TimmOptions(model="test_resnet", pretrained=False, mean=(0.1,))
    with pytest.raises(OptionError, match="three values"):
        TimmExtractor.resolve(options, context)
