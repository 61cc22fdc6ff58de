"""The numbers are those that torchvision, called directly, gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision_kit as kit
from ducho_torch import LayerPooling
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights

from ducho_core.testing import catalogue_items


def preset(model: str, entry: str = "DEFAULT") -> Any:
    return get_model_weights(model)[entry].transforms()


def test_resnet50_avgpool_and_maps(pictures: Any) -> None:
    layers = ("layer4.2.relu_2", "avgpool", "layer2", "pooled")
    ours = kit.features(kit.make(model="resnet50", layers=layers), pictures)
    model = kit.random_model("resnet50")
    found = kit.nodes(model, layers[:3], pictures, preset("resnet50"))
    assert found["avgpool"].shape[1:] == (2048, 1, 1)
    expected = {
        "layer4.2.relu_2": found["layer4.2.relu_2"].mean((2, 3)),
        "avgpool": found["avgpool"].flatten(1),
        "layer2": found["layer2"].mean((2, 3)),
        "pooled": found["avgpool"].flatten(1),
    }
    for name, values in expected.items():
        assert ours[name].dtype == np.float32
        assert kit.distances(ours[name], values).max() <= 1e-5


def test_ducho_2_0s_visual_path(tmp_path: Path, pictures: Any) -> None:
    model = kit.random_model("resnet18", seed=3)
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    steps = [transforms.ToTensor(), transforms.Normalize(*kit.IMAGENET)]
    transform = transforms.Compose(
        [lambda image: image.resize((224, 224), resample=Image.Resampling.BICUBIC), *steps]
    )
    squeezed = kit.nodes(model, ["avgpool"], pictures, transform)["avgpool"].squeeze()
    extractor = kit.make(
        model="ResNet18",
        layers=("avgpool",),
        preprocessing="zscore",
        weights_file=tmp_path / "resnet18.pth",
    )
    assert kit.distances(kit.features(extractor, pictures)["avgpool"], squeezed).max() <= 1e-5


def test_batch_sizes_and_orders_spread_no_more_than_torchvisions_own(pictures: Any) -> None:
    model = kit.random_model("resnet18")
    extractor = kit.make(model="resnet18", layers=("avgpool",))
    ours = kit.features(extractor, pictures)["avgpool"]
    whole = kit.nodes(model, ["avgpool"], pictures, preset("resnet18"))["avgpool"].flatten(1)
    assert kit.distances(ours, whole).max() <= 1e-5
    for batch in (1, 4):
        backwards = kit.features(extractor, pictures[::-1], batch)["avgpool"][::-1]
        own = kit.nodes(model, ["avgpool"], pictures[::-1], preset("resnet18"), batch)["avgpool"]
        spread = kit.distances(own.flatten(1).flip(0).numpy(), whole).max()
        assert kit.distances(backwards, ours).max() <= max(2 * spread, 1e-6)


def test_vit_b_16_encoder_nodes(pictures: Any) -> None:
    block = "encoder.layers.encoder_layer_3.add_1"
    extractor = kit.make(model="vit_b_16", layers=(block, "pooled", "conv_proj"))
    ours = kit.features(extractor, pictures[:2])
    model = kit.random_model("vit_b_16")
    names = [block, "encoder.ln", "conv_proj"]
    found = kit.nodes(model, names, pictures[:2], preset("vit_b_16"), together=True)
    assert kit.distances(ours[block], found[block][:, 1:].mean(1)).max() <= 1e-5
    assert kit.distances(ours["pooled"], found["encoder.ln"][:, 0]).max() <= 1e-5
    assert kit.distances(ours["conv_proj"], found["conv_proj"].mean((2, 3))).max() <= 1e-5


def test_the_class_token_and_the_patches() -> None:
    tokens = torch.randn(1, 5, 4)
    pool = LayerPooling("cls", height=8, width=8, prefix_tokens=1)
    assert torch.equal(pool("block", tokens), tokens[:, 0])
    pool = LayerPooling("max", height=8, width=8, prefix_tokens=1)
    assert torch.equal(pool("block", tokens), tokens[:, 1:].amax(1))


@pytest.mark.parametrize(
    "name",
    ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5"],
)
def test_pooled_is_what_the_classifier_takes(name: str, pictures: Any) -> None:
    model = kit.random_model(name)
    layers = [one for one in model.modules() if isinstance(one, torch.nn.Linear)]
    layers = layers or [one for one in model.modules() if isinstance(one, torch.nn.Conv2d)]
    taken: list[torch.Tensor] = []
    layers[-1].register_forward_pre_hook(lambda _, given: taken.append(given[0].clone()))
    transform = preset(name)
    with torch.inference_mode():
        model(torch.stack([transform(one.image()) for one in pictures]))
    expected = taken[0].mean((2, 3)) if taken[0].ndim == 4 else taken[0]
    ours = kit.features(kit.make(model=name), pictures)["pooled"]
    assert kit.distances(ours, expected).max() <= 1e-5


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_fast_stays_near_exact_and_keeps_the_wanted_nodes(name: str) -> None:
    scenes = [item["image"] for item in catalogue_items(["image"], 4)]
    layers = {
        "resnet18": ("layer1.0.conv1", "layer2.0.downsample", "layer3.0.bn1", "avgpool"),
        "mobilenet_v2": ("features.2.conv.0", "features.2", "pooled"),
    }[name]
    exact = kit.features(kit.make(model=name, layers=layers), scenes)
    fast = kit.features(kit.make(model=name, layers=layers, precision="fast"), scenes)
    for layer, expected in exact.items():
        norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(fast[layer], axis=1)
        assert ((expected * fast[layer]).sum(1) / norms).min() >= 0.995


def test_native_computes_in_the_checkpoints_dtype(tmp_path: Path, pictures: Any) -> None:
    model = kit.random_model("resnet18").to(torch.bfloat16)
    torch.save(model.state_dict(), tmp_path / "half.pth")
    extractor = kit.make("native", tmp_path / "half.pth", model="resnet18")
    transform = preset("resnet18")
    expected = kit.nodes(
        model, ["avgpool"], pictures, lambda image: transform(image).to(torch.bfloat16)
    )["avgpool"]
    ours = kit.features(extractor, pictures)["pooled"]
    assert kit.distances(ours, expected.flatten(1).float()).max() <= 1e-5
