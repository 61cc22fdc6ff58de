"""The models that timm/image knows by name."""

from __future__ import annotations

import pytest
from ducho_timm.models import GOOD_MODELS, known_models
from ducho_torch import ensure_torchvision


@pytest.fixture(scope="module")
def timm():
    torch = pytest.importorskip("torch")
    ensure_torchvision()
    import timm

    torch.manual_seed(0)
    return timm


def test_every_name_has_weights_and_the_good_ones_come_first(timm):
    models = list(known_models())
    names = [model.name for model in models]
    assert tuple(models[: len(GOOD_MODELS)]) == GOOD_MODELS
    assert len(set(names)) == len(names) > 1000
    assert set(names) <= set(timm.list_pretrained())
    assert all(timm.get_pretrained_cfg(name).hf_hub_id for name in names)


@pytest.mark.parametrize("model", GOOD_MODELS, ids=lambda model: model.name)
def test_the_facts_of_the_good_ones_are_those_of_timm(timm, model):
    import torch

    with torch.device("meta"):
        network = timm.create_model(model.name)
        size = network.default_cfg["input_size"]
        features = network.forward_features(torch.zeros(1, *size))
        pooled = network.forward_head(features, pre_logits=True)
    assert pooled.shape == (1, model.dim)
    values = sum(tensor.numel() for tensor in network.state_dict().values())
    assert values * 4 / 1e6 == pytest.approx(model.megabytes, abs=0.1)
    assert network.default_cfg["license"] == model.licence.lower()
