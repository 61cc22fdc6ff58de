"""Outputs of any layers, in one pass."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import timm_kit as kit
from ducho_timm import TimmOptions
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ducho_core import OptionError, UsageError


def options(model: str, *layers: str, **more: Any) -> TimmOptions:
    return TimmOptions(model=model, pretrained=False, layers=layers, **more)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("test_resnet", ("layer3", "pooled", "layer1.0.bn1", "fc", "layer1")),
        ("test_vit", ("blocks.2", "head", "blocks.5", "pooled", "patch_embed")),
        ("test_mambaout", ("stages.1", "pooled", "head.fc")),
    ],
)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_layers_in_one_pass_equal_layers_alone(
    model: str, layers: tuple[str, ...], precision: str, files: list[bytes]
) -> None:
    together = kit.make(options(model, *layers), precision=precision)
    assert tuple(output.name for output in together.outputs) == layers
    found = kit.features(together, files[:3])
    for output in together.outputs:
        alone = kit.make(options(model, output.name), precision=precision)
        expected = kit.features(alone, files[:3])[output.name]
        assert expected.shape == (3, output.dim)
        assert np.array_equal(found[output.name], expected)


def convolutions(extractor: Any, files: list[bytes]) -> int:
    calls: Counter[type] = Counter()
    handle = register_module_forward_pre_hook(lambda module, _: calls.update([type(module)]))
    try:
        kit.features(extractor, files)
    finally:
        handle.remove()
    return calls[nn.Conv2d]


def test_nothing_past_the_deepest_layer_is_computed(files: list[bytes]) -> None:
    model = kit.random_model("test_resnet")
    upto = [model.conv1, model.layer1, model.layer2]
    wanted = sum(isinstance(one, nn.Conv2d) for part in upto for one in part.modules())
    total = sum(isinstance(one, nn.Conv2d) for one in model.modules())
    assert convolutions(kit.make(options("test_resnet", "layer2", "layer1")), files) == wanted
    assert convolutions(kit.make(options("test_resnet", "layer1", "pooled")), files) == total


@pytest.mark.parametrize("how", ["avg", "max", "gem", "none-flatten"])
def test_poolings_of_a_map_and_dims(how: Any, files: list[bytes]) -> None:
    extractor = kit.make(options("test_resnet", "layer2", pooling=how))
    found = kit.features(extractor, files[:2])["layer2"]
    assert found.shape == (2, extractor.outputs[0].dim)
    assert found.shape[1] == (48 if how != "none-flatten" else 48 * 20 * 20)


def test_the_class_token(files: list[bytes]) -> None:
    def cls(model: Any, values: Any) -> Any:
        return model.forward_features(values)[:, 0]

    found = kit.features(kit.make(options("test_vit", "norm", pooling="cls")), files)["norm"]
    expected = kit.direct(kit.random_model("test_vit"), files, cls)
    assert kit.distances(found, expected).max() <= 1e-5
    with pytest.raises(UsageError, match="cls needs tokens"):
        kit.make(options("test_resnet", "layer2", pooling="cls"))


@pytest.mark.parametrize(
    ("model", "layer", "joined"),
    [
        ("vit_tiny_patch16_224", "patch_embed", False),
        ("test_vit", "blocks.2", True),
        ("xcit_nano_12_p16_224", "blocks.1", False),
        ("xcit_nano_12_p16_224", "cls_attn_blocks.0", True),
        ("pit_ti_224", "transformers.1.blocks.0", True),
    ],
)
def test_the_mean_takes_every_patch_and_no_class_token(
    model: str, layer: str, joined: bool, files: list[bytes]
) -> None:
    def kept(network: Any, values: Any) -> Any:
        outputs: list[Any] = []
        module = network.get_submodule(layer)
        handle = module.register_forward_hook(lambda *seen: outputs.append(seen[-1]))
        network.forward_features(values)
        handle.remove()
        return outputs[0][:, 1:].mean(1) if joined else outputs[0].mean(1)

    size = 96 if model.startswith("xcit") else None  # takes any: 36 patches, not its own 196
    asked = options(model, layer, input_size=(size,) if size else ())
    found = kit.features(kit.make(asked), files[:2])[layer]
    expected = kit.direct(kit.random_model(model), files[:2], kept, size=size)
    assert kit.distances(found, expected).max() <= 1e-5


def test_a_map_with_channels_last_is_pooled_over_its_positions(files: list[bytes]) -> None:
    def stage(model: Any, values: Any) -> Any:
        return model.stages[1](model.stages[0](model.stem(values))).mean((1, 2))

    found = kit.features(kit.make(options("test_mambaout", "stages.1")), files)["stages.1"]
    expected = kit.direct(kit.random_model("test_mambaout"), files, stage)
    assert found.shape == expected.shape
    assert kit.distances(found, expected).max() <= 1e-5


def test_unknown_repeated_and_unusable_layers() -> None:
    with pytest.raises(UsageError, match=r"no layer 'layr2'; did you mean layer2"):
        kit.make(options("test_resnet", "layr2"))
    with pytest.raises(OptionError, match="twice"):
        kit.make(options("test_resnet", "layer2", "layer2"))
    with pytest.raises(UsageError, match="not a row an image"):
        kit.make(options("swin_tiny_patch4_window7_224", "layers.0.blocks.0.attn.qkv"))


def test_two_instances_side_by_side(files: list[bytes]) -> None:
    one = kit.make(options("test_resnet", "layer1"))
    two = kit.make(options("test_resnet", "layer3", "pooled"))
    first = kit.features(one, files)
    second = kit.features(two, files)
    assert np.array_equal(kit.features(one, files)["layer1"], first["layer1"])
    one.close()
    assert np.array_equal(kit.features(two, files)["pooled"], second["pooled"])


def test_a_seed_makes_a_network_and_another_seed_another(files: list[bytes]) -> None:
    def run(seed: int) -> np.ndarray:
        chosen = TimmOptions(model="test_resnet", pretrained=False, seed=seed)
        return kit.features(kit.make(chosen), files)["pooled"]

    assert np.array_equal(run(1), run(1))
    assert not np.allclose(run(1), run(2))
