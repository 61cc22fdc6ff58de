"""Runs that the disk refuses."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ducho_core import Store

ROWS = 100_000
COMMAND = [
    *(str(Path(sys.executable).parent / "ducho"), "extract"),
    *("items.parquet", "--plugin", "core/hash", "--name", "all"),
    *("--chunk-size", "1000", "--json"),
]


def start(many: Path, store: Path, **more) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--store", str(store)],
        cwd=many,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(many: Path, store: Path) -> dict:
    process = start(many, store)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    (report,) = json.loads(output)
    return report


def check_complete(store: Path) -> None:
    """Every key once, no file unreadable, nothing left over."""
    table = Store(store).open("all").to_numpy()[0]
    ids = table["item_id"].to_pylist()
    assert len(ids) == len(set(ids)) == ROWS
    for path in store.glob("*/*/*/data/*"):
        pq.read_table(path)


def heed_permissions() -> None:
    """Let file permissions hold for root as well, in the program that is started next."""
    drop_from_bounding_set = 24
    for capability in (1, 2):  # to write, and to read, what may not be
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capabilities are Linux's")
def test_a_store_that_may_not_be_written(many: Path, tmp_path: Path) -> None:
    store = tmp_path / "features"
    store.mkdir(mode=0o555)
    process = start(many, store, preexec_fn=heed_permissions)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error:" in errors
    assert "features" in errors
    assert "Traceback" not in errors


def test_a_file_size_limit_stops_the_run_and_spoils_nothing(many: Path, tmp_path: Path) -> None:
    store = tmp_path / "features"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

    process = start(many, store, preexec_fn=limit)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error:" in errors
    assert "Traceback" not in errors
    finish(many, store)
    check_complete(store)


@pytest.fixture
def small_disk(tmp_path: Path):
    folder = tmp_path / "disk"
    folder.mkdir()
    size = ["-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *size], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(many: Path, small_disk: Path) -> None:
    store = small_disk / "features"
    process = start(many, store)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "No space left" in errors
    assert "Traceback" not in errors
    assert not list(store.glob("*/*/*/tmp/*"))
    subprocess.run(["mount", "-o", "remount,size=256m", str(small_disk)], check=True)
    finish(many, store)
    check_complete(store)
