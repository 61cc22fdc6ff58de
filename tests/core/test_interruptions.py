"""Killed, interrupted, or in company: nothing is lost and nothing is twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from ducho_core.store import Store

pytestmark = pytest.mark.usefixtures("probe")

DUCHO = str(Path(sys.executable).parent / "ducho")


def command(source: Path, store: Path, *more: str) -> list[str]:
    options = ["--plugin", "probe", "--store", str(store), "--name", "n", "--chunk-size", "20"]
    return [DUCHO, "extract", str(source), *options, "-o", "pause=0.01", *more]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def committed(store: Path) -> list[Path]:
    return list(store.glob("*/*/*/data/*.parquet"))


def keys_in(store: Path) -> list[str]:
    pattern = str(store / "*/*/*/data/*.parquet")
    rows = duckdb.sql(f"select item_id, counts from '{pattern}'").fetchall()
    return [key for key, _ in rows]


def whole(store: Path, expected: set[str]) -> None:
    keys = keys_in(store)
    assert sorted(keys) == sorted(expected)
    info = Store(store).sets()[0]
    assert (info.rows, info.complete, info.failed) == (len(expected), True, 0)


def items(count: int) -> dict[str, str]:
    return {f"item{at}": f"a text {at} {'b' * (at % 9)}" for at in range(count)}


def test_killed_at_ten_random_moments(table, tmp_path):
    store, source = tmp_path / "s", table(items(1500))
    chance = random.Random(7)
    kills = 0
    while kills < 10:
        process = start(command(source, store))
        # From before the plan to deep in the work: a full run takes some two seconds.
        time.sleep(chance.uniform(0.25, 0.75))
        process.kill()
        _, said = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), said
        kills += 1
        if committed(store):
            keys = keys_in(store)  # every file can be read, at any moment
            assert len(keys) == len(set(keys))
    last = subprocess.run(command(source, store), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    whole(store, set(items(1500)))


def test_two_processes_on_one_set(table, tmp_path):
    store, source = tmp_path / "s", table(items(800))
    both = [start(command(source, store)) for _ in range(2)]
    for process in both:
        _, said = process.communicate()
        assert process.returncode in (0, 1), said
    last = subprocess.run(command(source, store), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert "nothing to do" in last.stdout
    whole(store, set(items(800)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_keeps_what_it_has_and_goes_on_later(table, tmp_path, number):
    store, source = tmp_path / "s", table(items(1500))
    process = start(command(source, store))
    limit = time.monotonic() + 30
    while len(committed(store)) < 3 and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(number)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    assert "what is committed stays" in said
    assert "interrupted: the same command goes on from here" in printed
    kept = len(keys_in(store))
    assert 0 < kept < 1500
    assert not [path for path in store.rglob("tmp/*") if path.is_file()]
    last = subprocess.run(command(source, store), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert f"{kept} stored before" in last.stdout
    whole(store, set(items(1500)))
