"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from demo.catalogue import write

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


class Ducho(Protocol):
    """Runs the command line in a process of its own."""

    def __call__(
        self, *arguments: str, cwd: Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``ducho`` with arguments; stdout and stderr are captured."""


@pytest.fixture
def ducho() -> Ducho:
    """The installed ``ducho`` program."""

    def run(
        *arguments: str, cwd: Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program(), *arguments],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def program() -> str:
    """Path of the ``ducho`` program that belongs to this Python."""
    return str(Path(sys.executable).parent / "ducho")
