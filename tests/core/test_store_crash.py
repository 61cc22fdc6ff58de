"""Killed writers, racing writers, and readers while they write."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ducho_core.store import Store
from ducho_core.store.verify import verify_set
from tests.core.store_samples import item_names, make_spec, vectors

REPOSITORY = Path(__file__).resolve().parents[2]
CHUNKS, ROWS = 80, 20
EXPECTED = sorted(key for chunk in range(CHUNKS) for key in item_names(chunk, ROWS)[:-1])


def start(store: Path) -> subprocess.Popen[str]:
    """A writer that does whatever is not done yet; it is about to write its first chunk."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.core.store_samples", str(store), str(CHUNKS), str(ROWS)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=120)
    return process.returncode


def features(store: Path):
    return Store(store).open(Store(store).create_set(make_spec()).path.name)


def check_complete(store: Path) -> None:
    keys, values = features(store).to_numpy()
    names = keys["item_id"].to_pylist()
    assert sorted(names) == EXPECTED
    assert np.array_equal(values, vectors(names))
    opened = features(store)
    checked = verify_set(store, opened.path, read_data=True)
    assert (checked.problems, checked.pending) == ((), 0)
    assert opened.failures().num_rows == CHUNKS


@pytest.mark.parametrize("writers", [1, 2])
def test_killed_at_random_moments_nothing_is_lost_doubled_or_unreadable(tmp_path, writers):
    store = tmp_path / "s"
    moments = random.Random(writers)
    stored = 0
    for _ in range(10):
        processes = [start(store) for _ in range(writers)]
        time.sleep(moments.uniform(0.005, 0.1))
        for process in processes:
            process.send_signal(signal.SIGKILL)
            finish(process)
        opened = features(store)
        tables = [pq.read_table(path) for path in (opened.path / "data").iterdir()]
        names = [name for table in tables for name in table["item_id"].to_pylist()]
        assert len(set(names)) == len(names) >= stored
        stored = len(names)
        checked = verify_set(store, opened.path, read_data=True)
        assert checked.problems == ()
        assert checked.pending == CHUNKS - checked.chunks
    finishing = [start(store) for _ in range(writers)]
    assert [finish(process) for process in finishing] == [0] * writers
    check_complete(store)


def test_two_writers_share_the_work_and_readers_are_never_wrong(tmp_path):
    store = tmp_path / "s"
    writers = [start(store) for _ in range(2)]
    seen = 0
    rounds = 0
    while any(process.poll() is None for process in writers):
        opened = features(store)
        keys, values = opened.to_numpy()
        names = keys["item_id"].to_pylist()
        assert np.array_equal(values, vectors(names)) if names else True
        assert len(opened) == len(names) == len(set(names)) >= seen
        seen = len(names)
        for path in opened.files:
            assert pq.read_metadata(path).num_rows == ROWS - 1
        rounds += 1
    assert [finish(process) for process in writers] == [0, 0]
    assert rounds > 1
    check_complete(store)


def test_a_reader_keeps_what_it_opened(tmp_path):
    store = tmp_path / "s"
    process = start(store)
    opened = features(store)
    before = len(opened)
    finish(process)
    assert sum(batch.num_rows for batch in opened.batches()) == before
    assert len(features(store)) == len(EXPECTED) > before
