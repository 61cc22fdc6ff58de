"""The numbers are those that Keras, called directly, gives."""

from __future__ import annotations

from typing import Any

import keras_kit as kit
import numpy as np
import pytest

from ducho_core import UsageError

CASES = [
    ("ResNet50", 64, "resnet", "conv3_block4_out", "avg_pool"),
    ("VGG19", 32, "vgg19", "block5_pool", "fc2"),
    ("MobileNetV2", 64, "mobilenet_v2", "block_6_project_BN", "global_average_pooling2d"),
]


@pytest.mark.parametrize(("name", "side", "family", "middle", "last"), CASES)
def test_layers_and_pooled_are_those_of_keras(
    name: str, side: int, family: str, middle: str, last: str, pictures: Any
) -> None:
    extractor = kit.make(model=name, layers=(middle, last, "pooled"), resize=(side,))
    ours = kit.features(extractor, pictures)
    model = kit.random_model(name, side)
    middles = kit.direct(model, middle, pictures, family).mean((1, 2))
    lasts = kit.direct(model, last, pictures, family)
    assert ours[middle].dtype == np.float32
    assert kit.distances(ours[middle], middles).max() <= 1e-5
    assert kit.distances(ours[last], lasts).max() <= 1e-5
    assert kit.distances(ours["pooled"], lasts).max() <= 1e-5


def test_a_classifier_that_is_a_convolution(pictures: Any) -> None:
    ours = kit.features(kit.make(model="MobileNetV3Small", resize=(64,)), pictures)["pooled"]
    model = kit.random_model("MobileNetV3Small", 64)
    expected = kit.direct(model, "dropout", pictures, "mobilenet_v3")
    assert kit.distances(ours, expected.reshape(6, -1)).max() <= 1e-5


def test_batch_sizes_and_orders_spread_no_more_than_keras_own(pictures: Any) -> None:
    layer, family = "expanded_conv_4_add", "mobilenet_v3"
    extractor = kit.make(model="MobileNetV3Small", resize=(64,), layers=(layer,))
    ours = kit.features(extractor, pictures)[layer]
    model = kit.random_model("MobileNetV3Small", 64)
    whole = kit.direct(model, layer, pictures, family).mean((1, 2))
    for batch in (1, 4):
        backwards = kit.features(extractor, pictures[::-1], batch)[layer][::-1]
        own = kit.direct(model, layer, pictures[::-1], family, batch).mean((1, 2))[::-1]
        spread = kit.distances(own, whole).max()
        assert kit.distances(backwards, ours).max() <= max(2 * spread, 1e-6)


def test_one_submodel_that_ends_with_the_deepest_layer(pictures: Any) -> None:
    layers = ("block_1_expand_relu", "block_3_add_missing")
    with pytest.raises(UsageError, match="has no layer 'block_3_add_missing'; did you mean"):
        kit.make(model="MobileNetV2", layers=layers, resize=(64,))
    layers = ("block_4_add", "block_1_expand_relu", "block_2_project_BN")
    together = kit.make(model="MobileNetV2", layers=layers, resize=(64,))
    names = [layer.name for layer in together._network.layers]
    assert names[-1] == "block_4_add"
    assert not any(name.startswith(("block_5", "Conv_1", "out", "pred")) for name in names)
    found = kit.features(together, pictures)
    for name in layers:
        alone = kit.make(model="MobileNetV2", layers=(name,), resize=(64,))
        assert np.array_equal(kit.features(alone, pictures)[name], found[name])


@pytest.mark.parametrize("how", ["avg", "max", "gem", "none-flatten"])
def test_poolings_and_dims(how: str, pictures: Any) -> None:
    extractor = kit.make(
        model="MobileNetV3Small", layers=("activation",), pooling=how, resize=(64, 32)
    )
    found = kit.features(extractor, pictures[:2])["activation"]
    assert found.shape == (2, 16 if how != "none-flatten" else 16 * 32 * 16)
    assert extractor.outputs[0].dim == found.shape[1]


def test_fast_stays_near_exact(pictures: Any) -> None:
    common = {"model": "ResNet50", "resize": (32,), "layers": ("conv3_block4_out", "pooled")}
    exact = kit.features(kit.make(**common), pictures)
    extractor = kit.make("fast", **common)
    fast = kit.features(extractor, pictures)
    for name, expected in exact.items():
        norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(fast[name], axis=1)
        assert ((expected * fast[name]).sum(1) / norms).min() >= 0.999
        assert fast[name].dtype == np.float32


def test_what_was_set_in_keras_is_as_before() -> None:
    import random

    kit.keras.config.set_image_data_format("channels_first")
    random.seed(1)
    expected = random.random()
    random.seed(1)
    try:
        extractor = kit.make("fast", model="MobileNetV3Small", resize=(32,))
        assert kit.keras.config.image_data_format() == "channels_first"
    finally:
        kit.keras.config.set_image_data_format("channels_last")
    assert kit.keras.config.dtype_policy().name == "float32"
    assert random.random() == expected
    assert extractor.outputs[0].dim == 1024


def test_two_instances_side_by_side(pictures: Any) -> None:
    one = kit.make(model="MobileNetV3Small", resize=(32,))
    two = kit.make(model="MobileNetV3Small", resize=(32,), seed=1)
    first, second = kit.features(one, pictures), kit.features(two, pictures)
    assert not np.array_equal(first["pooled"], second["pooled"])
    one.close()
    assert np.array_equal(kit.features(two, pictures)["pooled"], second["pooled"])
