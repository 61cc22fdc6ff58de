"""Reading sets: batches, numpy, selections, failures, digests."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from ducho_core.errors import SetNotFoundError, StoreError, UsageError
from ducho_core.store import Store, digest
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
    vectors,
)


@pytest.fixture
def features(tmp_path):
    fill(tmp_path / "s", chunks=3, rows=20, name="mine")
    return Store(tmp_path / "s").open("mine")


NAMES = [key for chunk in range(3) for key in item_names(chunk, 20)[:-1]]


def test_rows_come_in_the_order_of_the_plan(features):
    assert len(features) == 57
    keys, values = features.to_numpy()
    assert keys["item_id"].to_pylist() == NAMES
    assert np.array_equal(values, vectors(NAMES))
    table = pa.Table.from_batches(features.batches(["embedding", "item_id"]))
    assert table.column_names == ["embedding", "item_id"]
    assert table["item_id"].to_pylist() == NAMES


def test_a_set_describes_itself(features):
    assert features.name == "mine"
    assert features.keys == ("item_id",)
    assert features.outputs == ("embedding",)
    assert features.output == "embedding"
    assert features.dims == {"embedding": 8}
    assert features.schema.names == ["item_id", "embedding", "input_sha256"]


def test_a_selection_comes_in_the_callers_order(features):
    wanted = random.Random(0).sample(NAMES, 30)
    assert np.array_equal(features.select(wanted), vectors(wanted))
    twice = [wanted[0], wanted[1], wanted[0]]
    assert np.array_equal(features.select(twice), vectors(twice))
    assert features.select([]).shape == (0, 8)


@pytest.mark.parametrize("key", ["nobody", "", "item-000-0019", "\ud800", "item-000-0000\0"])
def test_a_key_without_a_row_is_named(features, key):
    with pytest.raises(SetNotFoundError, match="has no row for") as caught:
        features.select([NAMES[0], key])
    assert repr(key) in str(caught.value)


def test_a_key_with_the_wrong_number_of_parts_is_refused(features):
    with pytest.raises(UsageError, match="item_id"):
        features.select([("a", "b")])


def test_an_unknown_column_or_output_is_refused_with_those_there_are(features):
    with pytest.raises(UsageError, match="input_sha256"):
        list(features.batches(["nope"]))
    with pytest.raises(UsageError, match="it has embedding"):
        features.to_numpy("nope")


@pytest.fixture
def reviews(tmp_path):
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec(keys=["user_id", "item_id"]))
    keys = [(f"u{user}", f"i{item}") for user in range(4) for item in range(5) if user != item]
    writer.commit_plan(0, plan_of(writer, [keys[:9], keys[9:]]))
    for chunk, part in enumerate((keys[:9], keys[9:])):
        writer.commit_chunk(0, chunk, rows_of(writer, part), None, RUN)
    return store.open(writer.path.name), keys


def test_keys_of_several_columns_are_tuples(reviews):
    features, keys = reviews
    wanted = keys[::-2]
    assert np.array_equal(features.select(wanted), vectors(["\x1f".join(key) for key in wanted]))
    with pytest.raises(SetNotFoundError, match=r"\('u1', 'i1'\)"):
        features.select([("u1", "i1")])  # the user and the item exist, not together
    with pytest.raises(UsageError, match="user_id, item_id"):
        features.select(["u1"])


def test_int8_and_float16_come_back_as_numbers(tmp_path):
    for dtype, largest in (("float16", 1e-3), ("int8", 5e-3)):
        fill(tmp_path / "s", name=dtype, stored_dtype=dtype)
        features = Store(tmp_path / "s").open(dtype)
        keys, values = features.to_numpy()
        assert values.dtype == (np.float16 if dtype == "float16" else np.float32)
        names = keys["item_id"].to_pylist()
        assert np.abs(values - vectors(names)).max() < largest
        assert np.array_equal(features.select(names[::-1]), values[::-1])


def test_two_embeddings_need_a_choice(tmp_path):
    first = make_spec()["outputs"][0]
    outputs = [first, {**first, "name": "layer4", "dim": 3}, CAPTION]
    writer = fill(tmp_path / "s", name="n", outputs=outputs)
    store = Store(tmp_path / "s")
    with pytest.raises(UsageError, match="embedding, layer4"):
        store.open("n").to_numpy()
    assert store.open("n:layer4").to_numpy()[1].shape == (57, 3)
    assert store.open("n").to_numpy("layer4")[1].shape == (57, 3)
    with pytest.raises(UsageError, match="no embedding"):
        store.open("n:caption").to_numpy()
    assert store.open(writer.path.name).output is None


def test_an_empty_set_reads_as_empty(tmp_path):
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec())
    features = store.open(writer.path.name)
    assert (len(features), list(features.batches())) == (0, [])
    assert features.to_numpy()[1].shape == (0, 8)
    assert features.failures().num_rows == 0
    writer.commit_chunk(0, 0, rows_of(writer, []), None, RUN)
    again = store.open(writer.path.name)
    assert again.to_numpy()[1].shape == (0, 8)
    assert again.snapshot_digest() == features.snapshot_digest()


def test_a_selection_needs_memory_for_its_result_only(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(dim=512))
    for chunk in range(4):
        keys = item_names(chunk, 2048)
        columns = {
            "item_id": keys,
            "embedding": rows_of(writer, keys)["embedding"],
            "input_sha256": digests(keys),
        }
        writer.commit_chunk(0, chunk, pa.table(columns), None, RUN)
    features = Store(tmp_path / "s").open(writer.path.name)
    wanted = [item_names(chunk, 2048)[7] for chunk in range(4)]
    features.select(wanted)
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    assert np.array_equal(features.select(wanted), vectors(wanted, 512))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20  # 16 MiB are stored
    assert pa.default_memory_pool().max_memory() == before


# failures


def test_failures_are_those_that_stand(tmp_path):
    store = Store(tmp_path / "s", create=True)
    writer = store.create_set(make_spec())
    keys = item_names(0, 6)
    writer.commit_plan(0, plan_of(writer, [keys[:3], keys[3:]]))
    failed = failures_of(writer, keys[1:3])
    writer.commit_chunk(0, 0, rows_of(writer, keys[:1]), failed, RUN)
    absent = failures_of(writer, keys[3:5], status="absent", code="empty")
    writer.commit_chunk(0, 1, rows_of(writer, keys[5:]), absent, RUN)

    def standing(kind=None):
        rows = store.open(writer.path.name).failures(kind).to_pylist()
        return {row["item_id"]: (row["status"], row["code"]) for row in rows}

    assert standing() == {
        keys[1]: ("failed", "decode_error"),
        keys[2]: ("failed", "decode_error"),
        keys[3]: ("absent", "empty"),
        keys[4]: ("absent", "empty"),
    }
    assert set(standing("absent")) == {keys[3], keys[4]}
    # A second plan tries three of them again: one succeeds, one fails otherwise, one is lost.
    writer.commit_plan(1, plan_of(writer, [[keys[1], keys[2]], [keys[3]]]))
    again = failures_of(writer, [keys[2]], code="too_large")
    unfinished = failures_of(writer, [keys[3]], code="never")
    writer.commit_chunk(1, 0, rows_of(writer, [keys[1]]), again, "second")
    writer.commit_chunk(1, 1, rows_of(writer, []), unfinished, "second")
    writer.chunk_path(1, 1).unlink()
    assert standing() == {
        keys[2]: ("failed", "too_large"),
        keys[3]: ("absent", "empty"),
        keys[4]: ("absent", "empty"),
    }
    with pytest.raises(UsageError, match="withdrawn"):
        standing("lost")
    info = store.info(writer.path)
    assert (info.rows, info.failed, info.absent, info.pending) == (3, 1, 2, 1)
    assert not info.complete


# digests


def test_a_snapshot_digest_forgets_chunks_and_order(tmp_path):
    outputs = [*make_spec()["outputs"], CAPTION]
    store = Store(tmp_path / "s", create=True)
    keys = item_names(0, 30)
    found = []
    for variant, cuts in (("a", [30]), ("b", [7, 30]), ("c", [29, 30]), ("d", [29])):
        writer = store.create_set(make_spec(outputs=outputs, variant=variant))
        order = keys if variant != "b" else keys[::-1]
        for chunk, (start, end) in enumerate(zip([0, *cuts], cuts, strict=False)):
            writer.commit_chunk(0, chunk, rows_of(writer, order[start:end]), None, RUN)
        found.append(store.open(writer.path.name).snapshot_digest())
    assert found[0] == found[1] == found[2] != found[3]


@pytest.mark.parametrize("keys", [("item_id",), ("user_id", "item_id")])
def test_a_snapshot_digest_is_that_of_the_sorted_table(tmp_path, monkeypatch, keys):
    monkeypatch.setattr(digest, "_BLOCK", 3)
    names = ["b", "", "é", "a\0", "B", "10", "9", "a"]
    rows = [name if len(keys) == 1 else (name, other) for name in names for other in "yx"]
    rows = list(dict.fromkeys(rows))
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(keys=keys))
    writer.commit_plan(0, plan_of(writer, [rows[:5], rows[5:]]))
    for chunk, part in enumerate((rows[:5], rows[5:])):
        writer.commit_chunk(0, chunk, rows_of(writer, part), None, RUN)
    features = Store(tmp_path / "s").open(writer.path.name)
    whole = pa.Table.from_batches(list(features.batches()))
    table = whole.select(list(keys)).append_column("row_sha256", digest.row_digests(whole))
    in_order = table.sort_by([(name, "ascending") for name in keys])
    assert features.snapshot_digest() == digest.content_sha256(in_order)


def test_a_snapshot_digest_of_no_rows(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(dim=None))
    features = Store(tmp_path / "s").open(writer.path.name)
    fields = [pa.field("item_id", pa.string()), pa.field("row_sha256", pa.binary(32))]
    assert features.snapshot_digest() == digest.content_sha256(pa.schema(fields).empty_table())


def test_a_snapshot_digest_sees_every_value(tmp_path):
    outputs = [*make_spec()["outputs"], CAPTION]
    store = Store(tmp_path / "s", create=True)
    keys = ["a", "b"]
    found = set()
    for variant in ("same", "caption", "vector", "input"):
        writer = store.create_set(make_spec(outputs=outputs, variant=variant))
        table = rows_of(writer, keys)
        if variant == "caption":
            table = table.set_column(2, "caption", pa.array(["", None], pa.string()))
        elif variant == "vector":
            table = table.set_column(1, "embedding", rows_of(writer, ["b", "a"])["embedding"])
        elif variant == "input":
            table = table.set_column(3, "input_sha256", digests(["b", "a"]))
        writer.commit_chunk(0, 0, table, None, RUN)
        found.add(store.open(writer.path.name).snapshot_digest())
    assert len(found) == 4


def test_a_store_lists_its_sets(tmp_path):
    writer = fill(tmp_path / "s", name="mine")
    unfinished = Store(tmp_path / "s").create_set(make_spec(variant="b", catalogue="other"))
    unfinished.commit_plan(0, plan_of(unfinished, [["a"], ["b"]]))
    first, second = Store(tmp_path / "s").sets()
    assert (first.names, first.rows, first.failed, first.planned) == (("mine",), 57, 3, 60)
    assert first.complete
    assert first.bytes == sum(path.stat().st_size for path in (writer.path / "data").iterdir())
    assert (second.catalogue, second.pending, second.complete) == ("other", 2, False)
    assert second.outputs == {"embedding": 8}


def test_a_store_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreError, match="--store"):
        Store(tmp_path / "nowhere")
