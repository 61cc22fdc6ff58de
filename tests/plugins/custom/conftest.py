"""No network, one thread; pictures, texts, and tiny models in every form."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import custom_kit as kit


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Whatever opens a connection fails the test."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a test opened a network connection")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from more, and lose much where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def files() -> list[bytes]:
    """Five image files of different shapes."""
    return [kit.picture(*size, seed) for seed, size in enumerate(kit.SIZES)]


@pytest.fixture(scope="session")
def net() -> torch.nn.Module:
    return kit.seeded(kit.Net)


@pytest.fixture(scope="session")
def forms(tmp_path_factory, net) -> kit.Forms:
    """The same network in every form."""
    return kit.save_forms(tmp_path_factory.mktemp("forms"), net)


@pytest.fixture(scope="session")
def bert(tmp_path_factory) -> Path:
    """A classifier built on a tiny BERT, with its tokenizer."""
    return kit.save_bert(tmp_path_factory.mktemp("bert") / "bert")


@pytest.fixture(scope="session")
def vit(tmp_path_factory) -> Path:
    """A classifier built on a tiny ViT, with its image processor."""
    return kit.save_vit(tmp_path_factory.mktemp("vit") / "vit")
