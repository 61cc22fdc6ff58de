"""Graph nodes: torchvision's names, one trace, nothing past the deepest."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torchvision_kit as kit
from ducho_torchvision import NodeCapture, node_names
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torchvision.models import VisionTransformer
from torchvision.models.feature_extraction import NodePathTracer, get_graph_node_names
from torchvision.models.vgg import VGG, make_layers

from ducho_core import OptionError, UsageError


def whole(_: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@pytest.fixture
def tiny_vit() -> nn.Module:
    torch.manual_seed(0)
    return VisionTransformer(32, 8, 6, 2, 16, 32, num_classes=5).eval()


@pytest.fixture
def tiny_vgg() -> nn.Module:
    torch.manual_seed(0)
    features = make_layers([8, "M", 16, "M"], batch_norm=True)
    model = VGG(features, num_classes=5, init_weights=False)
    model.classifier = nn.Sequential(
        nn.Linear(16 * 49, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 24), nn.ReLU(True),
        nn.Dropout(), nn.Linear(24, 5),
    )  # fmt: skip
    return model.eval()


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "shufflenet_v2_x0_5", "inception_v3"])
def test_names_are_those_of_get_graph_node_names(name: str) -> None:
    with torch.device("meta"):
        model = kit.models.get_model(name, weights=None).eval()
    assert node_names(model) == get_graph_node_names(model, suppress_diff_warning=True)[1]


@pytest.mark.parametrize(
    ("names", "computed"),
    [(("encoder.layers.encoder_layer_1",), 2), (("encoder.layers.encoder_layer_4.add",), 5)],
)
def test_later_blocks_are_dropped_in_spite_of_their_assertions(
    tiny_vit: nn.Module, names: tuple[str, ...], computed: int
) -> None:
    capture = NodeCapture(tiny_vit, names, reduce=whole)
    calls: Counter[type] = Counter()
    handle = register_module_forward_pre_hook(lambda module, _: calls.update([type(module)]))
    capture.run(torch.zeros(2, 3, 32, 32))
    handle.remove()
    assert calls[nn.MultiheadAttention] == computed


def test_what_an_in_place_layer_overwrites_is_kept(tiny_vgg: nn.Module) -> None:
    images = torch.randn(3, 3, 28, 28)
    wanted = ("classifier.3", "classifier.4", "classifier.6", "features.1", "features.2")
    with torch.inference_mode():
        together = NodeCapture(tiny_vgg, wanted, reduce=whole).run(images)
        found = {}
        for name in wanted:
            alone = kit.create_feature_extractor(tiny_vgg, [name], suppress_diff_warning=True)
            found[name] = alone.eval()(images.clone())[name]
    assert (found["classifier.3"] < 0).any()
    for name in wanted:
        assert torch.equal(together[name], found[name])


def test_the_model_is_traced_once_and_never_again(
    pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces: list[object] = []
    trace = NodePathTracer.trace
    monkeypatch.setattr(
        NodePathTracer, "trace", lambda *args, **more: traces.append(0) or trace(*args, **more)
    )
    extractor = kit.make(model="resnet18", layers=("layer1", "avgpool"), resize=(32,))
    kit.features(extractor, pictures, batch=2)
    assert len(traces) == 1


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_layers_in_one_pass_equal_layers_alone(precision: str, pictures: Any) -> None:
    layers = ("layer3.1.add", "layer1", "layer1.0.bn1", "pooled")
    if precision == "exact":  # a convolution that is wanted is not folded, which rounds otherwise
        layers += ("layer2.0.conv1",)
    common = {"model": "resnet18", "resize": (64,), "precision": precision}
    together = kit.features(kit.make(layers=layers, **common), pictures)
    assert tuple(together) == layers
    for name in layers:
        alone = kit.features(kit.make(layers=(name,), **common), pictures)[name]
        assert np.array_equal(together[name], alone)


@pytest.mark.parametrize("how", ["avg", "max", "gem", "none-flatten"])
def test_poolings_and_dims(how: str, pictures: Any) -> None:
    extractor = kit.make(
        model="resnet18", layers=("layer2", "avgpool"), pooling=how, resize=(64, 32)
    )
    found = kit.features(extractor, pictures[:2])
    assert found["layer2"].shape == (2, 128 if how != "none-flatten" else 128 * 8 * 4)
    assert found["avgpool"].shape == (2, 512)
    assert [output.dim for output in extractor.outputs] == [
        values.shape[1] for values in found.values()
    ]


def test_a_map_with_channels_last_is_pooled_over_its_positions(pictures: Any) -> None:
    extractor = kit.make(model="swin_t", layers=("features.3", "pooled"))
    assert [output.dim for output in extractor.outputs] == [192, 768]


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "maxvit_t", "vgg11"])
def test_the_pooled_node_of_each_family_is_known(name: str) -> None:
    expected = {
        "googlenet": "dropout",
        "inception_v3": "flatten",
        "maxvit_t": "classifier.4",
        "vgg11": "classifier.5",
    }
    from ducho_torchvision.registry import classifier_name

    with torch.device("meta"):
        model = kit.models.get_model(name, weights=None).eval()
    capture = NodeCapture(
        model,
        ("pooled",),
        reduce=whole,
        classifier=classifier_name(model),
        pooled="pooled",
    )
    assert capture.nodes == {"pooled": expected[name]}


def test_unknown_repeated_and_unusable_nodes(tiny_vit: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"no graph node 'avgpol'; did you mean avgpool"):
        kit.make(model="resnet18", layers=("avgpol",))
    with pytest.raises(OptionError, match="twice"):
        kit.make(model="resnet18", layers=("avgpool", "avgpool"))
    with pytest.raises(UsageError, match="cls needs tokens"):
        kit.make(model="resnet18", layers=("layer1",), pooling="cls", resize=(32,))
    with pytest.raises(UsageError, match="gives int, no tensor"):
        NodeCapture(tiny_vit, ("floordiv",), reduce=whole).run(torch.zeros(1, 3, 32, 32))


def test_where_the_pooled_features_come_from_is_recorded() -> None:
    extractor = kit.make(model="resnet18", resize=(32,))
    assert extractor.circumstances == {"nodes": {"pooled": "flatten"}}


def test_two_instances_side_by_side(pictures: Any) -> None:
    one = kit.make(model="resnet18", layers=("layer1",), resize=(32,))
    two = kit.make(model="resnet18", layers=("pooled",), seed=1, resize=(32,))
    first, second = kit.features(one, pictures), kit.features(two, pictures)
    one.close()
    assert np.array_equal(kit.features(two, pictures)["pooled"], second["pooled"])
    assert first["layer1"].shape == (6, 64)
