"""The nearest items, by exact cosine."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from ducho_core.cli import main
from ducho_core.errors import UsageError
from ducho_core.store import Store
from ducho_core.store.neighbours import neighbours
from ducho_core.store.schema import embedding_array
from tests.core.store_samples import (
    RUN,
    digests,
    failures_of,
    fill,
    make_spec,
    plan_of,
    rows_of,
)


def run(*arguments):
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_they_are_those_of_the_whole_similarity_matrix(tmp_path):
    fill(tmp_path / "s", chunks=5, rows=40, name="n")
    features = Store(tmp_path / "s").open("n")
    keys, values = features.to_numpy()
    names = keys["item_id"].to_pylist()
    unit = values.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    found = neighbours(features, [(name,) for name in names], 7)
    for row, near in enumerate(found):
        best = np.argsort(-cosines[row])[:7]
        assert [one.key for one in near] == [(names[at],) for at in best]
        assert np.allclose([one.cosine for one in near], cosines[row, best], atol=1e-6)


@pytest.mark.parametrize(("dtype", "largest"), [("float16", 1e-3), ("int8", 1e-2)])
def test_stored_types_change_little(tmp_path, dtype, largest):
    fill(tmp_path / "s", name="full")
    fill(tmp_path / "s", name="small", stored_dtype=dtype)
    store = Store(tmp_path / "s")
    key = [("item-000-0003",)]
    (full,), (small,) = (neighbours(store.open(name), key, 5) for name in ("full", "small"))
    differences = [abs(a.cosine - b.cosine) for a, b in zip(full, small, strict=True)]
    assert max(differences) < largest


@pytest.fixture
def odd(tmp_path):
    """A set with large, tiny, zero and opposite vectors."""
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec(dim=2))
    named = {"e": (1, 0), "huge": (3e38, 3e38), "tiny": (1e-30, 0), "zero": (0, 0), "w": (-1, 0)}
    table = pa.table(
        {
            "item_id": list(named),
            "embedding": embedding_array(np.array(list(named.values()), np.float32)),
            "input_sha256": digests(list(named)),
        }
    )
    writer.commit_chunk(0, 0, table, None, RUN)
    store.bind_name("odd", writer.fingerprint)
    return store


def test_length_does_not_matter_and_zeros_are_near_nothing(odd):
    (near,) = neighbours(odd.open("odd"), [("e",)], 10)
    assert [one.key[0] for one in near] == ["tiny", "huge", "w"]
    assert [round(one.cosine, 4) for one in near] == [1.0, 0.7071, -1.0]
    with pytest.raises(UsageError, match="all zeros"):
        neighbours(odd.open("odd"), [("zero",)], 3)


def test_memory_does_not_grow_with_the_set(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(dim=1024))
    values = embedding_array(np.ones((1024, 1024), np.float32))
    code = """
        import resource, sys
        from ducho_core.store import FeatureSet, neighbours
        from pathlib import Path
        for _ in range(2):
            neighbours.neighbours(FeatureSet(Path(sys.argv[1])), [("0-1",)], 3)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = []
    for chunk in range(24):  # 4 MiB each
        keys = [f"{chunk}-{row}" for row in range(1024)]
        table = pa.table({"item_id": keys, "embedding": values, "input_sha256": digests(keys)})
        writer.commit_chunk(0, chunk, table, None, RUN)
        if chunk in (3, 23):
            command = [sys.executable, "-c", textwrap.dedent(code), str(writer.path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 30


def test_the_command_prints_keys_and_cosines(tmp_path):
    fill(tmp_path / "s", name="n")
    store = ("--store", str(tmp_path / "s"))
    done = run("neighbours", "n", "item-000-0001", "item-001-0002", "-k", "2", *store)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "nearest to item-000-0001"
    assert lines[2].split()[0] == "1"
    assert lines[5] == "nearest to item-001-0002"
    done = run("neighbours", "n:embedding", "item-000-0001", "-k", "3", "--json", *store)
    found = json.loads(done.stdout)
    assert found["output"] == "embedding"
    (first,) = found["neighbours"]
    assert first["key"] == {"item_id": "item-000-0001"}
    cosines = [one["cosine"] for one in first["nearest"]]
    assert len(cosines) == 3
    assert cosines == sorted(cosines, reverse=True)


def test_an_unknown_key_gets_proposals(tmp_path):
    fill(tmp_path / "s", name="n")
    folder = ("--store", str(tmp_path / "s"))
    for typed in ("ITEM-000-0001", "itm-000-0001"):
        done = run("neighbours", "n", typed, *folder)
        assert done.exit_code == 2
        assert "Did you mean" in done.stderr
        assert "'item-000-0001'" in done.stderr
    assert "it is failed (decode_error" in run("neighbours", "n", "item-000-0019", *folder).stderr
    done = run("neighbours", "n", "nobody", "--store", str(tmp_path / "s"))
    assert done.exit_code == 2
    assert "Error: n has no row for 'nobody'" in done.stderr


def test_rows_of_an_item_with_slots_are_all_asked_about(tmp_path):
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec(keys=["item_id", "slot"]))
    keys = [("mug", "0"), ("mug", "1"), ("cup", "0"), ("jar", "0")]
    writer.commit_plan(0, plan_of(writer, [keys]))
    writer.commit_chunk(0, 0, rows_of(writer, keys), None, RUN)
    store.bind_name("n", writer.fingerprint)
    folder = ("--store", str(tmp_path / "s"), "--json", "-k", "9")
    found = json.loads(run("neighbours", "n", "mug", *folder).stdout)["neighbours"]
    assert [one["key"]["slot"] for one in found] == ["0", "1"]
    assert all(len(one["nearest"]) == 3 for one in found)
    found = json.loads(run("neighbours", "n", '["mug", "1"]', *folder).stdout)["neighbours"]
    assert [one["key"] for one in found] == [{"item_id": "mug", "slot": "1"}]
    assert run("neighbours", "n", '["mug"]', *folder).exit_code == 2


def test_hostile_keys_stay_on_one_line(tmp_path):
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec())
    keys = ["a", "line\nbreak\x1b[31m", "x" * 5000]
    writer.commit_chunk(0, 0, rows_of(writer, keys), failures_of(writer, ["f"]), RUN)
    done = run("neighbours", writer.path.name, "a", "--store", str(tmp_path / "s"))
    assert len(done.stdout.splitlines()) == 4
    assert "\x1b" not in done.stdout
    assert "line\\nbreak\\x1b[31m" in done.stdout
