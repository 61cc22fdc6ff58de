"""Exports to faiss, LanceDB and Qdrant, read and searched with these libraries themselves."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import faiss
import lancedb
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from qdrant_client import QdrantClient

from ducho_core import PluginLoadError, StoreError, UsageError, export
from ducho_core.cli import main
from ducho_core.fusion import joined
from tests.core.set_samples import HOSTILE, put_set, tree, vectors_for
from tests.plugins.vectors.vectors_kit import FORMATS, READ, unit

pytestmark = pytest.mark.usefixtures("unsynced")

CONTIGUOUS = [str(at) for at in range(60)]
ODD = [*HOSTILE, *(f"B{at:03}/x" for at in range(20))]
NO_COSINE = "length 0, which has no cosine"
METRICS = ("cosine", "ip", "l2")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def held_as(to, metric, vectors):
    """What a format holds of vectors: all but LanceDB make them of length 1 for cosine."""
    return unit(vectors) if metric == "cosine" and to != "lancedb" else vectors


def compare(found, keys, expected):
    assert set(found) == set(keys)
    held = np.array([found[key] for key in keys])
    np.testing.assert_allclose(held, expected, rtol=2e-7, atol=2e-7)


def nearest(vectors, query, metric):
    """Rows by how near they are, by plain NumPy."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return np.argsort(np.linalg.norm(vectors - query, axis=1))
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.argsort(-(vectors @ query))


def run(step, out, monkeypatch, **names):
    """Run the line of Python that an export ends with, in its folder."""
    monkeypatch.chdir(out)
    scope = dict(names)
    exec(step, scope)
    if "client" in scope:
        scope["client"].close()
    return scope["found"]


def ids_of(to, found):
    if to == "faiss":
        return found[0]
    if to == "lancedb":
        return found["item_id"].to_pylist()
    return [point.payload["item_id"] for point in found]


def search(to, report, out, monkeypatch, query):
    names = {"queries": query[None].copy()} if to == "faiss" else {"query": query}
    return ids_of(to, run(report.notes.next_step, out, monkeypatch, **names))


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("ids", [CONTIGUOUS, ODD], ids=["contiguous", "odd"])
@pytest.mark.parametrize("metric", METRICS)
def test_each_id_has_its_own_vector(store, tmp_path, monkeypatch, to, ids, metric):
    monkeypatch.setattr(joined, "block_rows", lambda dims: 7)
    values = vectors_for(ids, 5)
    put_set(store, "one", ids, values)
    report = export("one", to, tmp_path / "out", store=store, options={"metric": metric})
    name = "vector" if to == "lancedb" else "one"
    found = READ[to](tmp_path / "out")[name]
    compare(found, ids, held_as(to, metric, values))
    some = np.random.default_rng(0).choice(len(ids), 50, replace=False)
    for row in some.tolist():
        near = held_as(to, metric, values[row : row + 1])[0]
        np.testing.assert_allclose(found[ids[row]], near, rtol=2e-7, atol=2e-7)
    assert report.rows == len(ids)
    assert not report.notes.remarks


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("ids", [CONTIGUOUS, ODD], ids=["contiguous", "odd"])
def test_items_that_a_set_lacks_have_no_such_vector(store, tmp_path, monkeypatch, to, ids):
    monkeypatch.setattr(joined, "block_rows", lambda dims: 7)
    first, second = ids[:40], ids[::-1][: len(ids) - 20]
    put_set(store, "one", first, vectors_for(first, 5))
    put_set(store, "two", second, vectors_for(second, 3, seed=1))
    report = export(["one", "two"], to, tmp_path / "out", store=store)
    found = READ[to](tmp_path / "out")
    compare(found["one"], first, held_as(to, "cosine", vectors_for(first, 5)))
    compare(found["two"], second, held_as(to, "cosine", vectors_for(second, 3, seed=1)))
    assert [(one.present, one.filled, one.dropped) for one in report.inputs] == [
        (40, 0, 0),
        (len(ids) - 20, 0, 0),
    ]
    with pytest.raises(UsageError, match="writes each set by itself"):
        export(["one", "two"], to, tmp_path / "b", store=store, missing="zero")
    export(["one", "two"], to, tmp_path / "c", store=store, missing="drop")
    both = set(first) & set(second)
    assert {name: set(one) for name, one in READ[to](tmp_path / "c").items()} == {
        "one": both,
        "two": both,
    }


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_are_those_of_plain_numpy(store, tmp_path, monkeypatch, to, metric):
    ids = [f"i{at}" for at in np.random.default_rng(1).permutation(300)]
    values = vectors_for(ids, 16) * np.linspace(0.5, 3, 300, dtype=np.float32)[:, None]
    put_set(store, "one", ids, values, chunk=50)
    out = tmp_path / "out"
    report = export("one", to, out, store=store, options={"metric": metric})
    for query in [*values[:10], *vectors_for(["a", "b", "c"], 16)]:
        expected = [ids[row] for row in nearest(values, query, metric)[:10]]
        assert search(to, report, out, monkeypatch, query) == expected


@pytest.mark.parametrize("to", FORMATS)
def test_vectors_of_length_zero_are_left_out_and_listed(store, tmp_path, monkeypatch, to):
    monkeypatch.setattr(joined, "block_rows", lambda dims: 7)
    ids = [*CONTIGUOUS[:20], "a\nb", "=cmd()"]
    values = vectors_for(ids, 5)
    empty = [3, 4, 20, 21]
    values[empty] = 0
    put_set(store, "one", ids, values)
    put_set(store, "two", ids[:10], vectors_for(ids[:10], 3))
    out = tmp_path / "out"
    report = export("one", to, out, store=store)
    name = "vector" if to == "lancedb" else "one"
    rest = [at for at in range(len(ids)) if at not in empty]
    compare(READ[to](out)[name], [ids[at] for at in rest], held_as(to, "cosine", values[rest]))
    assert report.inputs[0].zero == 4
    assert list(report.notes.remarks) == [
        f"4 vectors of one have {NO_COSINE}: left out, and listed in left-out.jsonl"
    ]
    listed = [json.loads(line) for line in (out / "left-out.jsonl").read_text().splitlines()]
    assert [(one["set"], one["item_id"]) for one in listed] == [("one", ids[at]) for at in empty]
    assert {one["reason"] for one in listed} == {NO_COSINE}
    everywhere = READ[to](out)[name]
    near = search(to, report, out, monkeypatch, values[0])
    assert set(near) <= set(everywhere)

    export(["one", "two"], to, tmp_path / "b", store=store)
    found = READ[to](tmp_path / "b")
    assert set(found["one"]) == {ids[at] for at in rest}
    assert set(found["two"]) == set(ids[:10])

    export("one", to, tmp_path / "ip", store=store, options={"metric": "ip"})
    compare(READ[to](tmp_path / "ip")[name], ids, values)
    assert not (tmp_path / "ip" / "left-out.jsonl").exists()


@pytest.mark.parametrize("to", FORMATS)
def test_a_set_of_nothing_but_zeros_is_an_empty_index(store, tmp_path, to):
    put_set(store, "one", ["a", "b"], np.zeros((2, 3), np.float32))
    export("one", to, tmp_path / "out", store=store)
    assert not any(READ[to](tmp_path / "out").values())


@pytest.mark.parametrize("to", FORMATS)
def test_lengths_that_float32_cannot_square(store, tmp_path, monkeypatch, to):
    ids = CONTIGUOUS[:20]
    values = vectors_for(ids, 5)
    values[4] *= 1e-30
    values[5] *= 1e30
    put_set(store, "one", ids, values)
    out = tmp_path / "out"
    report = export("one", to, out, store=store)
    if to == "lancedb":
        assert report.notes.remarks[0].startswith("2 vectors of one have a length whose square")
        assert set(READ[to](out)["vector"]) == set(ids) - {"4", "5"}
        return
    compare(READ[to](out)["one"], ids, unit(values))
    for row in (4, 5):
        query = unit(values[row])
        expected = [ids[at] for at in nearest(unit(values), query, "cosine")[:10]]
        assert search(to, report, out, monkeypatch, query) == expected


@pytest.mark.parametrize("to", FORMATS)
def test_hostile_ids_are_exact_and_nothing_is_written_outside(store, tmp_path, monkeypatch, to):
    put_set(store, "one", HOSTILE, vectors_for(HOSTILE, 3))
    put_set(store, "two", HOSTILE, vectors_for(HOSTILE, 4))
    (tmp_path / "x").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = tree(tmp_path)
    out = tmp_path / "deep" / "out"
    export(["one", "two"], to, out, store=store)
    after = tree(tmp_path)
    new = {path for path in after if before.get(path, "absent") != after[path]}
    assert all(path == "deep" or path.split("/")[:2] == ["deep", "out"] for path in new)
    assert {path: after[path] for path in before} == before
    found = READ[to](out)
    compare(found["one"], HOSTILE, held_as(to, "cosine", vectors_for(HOSTILE, 3)))
    compare(found["two"], HOSTILE, held_as(to, "cosine", vectors_for(HOSTILE, 4)))


@pytest.mark.parametrize("to", FORMATS)
def test_slots_and_reviews_are_refused(store, tmp_path, to):
    keys = [("a", "0"), ("a", "1")]
    put_set(store, "slots", keys, vectors_for(keys, 3), columns=("item_id", "slot"))
    put_set(store, "said", keys, vectors_for(keys, 3), columns=("user_id", "item_id"))
    with pytest.raises(UsageError, match="ducho fuse slots --how pool"):
        export("slots", to, tmp_path / "out", store=store)
    with pytest.raises(UsageError, match="a row for each interaction"):
        export("said", to, tmp_path / "out", store=store)


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_was_searched_can_be_made_anew(store, tmp_path, monkeypatch, to):
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))
    out = tmp_path / "out"
    report = export("one", to, out, store=store)
    query = vectors_for(CONTIGUOUS, 4)[7]
    first = search(to, report, out, monkeypatch, query)
    monkeypatch.chdir(tmp_path)
    report = export("one", to, out, store=store)
    assert search(to, report, out, monkeypatch, query) == first
    assert first[0] == "7"


def test_numbers_of_faiss_are_kept_from_export_to_export(store, tmp_path):
    put_set(store, "old", CONTIGUOUS[:20], vectors_for(CONTIGUOUS[:20], 4))
    later = [*CONTIGUOUS[30:40], *CONTIGUOUS[10:20][::-1]]
    put_set(store, "new", later, vectors_for(later, 4))
    export("old", "faiss", tmp_path / "a", store=store)
    export("new", "faiss", tmp_path / "b", store=store, id_map=str(tmp_path / "a"))
    before, after = (numbered(tmp_path / at, of) for at, of in (("a", "old"), ("b", "new")))
    assert set(before.values()) == set(CONTIGUOUS[:20])
    assert set(after.values()) == set(later)
    kept = set(CONTIGUOUS[10:20])
    assert {at: one for at, one in before.items() if one in kept} == {
        at: one for at, one in after.items() if one in kept
    }
    assert min(at for at, one in after.items() if one not in kept) == 20
    compare(READ["faiss"](tmp_path / "b")["new"], later, unit(vectors_for(later, 4)))


def numbered(out, label):
    """The number in an index of each id, by the id map."""
    ids = pq.read_table(out / "ids.parquet").to_pydict()
    names = dict(zip(ids["row"], ids["item_id"], strict=True))
    index = faiss.read_index(str(out / f"{label}.faiss"))
    return {at: names[at] for at in faiss.vector_to_array(index.id_map).tolist()}


@pytest.mark.parametrize("to", FORMATS)
def test_only_what_is_new_since_an_export_is_written(store, tmp_path, to):
    values = vectors_for(CONTIGUOUS, 4)
    put_set(store, "old", CONTIGUOUS[:20], values[:20], label="one")
    changed = values.copy()
    changed[3] *= -1
    put_set(tmp_path / "t", "old", CONTIGUOUS[:25], changed[:25], label="one")
    options = {"points": "row"} if to == "qdrant" else {}
    export("old", to, tmp_path / "a", store=store, options=options)
    was = str(tmp_path / "a")
    export("old", to, tmp_path / "b", store=tmp_path / "t", since=was, options=options)
    name = "vector" if to == "lancedb" else "old"
    new = [3, *range(20, 25)]
    compare(
        READ[to](tmp_path / "b")[name],
        [CONTIGUOUS[at] for at in new],
        held_as(to, "cosine", changed[new]),
    )


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("metric", METRICS)
def test_numbers_that_are_not_finite_are_left_out_and_listed(store, tmp_path, to, metric):
    values = vectors_for(CONTIGUOUS, 4)
    values[3, 1], values[8, 0] = np.inf, np.nan
    put_set(store, "one", CONTIGUOUS, values)
    out = tmp_path / "out"
    report = export("one", to, out, store=store, options={"metric": metric})
    rest = [at for at in range(60) if at not in (3, 8)]
    name = "vector" if to == "lancedb" else "one"
    expected = held_as(to, metric, values[rest])
    compare(READ[to](out)[name], [CONTIGUOUS[at] for at in rest], expected)
    assert "2 vectors of one have numbers that are not finite" in report.notes.remarks[0]
    listed = [json.loads(line) for line in (out / "left-out.jsonl").read_text().splitlines()]
    assert [one["item_id"] for one in listed] == ["3", "8"]


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("error", [StoreError("chunk 2 is damaged"), KeyboardInterrupt("chunk 2")])
def test_an_error_of_the_rows_stays_what_it_is(store, tmp_path, monkeypatch, to, error):
    monkeypatch.setattr(joined, "block_rows", lambda dims: 7)
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))
    batch, calls = joined.JoinedRows.batch, []

    def failing(self, numbers, keys):
        calls.append(len(numbers))
        if len(calls) == 3:
            raise error
        return batch(self, numbers, keys)

    monkeypatch.setattr(joined.JoinedRows, "batch", failing)
    with pytest.raises(type(error), match=r"^chunk 2") as caught:
        export("one", to, tmp_path / "out", store=store)
    assert caught.value is error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


@pytest.mark.parametrize(
    ("to", "where", "what"),
    [
        ("faiss", faiss, "write_index"),
        ("lancedb", lancedb.db.LanceDBConnection, "create_table"),
        ("qdrant", QdrantClient, "upsert"),
    ],
)
def test_a_library_that_fails_leaves_an_earlier_export(
    store, tmp_path, monkeypatch, to, where, what
):
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))
    out = tmp_path / "out"
    export("one", to, out, store=store)
    before = tree(tmp_path)

    def fail(*given, **named):
        raise RuntimeError("no space left")

    monkeypatch.setattr(where, what, fail)
    with pytest.raises(StoreError, match="could not write the rows: no space left"):
        export("one", to, out, store=store)
    assert tree(tmp_path) == before


def test_a_full_disk_is_told_without_places_in_the_source_of_a_library(
    store, tmp_path, monkeypatch
):
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))

    def fail(*given, **named):
        raise RuntimeError("No space left on device (os error 28), /root/.cargo/x/writer.rs:191:9")

    monkeypatch.setattr(lancedb.db.LanceDBConnection, "create_table", fail)
    with pytest.raises(StoreError, match="free some space") as caught:
        export("one", "lancedb", tmp_path / "out", store=store)
    assert "/root" not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "module"), [("faiss", "faiss"), ("lancedb", "lancedb"), ("qdrant", "qdrant_client")]
)
def test_a_missing_library_is_named_with_what_installs_it(
    store, tmp_path, monkeypatch, to, module
):
    import sys

    put_set(store, "one", ["a"], vectors_for(["a"], 4))
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"ducho_vectors.exporters.{to}", raising=False)
    with pytest.raises(PluginLoadError, match=rf"{module}.*ducho-vectors\[{to}\]"):
        export("one", to, tmp_path / "out", store=store)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("index", "at_least"),
    [
        ("hnsw", 0.9),
        ("ivf", 1.0),
        ("IVF8,Flat", 1.0),
        ("PCA12,Flat", 0.3),
        ("IVF4,PQ8x4", 0.5),
        ("OPQ8,IVF4,PQ8x4", 0.5),
        ("IDMap2,SQ8", 0.9),
        ("IVF4,PQ8x4,RFlat", 0.5),
    ],
)
def test_other_indexes_of_faiss_find_by_row(store, tmp_path, index, at_least):
    ids = [f"i{at}" for at in range(1000)]
    values = vectors_for(ids, 16)
    values[17] = 0
    put_set(store, "one", ids, values, chunk=500)
    out = tmp_path / "out"
    report = export("one", "faiss", out, store=store, options={"index": index, "train": 700})
    trained = [one for one in report.notes.remarks if "trained" in one]
    if index != "hnsw":
        assert trained == [
            f"{index} was trained on 700 of 999 vectors of one, drawn at random (seed 0)"
        ]
    made = faiss.read_index(str(out / "one.faiss"))
    assert made.ntotal == 999
    inverted = faiss.try_extract_index_ivf(made)
    if inverted:
        inverted.nprobe = inverted.nlist
    kept = np.delete(np.arange(1000), 17)
    queries = unit(np.delete(values[:51], 17, axis=0))
    _scores, rows = made.search(queries, 10)
    assert not np.isin(rows, [17, -1]).any()
    hits = 0
    for query, found in zip(queries, rows, strict=True):
        exact = kept[nearest(values[kept], query, "cosine")[:10]]
        hits += len(set(exact) & set(found))
    assert hits / 500 >= at_least


def test_the_vectors_to_train_on_are_drawn_evenly_and_the_same_again(store, tmp_path):
    ids = [f"i{at}" for at in range(400)]
    put_set(store, "one", ids, vectors_for(ids, 4), chunk=100)
    options = {"index": "IVF4,Flat", "train": 100}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        export("one", "faiss", tmp_path / name, store=store, options={**options, "seed": seed})
    first, second, other = (
        (tmp_path / name / "one.faiss").read_bytes() for name in ("a", "b", "c")
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"index": "nothing"}, "option 'index': faiss makes no 'nothing' .*could not parse"),
        ({"index": "PQ3"}, "5 numbers of one: .*multiple"),
        ({"index": "LSH"}, "LSH' with metric cosine"),
        ({"index": "IVF512,Flat"}, "cannot train 'IVF512,Flat' on 60 vectors of one"),
        ({"train": 0}, "train"),
        ({"metric": "dot"}, "metric"),
    ],
)
def test_indexes_that_cannot_be_made_are_explained(store, tmp_path, options, says):
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 5))
    with pytest.raises(UsageError, match=says):
        export("one", "faiss", tmp_path / "out", store=store, options=options)
    assert not (tmp_path / "out").exists()


def test_nothing_to_train_on(store, tmp_path):
    put_set(store, "one", ["a"], np.zeros((1, 4), np.float32))
    with pytest.raises(UsageError, match="no vector to train 'ivf' on"):
        export("one", "faiss", tmp_path / "out", store=store, options={"index": "ivf"})


def test_points_of_qdrant_are_called_the_same_in_every_export(store, tmp_path):
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))
    few = CONTIGUOUS[::-1][:5]
    put_set(store, "few", few, vectors_for(few, 4))
    found = []
    for name, to in (("one", "a"), ("few", "b")):
        export(name, "qdrant", tmp_path / to, store=store)
        client = QdrantClient(path=str(tmp_path / to / "qdrant"))
        points, _more = client.scroll("items", limit=100)
        client.close()
        found.append({point.payload["item_id"]: point.id for point in points})
    assert found[0] == {key: str(uuid.uuid5(uuid.NAMESPACE_OID, key)) for key in CONTIGUOUS}
    assert found[1].items() <= found[0].items()


def test_points_of_qdrant_called_by_row_and_without_a_vector(store, tmp_path):
    put_set(store, "one", ["a", "b", "c"], vectors_for(["a", "b", "c"], 4))
    put_set(store, "two", ["c", "d"], vectors_for(["c", "d"], 2))
    options = {"points": "row"}
    export(["one", "two"], "qdrant", tmp_path / "out", store=store, options=options)
    client = QdrantClient(path=str(tmp_path / "out" / "qdrant"))
    points, _more = client.scroll("items", limit=10, with_vectors=True)
    near = client.query_points("items", query=[1.0, 2.0], using="two", limit=10).points
    client.close()
    named = {one.payload["item_id"]: sorted(one.vector) for one in points}
    assert named == {"a": ["one"], "b": ["one"], "c": ["one", "two"], "d": ["two"]}
    assert sorted(one.id for one in points) == [0, 1, 2, 3]
    assert {one.payload["item_id"] for one in near} == {"c", "d"}


def test_two_ids_with_one_uuid_are_told(store, tmp_path, monkeypatch):
    put_set(store, "one", ["a", "b"], vectors_for(["a", "b"], 4))
    one = uuid.uuid4()
    monkeypatch.setattr(uuid, "uuid5", lambda namespace, name: one)
    with pytest.raises(UsageError, match="1 of 2 ids have the same UUID"):
        export("one", "qdrant", tmp_path / "out", store=store)


def test_qdrant_without_a_way_to_its_file_writes_the_same(store, tmp_path, monkeypatch):
    from ducho_vectors.exporters import qdrant

    put_set(store, "one", CONTIGUOUS[:9], vectors_for(CONTIGUOUS[:9], 4))
    export("one", "qdrant", tmp_path / "a", store=store)
    quick = qdrant._leave_flushing_to_us
    monkeypatch.setattr(qdrant, "_leave_flushing_to_us", lambda client: quick(object()))
    export("one", "qdrant", tmp_path / "b", store=store)
    name = "qdrant/collection/items/storage.sqlite"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_many_points_are_remarked_on_without_a_warning(store, tmp_path, monkeypatch, recwarn):
    from ducho_vectors.exporters import qdrant

    monkeypatch.setattr(qdrant, "_MANY", 50)
    put_set(store, "one", CONTIGUOUS, vectors_for(CONTIGUOUS, 4))
    report = export("one", "qdrant", tmp_path / "out", store=store)
    assert "60 points are more than the 50" in report.notes.remarks[0]
    assert not [one for one in recwarn if "Local mode" in str(one.message)]


# LanceDB looks into lists of ten numbers and more, which it takes for vectors.
@pytest.mark.parametrize("dims", [(4, 2), (16, 12)])
def test_columns_of_lancedb_are_lists_of_float32_and_null_where_there_is_none(
    store, tmp_path, dims
):
    put_set(store, "one", ["a", "b"], vectors_for(["a", "b"], dims[0]), label="item_id")
    put_set(store, "two", ["b", "c"], vectors_for(["b", "c"], dims[1]))
    export(["one", "two"], "lancedb", tmp_path / "out", store=store)
    table = lancedb.connect(str(tmp_path / "out" / "lancedb")).open_table("items")
    assert [str(kind).split(" ")[0].split("<")[0] for kind in table.schema.types] == [
        "string",
        "fixed_size_list",
        "fixed_size_list",
    ]
    assert [kind.list_size for kind in table.schema.types[1:]] == list(dims)
    name = table.schema.names[2]
    rows = {row["item_id"]: row for row in table.to_arrow().to_pylist()}
    assert rows["a"][name] is None
    near = table.search([1.0] * dims[1], vector_column_name=name).limit(10).to_list()
    assert {row["item_id"] for row in near} == {"b", "c"}


@pytest.mark.parametrize("to", FORMATS)
def test_the_command_says_what_was_left_out_and_how_to_search(store, tmp_path, to):
    values = vectors_for(CONTIGUOUS, 4)
    values[5] = 0
    put_set(store, "one", CONTIGUOUS, values)
    arguments = ["export", "one", "--to", to, "--out", tmp_path / "out", "--store", store]
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "1 vector of one has length 0" in said
    assert f"import {to}" in said or f"from {to}_client import" in said


def test_the_examples_in_the_readme_run(store, tmp_path, monkeypatch, capsys):
    covers, titles = vectors_for(CONTIGUOUS, 4), vectors_for(CONTIGUOUS, 3)
    put_set(store, "covers", CONTIGUOUS, covers)
    put_set(store, "titles", CONTIGUOUS, titles)
    readme = Path(__file__).parents[3] / "plugins/ducho-vectors/README.md"
    text = readme.read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    ducho (export .*)$", text, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = CliRunner().invoke(main, [*command.split(), "--store", str(store)])
        assert done.exit_code == 0, done.output
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        scope = {"queries": covers[7:8].copy(), "query": covers[7]}
        exec(example, scope)
        if "client" in scope:
            scope["client"].close()
    printed = json.loads(capsys.readouterr().out.replace("'", '"'))
    assert printed[0][0] == "7"
    assert len(printed[0]) == 10
