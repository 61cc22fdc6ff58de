"""Ducho 2.0's demo with a few items, and random weights in place of the hub's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ducho_torch import ensure_torchvision

sys.path.insert(0, str(Path(__file__).parent))
ensure_torchvision()

import torch  # noqa: E402
from ducho2_kit import (  # noqa: E402
    COMMIT,
    IDS,
    PICTURED,
    TEXTS,
    repository,
    save_bert,
    save_clip,
    save_sentence,
    save_vit,
)
from PIL import Image  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The folder that Ducho 2.0 was started in; the last item has no picture."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "local/data/demo_recsys"
    (data / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in PICTURED:
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((90, 120), Image.Resampling.BICUBIC)
        picture.save(data / f"images/{name}.jpg", quality=95)
    rows = "".join(f"{name}\t{text}\n" for name, text in zip(IDS, TEXTS, strict=True))
    (data / "meta.tsv").write_text(f"asin\tdescription\n{rows}")
    return tmp_path


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Path:
    """A cache of the Hugging Face hub that holds tiny models under the demos' names."""
    cache = tmp_path_factory.mktemp("hub")
    save_sentence(repository(cache, "sentence-transformers/all-mpnet-base-v2"))
    save_clip(repository(cache, "openai/clip-vit-base-patch16"))
    save_bert(repository(cache, "google-bert/bert-base-uncased"))
    save_vit(repository(cache, "google/vit-base-patch16-224"))
    return cache


@pytest.fixture(autouse=True)
def _hub_in_place(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def snapshot(hub):
    """The folder of a model in the cache."""

    def find(name: str) -> str:
        return str(hub / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT)

    return find


@pytest.fixture(scope="session")
def resnet():
    """A ResNet50 with random weights: torchvision's own and a fine-tuned one."""
    from torchvision import models as networks

    def build(seed: int):
        torch.manual_seed(seed)
        network = networks.resnet50(weights=None)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.05)
                module.running_var.uniform_(0.8, 1.2)
        return network.eval()

    return {seed: build(seed) for seed in (0, 1)}


@pytest.fixture(scope="session")
def resnet_file(resnet, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet50-11ad3fa6.pth"
    torch.save(resnet[0].state_dict(), path)
    return path


@pytest.fixture
def _weights(resnet_file, monkeypatch):
    """torchvision's DEFAULT weights are those of the file."""
    monkeypatch.setattr("ducho_torchvision.sources.fetch", lambda _entry: str(resnet_file))
