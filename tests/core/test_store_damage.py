"""Damage is found, named, and never read as if it were data."""

from __future__ import annotations

import json
import os
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ducho_core.errors import CorruptionError
from ducho_core.store import FeatureSet, Store
from ducho_core.store.schema import embedding_array
from ducho_core.store.verify import verify_set, verify_store
from tests.core.store_samples import (
    CAPTION,
    RUN,
    digests,
    failures_of,
    fill,
    item_names,
    make_spec,
    plan_of,
    rows_of,
)


@pytest.fixture
def store(tmp_path):
    fill(
        tmp_path / "s", chunks=2, rows=40, name="mine", outputs=[*make_spec()["outputs"], CAPTION]
    )
    return Store(tmp_path / "s")


def folder(store):
    return store.locate("mine")[0]


def check(store, read_data=False):
    return verify_set(store.path, folder(store), read_data=read_data)


def kinds(store, read_data=False):
    return [problem.kind for problem in check(store, read_data).problems]


def test_an_intact_set_has_no_problems(store):
    for read_data in (False, True):
        checked = check(store, read_data)
        assert checked.problems == ()
        assert (checked.rows, checked.chunks, checked.pending) == (78, 2, 0)
    assert verify_store(store) == []


def read(store):
    """All rows, or the name of the damaged file that the error gives."""
    try:
        return [batch.to_pydict() for batch in FeatureSet(folder(store)).batches()]
    except CorruptionError as error:
        text = str(error)
        assert "run the same extraction again" in text
        return text.partition(" is damaged")[0].rpartition("/")[2]


@pytest.mark.parametrize("name", ["data", "plans", "failures"])
def test_every_flipped_bit_is_found_and_none_is_read(store, name):
    path = min((folder(store) / name).iterdir())
    whole = path.read_bytes()
    good = read(store)
    rng = random.Random(name)
    places = rng.sample(range(len(whole) * 8), 250 if name == "data" else 60)
    for place in places:
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        found = check(store, read_data=True).problems
        assert found, f"bit {place} of {path.name} was changed unseen"
        assert any(problem.file.endswith(f"{name}/{path.name}") for problem in found)
        if name == "data":
            assert read(store) in (good, path.name), f"bit {place} changed what was read"
    path.write_bytes(whole)
    assert check(store, read_data=True).problems == ()


def test_every_truncated_file_is_found(store):
    path = folder(store) / "data/p000000-c000000.parquet"
    whole = path.read_bytes()
    for length in [0, 1, 4, 8, 12, *random.Random(0).sample(range(len(whole)), 40)]:
        path.write_bytes(whole[:length])
        assert kinds(store) == ["unreadable"]
        with pytest.raises(CorruptionError, match=path.name):
            FeatureSet(folder(store)).to_numpy("embedding")


def test_a_damaged_chunk_names_file_keys_and_cure(store):
    path = folder(store) / "data/p000000-c000001.parquet"
    path.write_bytes(b"")
    (problem,) = check(store).problems
    assert problem.file == os.path.relpath(path, store.path)
    assert problem.set == os.path.relpath(folder(store), store.path)
    assert problem.keys_affected == 40
    assert problem.examples == tuple(item_names(1, 40)[:10])
    assert "recomputes just this chunk" in problem.action
    assert json.loads(json.dumps(problem.as_dict()))["kind"] == "unreadable"


def test_a_missing_chunk_is_work_and_no_damage(store):
    (folder(store) / "data/p000000-c000001.parquet").unlink()
    checked = check(store)
    assert (checked.problems, checked.pending, checked.chunks) == ((), 1, 1)


def test_a_missing_plan_is_damage(store):
    (folder(store) / "plans/p000000.parquet").unlink()
    assert kinds(store) == ["unplanned", "unplanned"]


def test_a_gap_in_the_plans_is_damage(store):
    writer = store.find(store.names()["mine"])
    assert writer is not None
    for number in (1, 2):
        writer.commit_plan(number, plan_of(writer, [[f"later-{number}"]]))
    (folder(store) / "plans/p000001.parquet").unlink()
    (problem,) = check(store).problems
    assert problem.file.endswith("p000001.parquet")


def test_a_renamed_or_copied_chunk_is_found(store):
    data = folder(store) / "data"
    shutil.copy(data / "p000000-c000001.parquet", data / "p000000-c000002.parquet")
    assert kinds(store) == ["misplaced"]


def test_a_chunk_of_another_set_is_found(store, tmp_path):
    other = fill(tmp_path / "s", chunks=1, rows=40, variant="other")
    target = folder(store) / "data/p000000-c000000.parquet"
    target.unlink()
    shutil.copy(other.chunk_path(0, 0), target)
    assert kinds(store) == ["spec"]
    with pytest.raises(CorruptionError):
        list(FeatureSet(folder(store)).batches())


def test_keys_with_two_rows_are_found(store):
    writer = store.find(store.names()["mine"])
    assert writer is not None
    again = item_names(0, 3)
    writer.commit_plan(1, plan_of(writer, [again]))
    writer.commit_chunk(1, 0, rows_of(writer, again), None, RUN)
    (problem,) = check(store).problems
    assert (problem.kind, problem.keys_affected) == ("duplicate_keys", 3)
    assert sorted(problem.examples) == again


def test_rows_that_no_plan_has_are_found(store):
    writer = store.find(store.names()["mine"])
    assert writer is not None
    writer.commit_plan(1, plan_of(writer, [["a", "b"]]))
    writer.commit_chunk(1, 0, rows_of(writer, ["a", "x"]), None, RUN)
    (problem,) = check(store).problems
    assert (problem.kind, problem.examples) == ("unplanned", ("x",))


def test_values_that_are_not_finite_are_found(tmp_path):
    writer = fill(tmp_path / "s", chunks=1, rows=3, name="mine")
    keys = ["a", "b", "c"]
    values = np.array([[1] * 8, [np.nan] * 8, [np.inf] * 8], np.float32)
    columns = {"item_id": keys, "embedding": embedding_array(values)}
    writer.commit_plan(1, plan_of(writer, [keys]))
    table = pa.table({**columns, "input_sha256": digests(keys)})
    writer.commit_chunk(1, 0, table, None, RUN)
    store = Store(tmp_path / "s")
    assert kinds(store) == []
    (problem,) = check(store, read_data=True).problems
    assert (problem.kind, problem.examples) == ("non_finite", ("b", "c"))


def test_strange_files_are_found(store):
    for name in ("data/.hidden", "data/p0-c0.parquet", "plans/x", "failures/x"):
        (folder(store) / name).touch()
    assert kinds(store) == ["stray_file"] * 4
    (folder(store) / "tmp/unfinished").touch()  # what a crash leaves is no damage
    assert kinds(store) == ["stray_file"] * 4


def test_a_file_that_another_program_wrote_is_found(store):
    path = folder(store) / "data/p000000-c000000.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path)
    assert kinds(store) == ["unreadable"]


def test_a_missing_spec_is_found(store):
    path = folder(store)
    (path / "SPEC.json").unlink()
    assert {problem.kind for problem in verify_store(store)} == {"spec", "name"}


def test_a_changed_spec_is_found(store):
    path = folder(store) / "SPEC.json"
    path.write_text(path.read_text() + " ")
    (problem,) = verify_set(store.path, path.parent).problems
    assert problem.kind == "spec"


def test_a_name_without_its_set_is_found(store):
    shutil.rmtree(folder(store))
    assert [problem.kind for problem in verify_store(store)] == ["name"]


def test_an_unreadable_run_record_is_found(store):
    (folder(store) / "runs/x-start.json").write_text("{")
    assert kinds(store) == ["unreadable"]


def test_a_damaged_failures_file_costs_only_its_reasons(store):
    path = min((folder(store) / "failures").iterdir())
    path.write_bytes(b"x")
    (problem,) = check(store).problems
    assert problem.kind == "failures"
    path.unlink()
    assert check(store).problems == ()


def test_failures_name_the_damaged_file(store):
    path = min((folder(store) / "failures").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptionError, match=path.name):
        FeatureSet(folder(store)).failures()


def test_more_failures_do_no_harm(store):
    writer = store.find(store.names()["mine"])
    assert writer is not None
    failures = failures_of(writer, item_names(0, 40)[:2], run="lost-the-race")
    assert not writer.commit_chunk(0, 0, rows_of(writer, []), failures, "lost-the-race")
    assert check(store, read_data=True).problems == ()
    assert FeatureSet(folder(store)).failures().num_rows == 2  # those with a row do not count
