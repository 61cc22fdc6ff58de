"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from demo.catalogue import write

pytest_plugins = ["ducho_core.testing.fixtures"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def stamps() -> Path:
    """A folder with real items (items.tsv, images/, audio/), where one is at hand."""
    folder = Path(os.environ.get("DUCHO_STAMPS", REPOSITORY.parent / "shared/data/stamps"))
    if not (folder / "items.tsv").is_file():
        pytest.skip(f"no items.tsv in {folder}: set DUCHO_STAMPS to a catalogue folder")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's catalogue, to be read only: items.tsv and images/ITEM_ID/N.jpg."""
    folder = tmp_path_factory.mktemp("drawn")
    write(folder)
    return folder


@pytest.fixture
def shop(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the demo's catalogue that a test may change."""
    return shutil.copytree(drawn, tmp_path / "shop")
