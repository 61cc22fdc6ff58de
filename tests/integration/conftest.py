"""What the end-to-end tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with items.parquet: 100,000 items with a text each."""
    folder = tmp_path_factory.mktemp("many")
    numbers = range(100_000)
    table = pa.table(
        {
            "item_id": [f"i{number:06}" for number in numbers],
            "text": [f"item number {number}" for number in numbers],
        }
    )
    pq.write_table(table, folder / "items.parquet")
    return folder


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that sees this one's packages, and into which more is installed.

    Attributes:
        python: its interpreter.
        programs: folder with ``ducho``, ``pip``, ``pytest`` and ``python``; pip asks no network.
    """

    python: Path
    programs: Path

    def run(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs; stdout and stderr are captured."""
        path = f"{self.programs}{os.pathsep}{os.environ.get('PATH', '')}"
        return subprocess.run(
            [str(self.programs / command[0]), *map(str, command[1:])],
            cwd=cwd,
            env={**os.environ, "PATH": path, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


PIP = """\
case "$1" in install|wheel) what="$1"; shift; set -- "$what" --no-index --no-build-isolation "$@";;
esac
exec "{python}" -m pip --disable-pip-version-check "$@"
"""
PROGRAMS = {
    "ducho": 'exec "{python}" -m ducho_core "$@"',
    "pip": PIP,
    "pytest": 'exec "{python}" -m pytest "$@"',
}


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Environment]:
    """Makes virtual environments, each of its own."""
    for needed in ("pip", "hatchling", "editables"):
        pytest.importorskip(needed)

    def make() -> Environment:
        folder = tmp_path_factory.mktemp("environment") / "venv"
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
        programs = folder / "bin"
        python = programs / "python"
        site = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
        # As .pth lines, so that editable installations of the outer environment count too.
        outer = [path for path in sys.path if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in outer]
        Path(site, "outer.pth").write_text("\n".join(lines), "utf-8")
        for name, script in PROGRAMS.items():
            path = programs / name
            path.write_text(f"#!/bin/sh\n{script.format(python=python)}\n", "utf-8")
            path.chmod(0o755)
        return Environment(python, programs)

    return make
