"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def stamps() -> Path:
    """A folder with real items (items.tsv, images/, audio/), where one is at hand."""
    folder = Path(os.environ.get("DUCHO_STAMPS", REPOSITORY.parent / "shared/data/stamps"))
    if not (folder / "items.tsv").is_file():
        pytest.skip(f"no items.tsv in {folder}: set DUCHO_STAMPS to a catalogue folder")
    return folder
