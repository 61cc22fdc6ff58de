"""Fixtures for the tests of a plugin: ``pytest_plugins = ["ducho_core.testing.fixtures"]``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from ducho_core.testing.catalogue import SmallCatalogue, draw_catalogue

__all__ = ["Ducho", "ducho", "small_catalogue", "small_catalogue_read_only", "store_folder"]


class Ducho(Protocol):
    """Runs the command line in a process of its own."""

    def __call__(
        self,
        *arguments: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``ducho`` with arguments; stdout and stderr are captured as text.

        Args:
            arguments: what follows ``ducho`` on the command line.
            cwd: the folder to run in; the test's temporary one where not given.
            env: environment variables on top of this process's.
        """


@pytest.fixture
def ducho(tmp_path: Path) -> Ducho:
    """Runs the installed ``ducho`` program."""

    def run(
        *arguments: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the program under test
            [program(), *arguments],
            cwd=cwd or tmp_path,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def small_catalogue_read_only(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """The small catalogue, drawn once, not to be changed."""
    return draw_catalogue(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture
def small_catalogue(tmp_path: Path) -> SmallCatalogue:
    """A small catalogue of the test's own: images, texts, sounds, slots, broken items."""
    return draw_catalogue(tmp_path / "catalogue")


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    """Where a test's feature store goes; the folder is not there yet."""
    return tmp_path / "features"


def program() -> str:
    """Path of the ``ducho`` program that belongs to this Python."""
    return str(Path(sys.executable).parent / "ducho")
