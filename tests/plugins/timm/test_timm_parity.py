"""The numbers are those that timm, called directly, gives."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm_kit as kit
import torch
from ducho_timm import ImageOptions, TimmExtractor, TimmOptions
from PIL import Image
from torchvision import models, transforms
from torchvision.models.feature_extraction import create_feature_extractor

LAYERS = {
    "test_resnet": "layer2",
    "test_vit": "blocks.3",
    "test_efficientnet": "blocks.2",
    "test_convnext": "stages.1",
}


def middle(name: str) -> Any:
    def call(model: Any, values: torch.Tensor) -> torch.Tensor:
        kept = []
        handle = model.get_submodule(name).register_forward_hook(
            lambda module, args, output: kept.append(output.clone())
        )
        model(values)
        handle.remove()
        output = kept[0]
        return output.mean((2, 3)) if output.ndim == 4 else output[:, 1:].mean(1)

    return call


@pytest.mark.parametrize("name", LAYERS)
def test_pooled_and_a_middle_layer_are_timms(name: str, files: list[bytes]) -> None:
    layer = LAYERS[name]
    model = kit.random_model(name)
    extractor = kit.make(TimmOptions(model=name, pretrained=False, layers=("pooled", layer)))
    ours = kit.features(extractor, files)
    assert [output.name for output in extractor.outputs] == ["pooled", layer]
    for output, call in (("pooled", kit.pooled), (layer, middle(layer))):
        expected = kit.direct(model, files, call)
        assert ours[output].dtype == np.float32
        assert ours[output].shape == expected.shape
        assert kit.distances(ours[output], expected).max() <= 1e-5


def test_batch_sizes_and_orders_spread_no_more_than_timms_own(
    lite0: type[TimmExtractor], lite0_model: torch.nn.Module, files: list[bytes]
) -> None:
    extractor = kit.make(ImageOptions(), kind=lite0)
    ours = kit.features(extractor, files)["pooled"]
    expected = kit.direct(lite0_model, files, kit.pooled)
    assert kit.distances(ours, expected).max() <= 1e-5
    for batch in (1, 4):
        backwards = kit.features(extractor, files[::-1], batch)["pooled"][::-1]
        own = kit.direct(lite0_model, files[::-1], kit.pooled, batch)[::-1]
        spread = kit.distances(own, expected).max()
        assert kit.distances(backwards, ours).max() <= max(2 * spread, 1e-6)


def test_real_weights_are_better_than_chance(
    lite0: type[TimmExtractor], lite0_model: torch.nn.Module, files: list[bytes]
) -> None:
    logits = kit.features(kit.make(ImageOptions(layers=("classifier",)), kind=lite0), files)
    expected = kit.direct(lite0_model, files, lambda model, values: model(values))
    assert (logits["classifier"].argmax(1) == expected.argmax(1)).all()


def test_ducho_2_0_visual_path(tmp_path: Path, files: list[bytes]) -> None:
    torch.manual_seed(0)
    model = models.resnet50(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "resnet50.pth")
    transform = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    pictures = [
        Image.open(io.BytesIO(content)).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        for content in files
    ]
    with torch.inference_mode():
        nodes = create_feature_extractor(model, {"avgpool": "out"})
        values = torch.stack([transform(picture) for picture in pictures])
        expected = nodes(values)["out"].flatten(1).numpy()
    options = TimmOptions(model="resnet50", preprocessing="zscore")
    ours = kit.features(kit.make(options, weights=str(tmp_path / "resnet50.pth")), files)["pooled"]
    assert ours.shape == (len(files), 2048)
    assert kit.distances(ours, expected).max() <= 1e-5


def test_fast_stays_near_exact(lite0: type[TimmExtractor], files: list[bytes]) -> None:
    options = ImageOptions(layers=("pooled", "blocks.3"))
    exact = kit.features(kit.make(options, kind=lite0), files)
    fast = kit.features(kit.make(options, kind=lite0, precision="fast"), files)
    for name, expected in exact.items():
        norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(fast[name], axis=1)
        cosines = (expected * fast[name]).sum(1) / norms
        assert cosines.min() >= 0.995
        assert np.median(cosines) >= 0.999
        assert fast[name].dtype == np.float32


def test_native_computes_in_the_checkpoints_dtype(tmp_path: Path, files: list[bytes]) -> None:
    model = kit.random_model("test_resnet").to(torch.bfloat16)
    torch.save(model.state_dict(), tmp_path / "half.pth")
    extractor = kit.make(
        TimmOptions(model="test_resnet"), precision="native", weights=str(tmp_path / "half.pth")
    )
    transform = kit.direct(
        model, files, lambda model, values: kit.pooled(model, values.bfloat16()).float()
    )
    assert kit.distances(kit.features(extractor, files)["pooled"], transform).max() <= 1e-5
