"""Tiny models, built once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model of a kind."""
    import lvlm_kit as kit
    import torch

    torch.set_num_threads(1)  # tiny models: threads would only wait for each other
    folder = tmp_path_factory.mktemp("lvlm")
    built: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in built:
            built[name] = kit.build(name, folder)
        return built[name]

    return get


@pytest.fixture(scope="session")
def library(model: Callable[[str], Path]) -> Callable[[str], object]:
    """Transformers, called directly."""
    import lvlm_kit as kit

    made: dict[str, kit.Library] = {}

    def get(name: str) -> kit.Library:
        if name not in made:
            made[name] = kit.Library(model(name))
        return made[name]

    return get
