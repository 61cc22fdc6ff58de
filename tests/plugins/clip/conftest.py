"""Tiny dual encoders, built once."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import clip_kit as kit

torch.set_num_threads(1)  # tiny models: threads would only wait for each other


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Whatever opens a connection fails the test."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a test opened a network connection")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model of a kind."""
    folder = tmp_path_factory.mktemp("dual")
    built: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in built:
            built[name] = kit.build(name, folder)
        return built[name]

    return get


@pytest.fixture(scope="session")
def library(model: Callable[[str], Path]) -> Callable[[str], kit.Library]:
    """Transformers, called directly."""
    made: dict[str, kit.Library] = {}

    def get(name: str) -> kit.Library:
        if name not in made:
            made[name] = kit.Library(model(name))
        return made[name]

    return get


@pytest.fixture(scope="session")
def values() -> dict[str, tuple[list, list]]:
    """Input to (what Ducho is given, what Transformers is given)."""
    images, texts = kit.pictures(), kit.texts()
    return {"image": (kit.media(images), images), "text": (texts, texts)}
