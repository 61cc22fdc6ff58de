"""Fusers that pool groups, that relabel, and that break the contract; the spool; crashes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ducho_core import ContractError, FuserSpec, Output, RelabelFuser, RowFuser, Store, fuse
from ducho_core.errors import StoreError, UsageError
from ducho_core.fusion import joined, vectors
from ducho_core.fusion.inputs import open_inputs
from ducho_core.store import atomic
from ducho_core.store.rows import RowReader
from ducho_core.store.verify import verify_set
from tests.core.set_samples import content, put_set, tree, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:02}" for number in range(40)]
SLOTS = [(f"k{item:02}", str(slot)) for item in range(12) for slot in range(1, 1 + item % 4)]


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of four rows, so that a small set has many of them."""
    monkeypatch.setattr(joined, "block_rows", lambda dims: 4)


def fused(store, report):
    opened = Store(store).open(report.name)
    checked = verify_set(store, opened.path, read_data=True)
    assert (checked.problems, checked.pending) == ((), 0)
    return content(opened)


POOL = {
    "mean": lambda rows: rows.astype(np.float64).mean(axis=0),
    "sum": lambda rows: rows.astype(np.float64).sum(axis=0),
    "max": lambda rows: rows.max(axis=0),
    "first": lambda rows: rows[0],
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("method", POOL)
@pytest.mark.parametrize("order", ["stored", "random"])
def test_slots_become_one_row_an_item(store, method, order):
    keys = (
        SLOTS
        if order == "stored"
        else [SLOTS[at] for at in np.random.default_rng(1).permutation(len(SLOTS))]
    )
    put_set(store, "slots", keys, vectors_for(keys, 5), columns=("item_id", "slot"))
    report = fuse("slots", "pool", store=store, options={"method": method})
    result = fused(store, report)
    items = {item for item, _slot in SLOTS}
    assert set(result) == items
    for item in items:
        rows = vectors_for([key for key in SLOTS if key[0] == item], 5)
        np.testing.assert_allclose(result[item], POOL[method](rows), rtol=1e-6)
    again = fuse("slots", "pool", store=store, options={"method": method})
    assert (again.stored, again.skipped) == (0, len(items))


def test_the_first_slot_is_the_first_in_natural_order(store):
    keys = [("a", "10"), ("a", "2"), ("b", "1")]
    put_set(store, "slots", keys, vectors_for(keys, 5), columns=("item_id", "slot"))
    result = fused(store, fuse("slots", "pool", store=store, options={"method": "first"}))
    np.testing.assert_array_equal(result["a"], vectors_for([("a", "2")], 5)[0])


def test_slots_of_reviews_are_pooled_by_user_and_item(store):
    keys = [("u", "a", "1"), ("u", "a", "2"), ("v", "a", "1")]
    put_set(store, "slots", keys, vectors_for(keys, 5), columns=("user_id", "item_id", "slot"))
    result = fused(store, fuse("slots", "pool", store=store))
    assert set(result) == {("u", "a"), ("v", "a")}


def test_what_has_no_slots_cannot_be_pooled(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    with pytest.raises(UsageError, match="one has no slots to pool"):
        fuse("one", "pool", store=store)


@pytest.mark.usefixtures("small_blocks")
def test_shuffled_rows_are_the_same_vectors_under_other_keys(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    result = fused(store, fuse("one", "shuffle", store=store))
    values = vectors_for(KEYS, 5)
    got = np.array([result[key] for key in KEYS])
    assert sorted(got.tolist()) == sorted(values.tolist())
    assert np.mean((got == values).all(axis=1)) < 0.25
    other = fused(store, fuse("one", "shuffle", store=store, options={"seed": 1}))
    assert not np.array_equal(got, [other[key] for key in KEYS])


def test_a_shuffle_does_not_depend_on_the_order_of_storage(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    put_set(store, "two", KEYS[::-1], vectors_for(KEYS[::-1], 5))
    one = fused(store, fuse("one", "shuffle", store=store))
    two = fused(store, fuse("two", "shuffle", store=store))
    np.testing.assert_array_equal([one[key] for key in KEYS], [two[key] for key in KEYS])


class Wrong(RowFuser):
    """A fuser whose result the test decides."""

    result = None

    def __init__(self, context):
        self.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)

    @classmethod
    def open(cls, options, context):
        return cls(context)

    def transform(self, batch):
        return type(self).result(batch)


class WrongSources(RelabelFuser):
    result = None

    @classmethod
    def open(cls, options, context):
        made = cls()
        made.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        return made

    def sources(self, digests):
        return type(self).result(digests)


class OneFuser:
    """A registry that has just one fuser."""

    def __init__(self, kind):
        self.kind = kind

    def fuser(self, name):
        from ducho_core.registry import Registry

        found = Registry.discover(no_plugins=True).fuser("core/max")
        spec = FuserSpec(name="wrong", summary="wrong", implementation="none:None")
        kind = self.kind

        class One(type(found)):
            def import_implementation(self):
                return kind

            def options_type(self):
                return None

        return One("wrong/wrong", spec, found.claim)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda batch: {}, "made"),
        (lambda batch: {"embedding": batch.values[0][:-1]}, "must be"),
        (lambda batch: {"embedding": batch.values[0][:, :-1]}, "must be"),
        (lambda batch: {"embedding": batch.values[0].astype(np.float64)}, "must be float32"),
        (lambda batch: {"embedding": batch.values[0].tolist()}, "list"),
    ],
)
def test_a_fuser_that_breaks_the_contract_is_named_and_nothing_is_committed(store, result, says):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    kind = type("Kind", (Wrong,), {"result": result})
    with pytest.raises(ContractError, match=f"wrong/wrong.*{says}"):
        fuse("one", "wrong", store=store, registry=OneFuser(kind))
    assert [one.rows for one in Store(store).sets()] == [0, 40]


def test_a_fuser_cannot_change_its_inputs(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))

    def spoil(batch):
        batch.values[0][0] = 0

    with pytest.raises(ValueError, match="read-only"):
        fuse("one", "x", store=store, registry=OneFuser(type("Kind", (Wrong,), {"result": spoil})))


@pytest.mark.parametrize(
    "result",
    [
        lambda digests: np.zeros(3, np.int64),
        lambda digests: np.full(len(digests), len(digests)),
        lambda digests: np.full(len(digests), -1),
        lambda digests: np.zeros(len(digests)),
    ],
)
def test_sources_that_do_not_exist_are_refused(store, result):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    kind = type("Kind", (WrongSources,), {"result": result})
    with pytest.raises(ContractError, match="wrong/wrong: sources"):
        fuse("one", "x", store=store, registry=OneFuser(kind))


def test_what_is_of_no_kind_is_refused(store):
    from ducho_core import Fuser

    class Plain(Fuser):
        @classmethod
        def open(cls, options, context):
            made = cls()
            made.outputs = (Output(name="embedding", dim=3),)
            return made

    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    with pytest.raises(ContractError, match="neither a RowFuser"):
        fuse("one", "x", store=store, registry=OneFuser(Plain))


# how inputs are read


def test_rows_are_read_in_any_order(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5), chunk=3)
    features = Store(store).open("one")
    reader = RowReader(features, ["item_id"])
    rows = np.random.default_rng(0).permutation(40)[:17]
    assert reader.take(rows)["item_id"].to_pylist() == [KEYS[row] for row in rows]
    assert reader.take(rows[:0]).num_rows == 0


@pytest.mark.parametrize("stored_dtype", ["float32", "float16", "int8"])
def test_scattered_rows_come_from_a_temporary_file_and_are_the_same(store, tmp_path, stored_dtype):
    values = vectors_for(KEYS, 5)
    put_set(store, "one", KEYS, values, chunk=3, stored_dtype=stored_dtype)
    (source,) = open_inputs(Store(store), ["one"])
    order = np.random.default_rng(0).permutation(40)
    streamed, spooled = (vectors.VectorReader(source, tmp_path / name) for name in ("a", "b"))
    streamed.prepare([np.arange(40)])
    assert not (tmp_path / "a").exists()
    spooled.prepare([order] * 40)
    assert (tmp_path / "b").stat().st_size == 40 * 5 * 4
    np.testing.assert_array_equal(spooled.take(order), streamed.take(order))
    np.testing.assert_array_equal(spooled.take(order[:0]), streamed.take(order[:0]))
    spooled.close()
    streamed.close()
    assert not (tmp_path / "b").exists()


def test_a_full_disk_is_explained_and_leaves_nothing(store, tmp_path, monkeypatch):
    put_set(store, "one", KEYS, vectors_for(KEYS, 5), chunk=3)
    (source,) = open_inputs(Store(store), ["one"])
    reader = vectors.VectorReader(source, tmp_path / "b")

    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vectors.os, "write", full)
    with pytest.raises(StoreError, match="free some space"):
        reader.prepare([np.random.default_rng(0).permutation(40)] * 40)
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("small_blocks")
def test_permuted_inputs_are_fused_through_the_spool(store, monkeypatch):
    spools = []
    real = vectors.VectorReader._spool
    monkeypatch.setattr(
        vectors.VectorReader, "_spool", lambda self: (spools.append(1), real(self))[1]
    )
    keys = [f"k{number:03}" for number in range(300)]
    order = [keys[at] for at in np.random.default_rng(5).permutation(300)]
    put_set(store, "one", keys, vectors_for(keys, 4, 1), chunk=50)
    put_set(store, "two", order, vectors_for(order, 4, 2), chunk=50)
    result = fused(store, fuse(["one", "two"], "sum", store=store))
    expected = vectors_for(keys, 4, 1) + vectors_for(keys, 4, 2)
    np.testing.assert_array_equal([result[key] for key in keys], expected)
    assert len(spools) == 1
    assert not list((store / ".tmp").iterdir())


# crashes


class Killed(BaseException):
    """In place of a power cut."""


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("options", [[], ["scale=zscore"]])
def test_killed_at_any_commit_a_fusion_goes_on_and_gives_the_same(
    store, tmp_path, monkeypatch, options
):
    ask = {"options": options, "missing": "mean" if options else "drop"}
    for folder in (store, tmp_path / "whole"):
        put_set(folder, "one", KEYS[:30], vectors_for(KEYS[:30], 4, 1))
        put_set(folder, "two", KEYS[::-1], vectors_for(KEYS[::-1], 4, 2))
    whole = fuse(["one", "two"], "sum", store=tmp_path / "whole", name="both", **ask)
    real = atomic._link
    kills = 0
    while True:
        count = 0

        def link(temporary, target, fatal=kills + 1):
            nonlocal count
            count += 1
            if count == fatal:
                raise Killed
            return real(temporary, target)

        monkeypatch.setattr(atomic, "_link", link)
        try:
            report = fuse(["one", "two"], "sum", store=store, name="both", **ask)
            break
        except Killed:
            kills += 1
        finally:
            monkeypatch.setattr(atomic, "_link", real)
    assert kills > 3
    assert report.fingerprint == whole.fingerprint
    opened = Store(store).open("both")
    assert verify_set(store, opened.path, read_data=True).problems == ()
    expected = content(Store(tmp_path / "whole").open("both"))
    result = content(opened)
    assert result.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(result[key], value)


@pytest.mark.usefixtures("small_blocks")
def test_a_stopped_fusion_says_so_and_goes_on(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    stop = threading.Event()

    class Stopper:
        def advanced(self, items):
            stop.set()

        def __getattr__(self, name):
            return lambda *arguments: None

    report = fuse("one", "concat", store=store, observer=Stopper(), stop=stop)
    assert (report.interrupted, report.stored) == (True, 4)
    again = fuse("one", "concat", store=store)
    assert (again.interrupted, again.stored, again.skipped) == (False, 36, 4)


@pytest.mark.usefixtures("small_blocks")
def test_an_input_that_lost_planned_rows_is_an_error_until_they_are_back(store):
    writer = put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    stop = threading.Event()
    stop.set()
    assert fuse("one", "concat", store=store, stop=stop).stored == 0
    lost = writer.chunk_path(0, 5)
    content_of_lost = lost.read_bytes()
    lost.unlink()
    with pytest.raises(StoreError, match=r"no longer in what it is fused of.*store verify"):
        fuse("one", "concat", store=store)
    lost.write_bytes(content_of_lost)
    report = fuse("one", "concat", store=store)
    assert (report.stored + report.skipped, len(fused(store, report))) == (40, 40)


def test_two_processes_share_the_work(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(fuse("one", "concat", store=store)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.stored for one in reports) == 40
    assert len(content(Store(store).open(reports[0].name))) == 40


def test_a_refused_fusion_leaves_the_store_as_it_was(store):
    put_set(store, "one", KEYS[:5], vectors_for(KEYS[:5], 4))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4))
    Store(store).probe()
    before = tree(store)
    with pytest.raises(UsageError):
        fuse(["one", "two"], "sum", store=store)
    assert tree(store) == before
