"""Exports with a universe, kept numbers, and differences alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ducho_core import ContractError, UsageError, export
from ducho_core.cli import main
from ducho_core.exporter import Exporter, ExportNotes, Universe
from ducho_core.exporters.npy import NpyExporter
from ducho_core.fusion import joined
from tests.core.set_samples import HOSTILE, put_set, tree, unsynced, vectors_for
from tests.core.test_export import FORMATS, READ

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:02}" for number in range(40)]


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


@pytest.fixture
def universe(monkeypatch):
    """Lets npy have these rows, whatever the sets hold."""

    def settle(items: Sequence[str]) -> None:
        given = Universe.of_items("the split", pa.array(items, pa.string()))
        monkeypatch.setattr(NpyExporter, "universe", lambda self: given)

    return settle


def ids_of(out):
    return pq.read_table(out / "ids.parquet").to_pydict()


def gone_of(out):
    return dict(zip(*pq.read_table(out / "gone.parquet").to_pydict().values(), strict=True))


@pytest.mark.parametrize("block", [3, 8192])
@pytest.mark.parametrize("missing", ["zero", "mean"])
def test_sets_are_aligned_to_the_universe_in_its_order(
    store, tmp_path, universe, monkeypatch, block, missing
):
    monkeypatch.setattr(joined, "block_rows", lambda dims: block)
    items = [*KEYS[30:2:-1], "in no set"]
    universe(items)
    one, two = KEYS[:30], KEYS[::-1]
    put_set(store, "one", one, vectors_for(one, 4, 1))
    put_set(store, "two", two, vectors_for(two, 3, 2))
    out = tmp_path / "out"
    report = export(["one", "two"], "npy", out, store=store, missing=missing, max_missing=0.1)
    ids = ids_of(out)
    assert ids["item_id"] == items
    assert ids["row"] == list(range(29))
    for seed, (label, own, dim) in enumerate([("one", one, 4), ("two", two, 3)], 1):
        here = np.array([key in own for key in items])
        assert ids[f"{label}.present"] == here.tolist()
        assert [one is not None for one in ids[f"{label}.digest"]] == here.tolist()
        values = vectors_for(items, dim, seed)
        values[~here] = 0 if missing == "zero" else values[here].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(np.load(out / f"{label}.npy"), values, rtol=1e-6)
    told = [(one.present, one.filled, one.dropped) for one in report.inputs]
    assert told == [(27, 2, 3), (28, 1, 12)]
    assert report.inputs[0].filled_examples == (("k30",), ("in no set",))
    written = json.loads((out / "export.json").read_text("utf-8"))
    assert written["universe"] == {"name": "the split", "rows": 29}


def test_what_a_universe_lacks_is_refused_unless_the_user_says_otherwise(
    store, tmp_path, universe
):
    universe(KEYS)
    out = tmp_path / "out"
    put_set(store, "few", KEYS[:30], vectors_for(KEYS[:30], 4))
    put_set(store, "most", KEYS[:39], vectors_for(KEYS[:39], 4))
    put_set(store, "other", ["z"], vectors_for(["z"], 4))
    for missing in (None, "mean"):
        with pytest.raises(UsageError, match=r"few lacks 10 of 40 .*25.0%, and at most 5.0%"):
            export("few", "npy", out, store=store, missing=missing)
    with pytest.raises(UsageError, match=r"most lacks 1 of 40 keys \(k39\) of the split"):
        export("most", "npy", out, store=store)
    with pytest.raises(UsageError, match="none can be dropped"):
        export("most", "npy", out, store=store, missing="drop")
    with pytest.raises(UsageError, match="has no key of the split"):
        export("other", "npy", out, store=store, missing="mean", max_missing=1.0)
    export("most", "parquet", tmp_path / "earlier", store=store)
    with pytest.raises(UsageError, match="leave out --since"):
        export("most", "npy", out, store=store, since=str(tmp_path / "earlier"))
    with pytest.raises(UsageError, match="is no share"):
        export("most", "npy", out, store=store, max_missing=5.0)
    assert not out.exists()
    assert export("most", "npy", out, store=store, missing="mean").inputs[0].filled == 1
    universe([*KEYS[:39], KEYS[0]])
    with pytest.raises(ContractError, match="a key comes twice in the split"):
        export("most", "npy", out, store=store)


def test_a_share_may_be_said_without_a_universe(store, tmp_path):
    put_set(store, "one", KEYS[:30], vectors_for(KEYS[:30], 4))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4, 2))
    with pytest.raises(UsageError, match="one lacks 10 of 40 keys"):
        export(["one", "two"], "npy", tmp_path / "o", store=store, missing="zero", max_missing=0.2)
    export(["one", "two"], "npy", tmp_path / "o", store=store, missing="zero", max_missing=0.25)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("block", [3, 8192])
def test_numbers_of_an_earlier_export_are_kept(store, tmp_path, monkeypatch, to, block):
    monkeypatch.setattr(joined, "block_rows", lambda dims: block)
    first, second = KEYS[:30], [*KEYS[:4:-1], *HOSTILE]
    put_set(store, "a", first, vectors_for(first, 4))
    put_set(store, "b", second, vectors_for(second, 4))
    export("a", to, tmp_path / "one", store=store, options=FORMATS[to])
    before = ids_of(tmp_path / "one")["item_id"]
    out = tmp_path / "two"
    report = export("b", to, out, store=store, options=FORMATS[to], id_map=str(tmp_path / "one"))
    ids = ids_of(out)
    assert ids["item_id"][:30] == before
    assert sorted(ids["item_id"][30:]) == sorted(set(second) - set(first))
    assert ids["row"] == list(range(len(ids["row"])))
    assert gone_of(out) == {key: before.index(key) for key in KEYS[:5]}
    kept = report.id_map
    assert (kept.earlier, kept.new, kept.gone) == (30, len(second) - 25, 5)
    assert kept.gone_examples == tuple((key,) for key in before if key in KEYS[:5])
    found = READ[to](out, "b")
    for key, value in zip(second, vectors_for(second, 4), strict=True):
        np.testing.assert_array_equal(found[key], value)
    if to != "ducho2":
        assert list(found) == ids["item_id"]
        assert all(not found[key].any() for key in KEYS[:5])


def test_numbers_are_kept_in_place(store, tmp_path):
    put_set(store, "a", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    put_set(store, "b", KEYS[::-1], vectors_for(KEYS[::-1], 4))
    export("b", "npy", out, store=store)
    export("a", "npy", out, store=store, id_map=str(out))
    assert ids_of(out)["item_id"] == KEYS[::-1]


@pytest.mark.parametrize("to", FORMATS)
def test_only_what_differs_is_written(store, tmp_path, to):
    keys = [*HOSTILE, *KEYS]
    values = vectors_for(keys, 4)
    put_set(tmp_path / "s", "one", keys, values)
    export("one", to, tmp_path / "a", store=store, options=FORMATS[to])
    later = [*keys[2:], "new", "\tnew"]
    changed = vectors_for(later, 4)
    changed[[3, 50]] += 1
    put_set(tmp_path / "t", "one", later, changed)
    (tmp_path / "x").mkdir()
    before = tree(tmp_path)
    out = tmp_path / "deep" / "b"
    report = export(
        "one", to, out, store=tmp_path / "t", options=FORMATS[to], since=str(tmp_path / "a")
    )
    after = tree(tmp_path)
    assert {path: after[path] for path in before} == before
    assert all(path == "deep" or path.startswith("deep/b") for path in set(after) - set(before))
    expected = {later[at]: changed[at] for at in (3, 50, len(later) - 2, len(later) - 1)}
    found = READ[to](out, "one")
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
    since = report.since
    assert (since.new, since.changed, since.unchanged, since.gone) == (2, 2, len(later) - 4, 2)
    assert report.rows == 4
    assert gone_of(out) == {keys[0]: 0, keys[1]: 1}
    assert ids_of(out)["item_id"] == later
    again = export(
        "one", to, tmp_path / "c", store=tmp_path / "t", options=FORMATS[to], since=str(out)
    )
    assert (again.rows, again.since.unchanged, again.since.gone) == (0, len(later), 0)
    assert not (tmp_path / "c" / "gone.parquet").exists()


def test_differences_keep_their_numbers(store, tmp_path):
    put_set(tmp_path / "s", "one", KEYS, vectors_for(KEYS, 4))
    a = str(tmp_path / "a")
    export("one", "npy", a, store=store)
    later = [*KEYS[::-1][:-1], "new"]
    changed = vectors_for(later, 4)
    changed[later.index("k07")] += 1
    put_set(tmp_path / "t", "one", later, changed)
    out = tmp_path / "b"
    export("one", "npy", out, store=tmp_path / "t", since=a, id_map=a)
    ids = ids_of(out)
    numbers = dict(zip(ids["item_id"], ids["row"], strict=True))
    assert numbers == {**{key: at for at, key in enumerate(KEYS)}, "new": 40}
    written = [one for one, here in zip(ids["item_id"], ids["written"], strict=True) if here]
    assert written == ["k07", "new"]
    assert np.load(out / "one.npy").shape == (2, 4)
    assert gone_of(out) == {"k00": 0}


def test_a_set_that_gains_a_row_is_a_change(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    put_set(store, "two", KEYS[:30], vectors_for(KEYS[:30], 3))
    export(["one", "two"], "parquet", tmp_path / "a", store=store, missing="mean")
    put_set(tmp_path / "t", "one", KEYS, vectors_for(KEYS, 4))
    put_set(tmp_path / "t", "two", KEYS[:31], vectors_for(KEYS[:31], 3))
    report = export(
        ["one", "two"],
        "parquet",
        tmp_path / "b",
        store=tmp_path / "t",
        missing="mean",
        since=str(tmp_path / "a" / "ids.parquet"),
    )
    assert (report.since.changed, report.rows) == (1, 1)


@pytest.mark.parametrize(("field", "value"), [("id_map", "nowhere"), ("since", "s")])
def test_what_is_no_earlier_export_is_refused(store, tmp_path, field, value):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    with pytest.raises(UsageError, match="is no earlier export"):
        export("one", "npy", tmp_path / "o", store=store, **{field: str(tmp_path / value)})


@pytest.mark.parametrize("how", ["cut", "numbers", "twice", "columns", "null"])
def test_a_damaged_id_map_is_refused(store, tmp_path, how):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    export("one", "npy", tmp_path / "a", store=store)
    path = tmp_path / "a" / "ids.parquet"
    table = pq.read_table(path)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif how == "numbers":
        pq.write_table(table.take(pa.array([1, 0, *range(2, 40)])), path)
    elif how == "columns":
        pq.write_table(table.drop_columns(["row"]), path)
    else:
        ids = table["item_id"].to_pylist()
        ids[3] = ids[4] if how == "twice" else None
        pq.write_table(table.set_column(0, "item_id", pa.array(ids)), path)
    with pytest.raises(UsageError, match=r"is damaged|is no id map"):
        export("one", "npy", tmp_path / "b", store=store, id_map=str(tmp_path / "a"))
    assert not (tmp_path / "b").exists()


def test_another_export_is_not_compared(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4))
    pairs = [("u", key) for key in KEYS]
    columns = ("user_id", "item_id")
    put_set(store, "pairs", pairs, vectors_for(pairs, 4), columns=columns)
    earlier = str(tmp_path / "a")
    export("one", "parquet", earlier, store=store)
    with pytest.raises(UsageError, match="was written of one, not of two"):
        export("two", "parquet", tmp_path / "b", store=store, since=earlier)
    with pytest.raises(UsageError, match="have the key columns item_id, these sets user_id"):
        export("pairs", "parquet", tmp_path / "b", store=store, id_map=earlier)


class UsersExporter(Exporter):
    """Writes a map of users beside."""

    users: Sequence[str] = ()

    def __init__(self, context: Any) -> None:
        self._context = context

    @classmethod
    def open(cls, options: Any, context: Any) -> Self:
        return cls(context)

    def write(self, rows: Any, folder: Any) -> ExportNotes:
        earlier = self._context.previous_ids("users") or []
        new = [one for one in self.users if one not in earlier]
        folder.write_ids("users", "user_id", [*(earlier or []), *new])
        return ExportNotes()


def test_further_maps_are_only_added_to(store, tmp_path, monkeypatch):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    for name in ("open", "write"):
        monkeypatch.setattr(NpyExporter, name, UsersExporter.__dict__[name])
    monkeypatch.setattr(NpyExporter, "__init__", UsersExporter.__init__, raising=False)
    monkeypatch.setattr(NpyExporter, "users", HOSTILE, raising=False)
    export("one", "npy", tmp_path / "a", store=store)
    assert pq.read_table(tmp_path / "a" / "users.parquet")["user_id"].to_pylist() == HOSTILE
    monkeypatch.setattr(NpyExporter, "users", ["new", *HOSTILE[::-1]], raising=False)
    export("one", "npy", tmp_path / "b", store=store, id_map=str(tmp_path / "a"))
    table = pq.read_table(tmp_path / "b" / "users.parquet")
    assert table["user_id"].to_pylist() == [*HOSTILE, "new"]
    assert table["row"].to_pylist() == list(range(len(HOSTILE) + 1))

    def renumber(self: Any, rows: Any, folder: Any) -> None:
        folder.write_ids("users", "user_id", HOSTILE[::-1])

    monkeypatch.setattr(NpyExporter, "write", renumber)
    with pytest.raises(ContractError, match="gives other numbers"):
        export("one", "npy", tmp_path / "c", store=store, id_map=str(tmp_path / "a"))


def test_slots_and_interactions_are_refused_with_the_command_that_pools_them(store, tmp_path):
    pairs = [("u", "a"), ("v", "a")]
    put_set(store, "one", pairs, vectors_for(pairs, 4), columns=("user_id", "item_id"))
    says = "ducho fuse one --how recsys/reviews -o split=DIR --name one-items"
    with pytest.raises(UsageError, match=says):
        export("one", "npy", tmp_path / "out", store=store)


def test_the_command_line_and_recipes_say_the_same(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    given = ["export", "one", "--to", "npy", "--store", str(store), "--out"]
    run = CliRunner().invoke(main, [*given, str(tmp_path / "a")])
    assert run.exit_code == 0, run.output
    more = ["--id-map", str(tmp_path / "a"), "--since", str(tmp_path / "a")]
    run = CliRunner().invoke(main, [*given, str(tmp_path / "b"), *more])
    assert run.exit_code == 0, run.output
    assert "numbers     40 kept, 0 new" in run.output
    assert "differences 0 new, 0 changed, 40 unchanged" in run.output
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "store: s\nexports:\n- sets: one\n  to: npy\n  out: c\n  id_map: a\n  since: a\n"
        "  max_missing: 0.1\n"
    )
    run = CliRunner().invoke(main, ["run", str(recipe)])
    assert run.exit_code == 0, run.output
    told = json.loads((tmp_path / "c" / "export.json").read_text("utf-8"))
    assert (told["id_map"]["earlier"], told["since"]["unchanged"]) == (40, 40)
    assert str(tmp_path) not in json.dumps(told)


def put_items(path, items, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"item_id": items, **columns}), path)
    return path


@pytest.mark.parametrize("where", ["folder", "file"])
@pytest.mark.parametrize("to", FORMATS)
def test_the_user_may_say_which_items(store, tmp_path, to, where):
    put_set(store, "pictures", KEYS, vectors_for(KEYS, 3))
    wanted = [*KEYS[20:4:-1], *KEYS[25:]]
    file = put_items(tmp_path / "split" / "items.parquet", wanted, part=["train"] * len(wanted))
    given = file if where == "file" else file.parent
    options = FORMATS[to]
    report = export(["pictures"], to, tmp_path / "out", store=store, items=given, options=options)
    assert report.rows == len(wanted)
    assert report.inputs[0].dropped == len(KEYS) - len(wanted)
    assert ids_of(tmp_path / "out")["item_id"] == wanted


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_items_may_be_strings_of_any_type(store, tmp_path, kind):
    put_set(store, "pictures", KEYS, vectors_for(KEYS, 3))
    path = tmp_path / "wanted.parquet"
    wanted = pa.array(KEYS[9:3:-1]).cast(kind)
    pq.write_table(pa.table({"item_id": wanted}), path)
    export(["pictures"], "npy", tmp_path / "out", store=store, items=path)
    assert ids_of(tmp_path / "out")["item_id"] == KEYS[9:3:-1]


def test_items_of_a_split_are_those_that_it_was_frozen_with(store, tmp_path):
    put_set(store, "pictures", KEYS, vectors_for(KEYS, 3))
    file = put_items(tmp_path / "split" / "items.parquet", KEYS)
    frozen = {"files": {"items.parquet": {"sha256": sha256(file.read_bytes()).hexdigest()}}}
    (file.parent / "split.json").write_text(json.dumps(frozen))
    export(["pictures"], "npy", tmp_path / "out", store=store, items=file.parent)
    put_items(file, KEYS[1:])
    with pytest.raises(UsageError, match="frozen"):
        export(["pictures"], "npy", tmp_path / "other", store=store, items=file.parent)
    (file.parent / "split.json").write_text("{")
    with pytest.raises(UsageError, match="frozen"):
        export(["pictures"], "npy", tmp_path / "other", store=store, items=file.parent)
    assert not (tmp_path / "other").exists()


def test_items_that_a_set_lacks_are_filled_as_the_user_says(store, tmp_path):
    put_set(store, "pictures", KEYS, vectors_for(KEYS, 3))
    given = put_items(tmp_path / "wanted.parquet", [*KEYS, "new"])
    with pytest.raises(UsageError, match="new"):
        export(["pictures"], "npy", tmp_path / "out", store=store, items=given)
    flags = ["--items", str(given), "--missing", "mean", "--store", str(store)]
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["export", "pictures", "--to", "npy", "--out", str(out), *flags]
    )
    assert done.exit_code == 0, done.output
    assert ids_of(tmp_path / "out")["pictures.present"] == [*[True] * len(KEYS), False]


@pytest.mark.parametrize(
    ("items", "column", "says"),
    [
        (["a", "a"], "item_id", "twice"),
        (["a", None], "item_id", "without item_id"),
        ([1, 2], "item_id", "of strings"),
        (["a"], "asin", "of strings"),
        ([], "item_id", "no row|of strings"),
        (None, "item_id", "no such file"),
    ],
)
def test_what_is_no_list_of_items_is_refused(store, tmp_path, items, column, says):
    put_set(store, "pictures", KEYS, vectors_for(KEYS, 3))
    path = tmp_path / "wanted.parquet"
    if items is not None:
        pq.write_table(pa.table({column: items}), path)
    with pytest.raises(UsageError, match=says):
        export(["pictures"], "npy", tmp_path / "out", store=store, items=path)
    assert not (tmp_path / "out").exists()
