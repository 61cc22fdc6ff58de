"""Exporting: aligned rows in every format, exact ids, nothing outside the folder."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ducho_core import (
    ContractError,
    Exporter,
    ExporterSpec,
    ExportNotes,
    Store,
    UsageError,
    export,
    fuse,
)
from ducho_core.cli import main
from ducho_core.errors import StoreError
from ducho_core.exporters.npy import NpyExporter
from ducho_core.exporting import folder as folders
from ducho_core.exporting.request import ExportRequest
from ducho_core.exporting.session import Export
from ducho_core.fusion import joined
from ducho_core.registry import Registry
from ducho_core.store import tensors
from tests.core.set_samples import HOSTILE, put_set, tree, unsynced, vectors_for
from tests.core.store_samples import plan_of

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:02}" for number in range(20)]
D2 = {"backend": "torch", "model": "ResNet50", "layer": "avgpool"}
FILES = ["export.json", "ids.parquet", "one.npy"]
FORMATS = {"npy": {}, "parquet": {}, "csv": {}, "safetensors": {}, "ducho2": D2}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def ids_of(out):
    """The id of each row of the files."""
    table = pq.read_table(out / "ids.parquet")
    if "written" in table.column_names:
        table = table.filter(table["written"])
    return table["item_id"].to_pylist()


def read_npy(out, label):
    ids = ids_of(out)
    return dict(zip(ids, np.load(out / f"{label}.npy"), strict=True))


def read_safetensors(out, label):
    ids = ids_of(out)
    arrays = tensors.load((out / "features.safetensors").read_bytes())
    return dict(zip(ids, arrays[label], strict=True))


def read_parquet(out, label):
    table = pq.read_table(out / "features.parquet").to_pydict()
    values = [np.array(one, np.float32) for one in table[label]]
    return dict(zip(table["item_id"], values, strict=True))


def read_csv(out, label):
    csv.field_size_limit(sys.maxsize)
    with (out / "features.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith(f"{label}_") and name[-1].isdigit()]
    return {row["item_id"]: np.array([row[name] for name in names], np.float32) for row in rows}


def read_ducho2(out, label, where="torch/ResNet50/avgpool"):
    ids = {}
    if (out / "ids.tsv").is_file():
        csv.field_size_limit(sys.maxsize)
        with (out / "ids.tsv").open(encoding="utf-8", newline="") as file:
            ids = {
                row["file"]: row["item_id"] for row in csv.DictReader(file, dialect="excel-tab")
            }
    found = {}
    for path in (out / where).iterdir():
        array = np.load(path)
        assert array.shape == (1, array.size)
        assert array.dtype == np.float32
        found[ids.get(f"{where}/{path.name}", path.name.removesuffix(".npy"))] = array[0]
    return found


READ = {
    "npy": read_npy,
    "safetensors": read_safetensors,
    "parquet": read_parquet,
    "csv": read_csv,
    "ducho2": read_ducho2,
}


def check(found, keys, values):
    assert set(found) == set(keys)
    for key, value in zip(keys, values, strict=True):
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("block", [3, 8192])
def test_every_format_gives_each_id_its_own_vector(store, tmp_path, monkeypatch, to, block):
    monkeypatch.setattr(joined, "block_rows", lambda dims: block)
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    report = export("one", to, tmp_path / "out", store=store, options=FORMATS[to])
    check(READ[to](tmp_path / "out", "one"), KEYS, vectors_for(KEYS, 5))
    assert (report.rows, report.inputs[0].present, report.inputs[0].dropped) == (20, 20, 0)


@pytest.mark.parametrize("to", FORMATS)
def test_one_row_is_exported_too(store, tmp_path, to):
    put_set(store, "one", ["a"], vectors_for(["a"], 1))
    export("one", to, tmp_path / "out", store=store, options=FORMATS[to])
    check(READ[to](tmp_path / "out", "one"), ["a"], vectors_for(["a"], 1))


@pytest.mark.parametrize("to", FORMATS)
def test_hostile_ids_are_exact_and_nothing_is_written_outside(store, tmp_path, to):
    values = vectors_for(HOSTILE, 3)
    put_set(store, "one", HOSTILE, values)
    (tmp_path / "x").mkdir()
    before = tree(tmp_path)
    out = tmp_path / "deep" / "out"
    export("one", to, out, store=store, options=FORMATS[to])
    after = tree(tmp_path)
    new = {path for path in after if before.get(path, "absent") != after[path]}
    assert all(path == "deep" or path.split("/")[:2] == ["deep", "out"] for path in new)
    assert {path: after[path] for path in before} == before
    check(READ[to](out, "one"), HOSTILE, values)


@pytest.mark.parametrize("to", ["npy", "safetensors", "parquet", "csv"])
@pytest.mark.parametrize("missing", ["drop", "zero", "mean"])
def test_sets_are_aligned_by_key_and_filled_by_the_policy(store, tmp_path, to, missing):
    first, second = KEYS[:15], KEYS[::-1][:16]
    put_set(store, "one", first, vectors_for(first, 4, 1))
    put_set(store, "two", second, vectors_for(second, 3, 2))
    out = tmp_path / "out"
    report = export(["one", "two"], to, out, store=store, missing=missing)
    keys = KEYS[4:15] if missing == "drop" else KEYS
    for seed, (label, own, dim) in enumerate([("one", first, 4), ("two", second, 3)], 1):
        values = vectors_for(keys, dim, seed)
        here = np.array([key in own for key in keys])
        values[~here] = 0 if missing == "zero" else values[here].mean(axis=0, dtype=np.float64)
        found = READ[to](out, label)
        assert set(found) == set(keys)
        np.testing.assert_allclose([found[key] for key in keys], values, rtol=1e-6)
    told = [(one.present, one.filled, one.dropped) for one in report.inputs]
    assert told == ([(11, 0, 4), (11, 0, 5)] if missing == "drop" else [(15, 5, 0), (16, 4, 0)])
    if missing != "drop" and to == "npy":
        ids = ids_of(out)
        present = np.load(out / "two.present.npy")
        assert {key for key, here in zip(ids, present, strict=True) if here} == set(second)


def test_missing_rows_are_an_error_unless_the_user_says_otherwise(store, tmp_path):
    put_set(store, "one", KEYS[:15], vectors_for(KEYS[:15], 4))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4, 2))
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="5 of 20 keys are not in every set"):
        export(["one", "two"], "npy", tmp_path / "out", store=store)
    put_set(store, "other", ["z"], vectors_for(["z"], 4))
    with pytest.raises(UsageError, match="no key is in every set"):
        export(["one", "other"], "npy", tmp_path / "out", store=store, missing="zero")
    after = tree(tmp_path)
    assert {path for path in after if not path.startswith("s")} == {
        path for path in before if not path.startswith("s")
    }


def test_ducho2_writes_each_set_with_the_items_that_it_has(store, tmp_path):
    put_set(store, "one", KEYS[:15], vectors_for(KEYS[:15], 4, 1))
    put_set(store, "two", KEYS[::-1][:16], vectors_for(KEYS[::-1][:16], 3, 2))
    options = {"backend": ["transformers"], "model": ["openai/clip", "ViT"], "layer": ["1"]}
    out = tmp_path / "out"
    report = export(["one", "two"], "ducho2", out, store=store, options=options)
    one = read_ducho2(out, "one", "transformers/openai/clip/1")
    two = read_ducho2(out, "two", "transformers/ViT/1")
    check(one, KEYS[:15], vectors_for(KEYS[:15], 4, 1))
    check(two, KEYS[::-1][:16], vectors_for(KEYS[::-1][:16], 3, 2))
    assert [(one.present, one.filled, one.dropped) for one in report.inputs] == [
        (15, 0, 0),
        (16, 0, 0),
    ]
    assert sorted(path.name for path in out.iterdir()) == [
        "export.json",
        "ids.parquet",
        "transformers",
    ]
    with pytest.raises(UsageError, match="writes each set by itself"):
        export(["one", "two"], "ducho2", out, store=store, options=options, missing="zero")


def test_ducho2_of_reviews_has_user_and_item_in_the_name(store, tmp_path):
    keys = [("u1", "i1"), ("u1", "i2"), ("u2", "i1")]
    put_set(store, "one", keys, vectors_for(keys, 4), columns=("user_id", "item_id"))
    export("one", "ducho2", tmp_path / "out", store=store, options=D2)
    found = read_ducho2(tmp_path / "out", "one")
    check(found, ["u1__i1", "u1__i2", "u2__i1"], vectors_for(keys, 4))


@pytest.mark.parametrize("part", ["../..", "..", "/etc", "a\0b", "c:"])
def test_ducho2s_folders_lead_nowhere_else(store, tmp_path, part):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "deep" / "out"
    export("one", "ducho2", out, store=store, options={**D2, "layer": part, "model": part})
    assert sum(path.suffix == ".npy" for path in out.rglob("*")) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "s"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "needs the option 'backend'"),
        ({"backend": "torch", "model": "m"}, "needs the option 'layer'"),
        ({**D2, "layer": "a,b,c"}, "3 values for 2 feature sets"),
        (D2, "two sets would be written to torch/ResNet50/avgpool"),
        ({**D2, "model": "//"}, "must not be empty"),
        ({**D2, "folders": "a/b"}, "not both"),
        ({"folders": "a,/"}, "must not be empty"),
    ],
)
def test_ducho2s_wrong_options_are_explained(store, tmp_path, options, says):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4, 2))
    with pytest.raises(UsageError, match=says):
        export(["one", "two"], "ducho2", tmp_path / "out", store=store, options=options)
    assert not (tmp_path / "out").exists()


def test_ducho2s_folders_in_one_option(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    export("one", "ducho2", tmp_path / "out", store=store, options={"folders": "a/b/c/d"})
    check(read_ducho2(tmp_path / "out", "one", "a/b/c/d"), KEYS, vectors_for(KEYS, 4))


@pytest.mark.parametrize("to", ["npy", "safetensors", "ducho2"])
def test_slots_are_refused_with_the_command_that_pools_them(store, tmp_path, to):
    keys = [("a", "1"), ("a", "2"), ("b", "1")]
    put_set(store, "one", keys, vectors_for(keys, 4), columns=("item_id", "slot"))
    with pytest.raises(UsageError, match="ducho fuse one --how pool --name one-items"):
        export("one", to, tmp_path / "out", store=store, options=FORMATS[to])
    fuse("one", "pool", store=store, name="one-items")
    report = export("one-items", to, tmp_path / "out", store=store, options=FORMATS[to])
    assert report.rows == 2


@pytest.mark.parametrize("to", ["parquet", "csv"])
def test_tables_carry_every_key_column(store, tmp_path, to):
    keys = [("u", "a", "1"), ("u", "a", "2"), ("v", "b", "1")]
    columns = ("user_id", "item_id", "slot")
    put_set(store, "one", keys, vectors_for(keys, 4), columns=columns)
    export("one", to, tmp_path / "out", store=store)
    path = tmp_path / "out" / f"features.{to}"
    frame = pd.read_parquet(path) if to == "parquet" else pd.read_csv(path, dtype=str)
    assert list(zip(*(frame[name] for name in columns), strict=True)) == keys


def test_numbers_in_a_table_are_the_same_float32(store, tmp_path):
    values = vectors_for(KEYS, 3)
    values[0] = [np.float32(1e-45), np.float32(3.4e38), np.float32(0.1)]
    put_set(store, "one", KEYS, values)
    export("one", "csv", tmp_path / "out", store=store)
    found = read_csv(tmp_path / "out", "one")
    for key, value in zip(KEYS, values, strict=True):
        assert found[key].tobytes() == value.tobytes()


def test_a_spreadsheet_can_be_protected_from_formulas(store, tmp_path):
    put_set(store, "one", ["=cmd()", "a"], vectors_for(["=cmd()", "a"], 3))
    options = {"excel_safe": True, "separator": "tab"}
    export("one", "csv", tmp_path / "out", store=store, options=options)
    frame = pd.read_csv(tmp_path / "out" / "features.tsv", sep="\t")
    assert frame["item_id"].tolist() == ["'=cmd()", "a"]


def test_the_matrix_is_what_other_readers_read(store, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    put_set(store, "one", KEYS, vectors_for(KEYS, 5))
    export("one", "safetensors", tmp_path / "out", store=store)
    arrays = safetensors.load_file(tmp_path / "out" / "features.safetensors")
    np.testing.assert_array_equal(arrays["one"], vectors_for(KEYS, 5))


def test_the_report_says_what_was_written(store, tmp_path):
    values = vectors_for(KEYS, 4)
    values[[2, 5]] = 0
    put_set(store, "one", KEYS, values)
    report = export("one", "npy", tmp_path / "out", store=store)
    assert (report.inputs[0].zero, report.inputs[0].zero_examples) == (2, (("k02",), ("k05",)))
    told = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert told["format"] == "ducho-export"
    assert told["exporter"] == "core/npy"
    assert told["files"] == FILES
    (one,) = told["sets"]
    assert one["fingerprint"] == Store(store).open("one").fingerprint
    assert (one["present"], one["filled"], one["dropped"], one["zero"]) == (20, 0, 0, 2)
    assert str(tmp_path) not in json.dumps(told)


# the folder


def test_an_earlier_export_is_replaced_as_a_whole(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    export("one", "ducho2", out, store=store, options=D2)
    export("one", "npy", out, store=store)
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s"]


def test_what_is_not_ours_is_never_touched(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not empty and no earlier export"):
            export("one", "npy", out, store=store, overwrite=overwrite)
    (out / "export.json").write_text("{}")
    with pytest.raises(UsageError, match="no earlier export"):
        export("one", "npy", out, store=store, overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match="is a file"):
        export("one", "npy", out / "thesis.tex", store=store)
    with pytest.raises(UsageError, match="lies in the store"):
        export("one", "npy", store / "main" / "out", store=store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s"]


@pytest.mark.parametrize(
    ("out", "says"), [("s", "the store s"), ("s/out", "the store s"), (".", "holds the store s")]
)
def test_a_folder_in_the_way_of_a_store_that_is_yet_to_be_made(tmp_path, out, says):
    work = tmp_path / "work"
    work.mkdir()
    request = ExportRequest(sets=("one",), to="npy", out=str(work / out))
    with pytest.raises(UsageError, match=says):
        Export(request, Registry.discover(), work / "s")
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("place", ["graph.pt", "torch/x.pt", "torch/ResNet50/avgpool/more.npy"])
def test_what_was_added_to_an_export_is_kept_unless_the_user_says_otherwise(
    store, tmp_path, place
):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    export("one", "ducho2", out, store=store, options=D2)
    (out / place).write_bytes(b"cached")
    with pytest.raises(UsageError, match=r"something was added.*--overwrite"):
        export("one", "ducho2", out, store=store, options=D2)
    assert (out / place).read_bytes() == b"cached"
    export("one", "ducho2", out, store=store, options=D2, overwrite=True)
    assert not (out / place).exists()


def test_an_empty_folder_and_a_link_to_one_are_filled(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export("one", "npy", tmp_path / "link", store=store)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "one.npy").is_file()


class Odd(Exporter):
    action = None

    @classmethod
    def open(cls, options, context):
        return cls()

    def write(self, rows, folder):
        return type(self).action(rows, folder)


class OneExporter:
    """A registry that has just one exporter."""

    def __init__(self, action):
        self.kind = type("Kind", (Odd,), {"action": staticmethod(action)})

    def exporter(self, name):
        found = Registry.discover(no_plugins=True).exporter("core/npy")
        spec = ExporterSpec(name="odd", summary="odd", implementation="none:None")
        kind = self.kind

        class One(type(found)):
            def import_implementation(self):
                return kind

        return One("odd/odd", spec, found.claim)


def write_file(name):
    def action(rows, folder):
        with folder.open(name) as file:
            file.write(b"x")
        return ExportNotes()

    return action


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../x", ".x", "a//b", "", "a\0", "export.json", "ids.tsv", "a\n"]
)
def test_an_exporter_cannot_leave_the_folder(store, tmp_path, name):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    before = tree(tmp_path)
    with pytest.raises(ContractError, match="cannot be a file of an export"):
        export("one", "odd", tmp_path / "out", store=store, registry=OneExporter(write_file(name)))
    assert tree(tmp_path) == before


def write_tree(name, fill=lambda path: None, after=lambda folder: None):
    def action(rows, folder):
        with folder.tree(name) as path:
            (path / "inner").mkdir()
            (path / "inner" / ".lock").write_bytes(b"x")
            (path / "data").write_bytes(b"y")
            fill(path)
        after(folder)
        return ExportNotes()

    return action


def test_a_library_may_fill_a_folder_of_its_own(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    report = export("one", "odd", out, store=store, registry=OneExporter(write_tree("a/db")))
    assert {"a/db/data": b"y", "a/db/inner/.lock": b"x"}.items() <= tree(out).items()
    told = json.loads((out / "export.json").read_bytes())
    assert {"a/db/data", "a/db/inner/.lock"} <= set(told["files"])
    assert "a/db/ (2 files)" in report.files
    export("one", "npy", out, store=store)
    assert not (out / "a").exists()


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../x", ".x", "a//b", "", "a\0", "export.json", "ids.tsv", "a\n"]
)
def test_a_librarys_folder_lies_in_the_export(store, tmp_path, name):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    before = tree(tmp_path)
    with pytest.raises(ContractError, match="cannot be a folder of an export"):
        export("one", "odd", tmp_path / "out", store=store, registry=OneExporter(write_tree(name)))
    assert tree(tmp_path) == before


def test_what_a_librarys_folder_must_not_hold_or_share(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    cases = [
        ("x is a link", write_tree("a", lambda path: (path / "x").symlink_to(tmp_path / "s"))),
        ("no ordinary file", write_tree("a", lambda path: os.mkfifo(path / "x"))),
        ("would lie in a", write_tree("a", after=lambda one: write_file("a/b")(None, one))),
        ("would lie in a", write_tree("a", after=lambda one: write_tree("a")(None, one))),
        ("there already", write_tree("a/b", after=lambda one: write_tree("a")(None, one))),
    ]
    before = tree(tmp_path)
    for says, action in cases:
        with pytest.raises(ContractError, match=says):
            export("one", "odd", tmp_path / "out", store=store, registry=OneExporter(action))
        assert tree(tmp_path) == before


def test_what_is_added_to_a_librarys_folder_is_kept(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out, registry = tmp_path / "out", OneExporter(write_tree("db"))
    export("one", "odd", out, store=store, registry=registry)
    export("one", "odd", out, store=store, registry=registry)
    (out / "db" / "mine").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"added \(db/mine\)"):
        export("one", "odd", out, store=store, registry=registry)
    assert (out / "db" / "mine").read_bytes() == b"mine"


def test_an_exporter_that_fails_changes_nothing(store, tmp_path):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    export("one", "npy", out, store=store)
    before = tree(out)

    def fail(rows, folder):
        write_file("half")(rows, folder)
        raise UsageError("an id has a tab")

    def twice(rows, folder):
        write_file("a")(rows, folder)
        write_file("a")(rows, folder)

    def nothing(rows, folder):
        return None

    for action, says in ((fail, "a tab"), (twice, "twice"), (nothing, "not ExportNotes")):
        with pytest.raises((UsageError, ContractError), match=says):
            export("one", "odd", out, store=store, registry=OneExporter(action))
        assert tree(out) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s"]


def test_a_full_disk_leaves_the_earlier_export(store, tmp_path, monkeypatch):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    out = tmp_path / "out"
    export("one", "npy", out, store=store)
    before = tree(out)

    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "rename", full)
    with pytest.raises(StoreError, match="free some space"):
        export("one", "npy", out, store=store)
    assert tree(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s"]


@pytest.mark.parametrize(
    ("number", "says"),
    [(28, "free some space"), (30, "choose another with --out"), (27, "Nothing was changed")],
)
def test_what_cannot_be_written_is_said_in_the_words_of_exports(
    store, tmp_path, monkeypatch, number, says
):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))

    def fail(descriptor):
        raise OSError(number, "no")

    monkeypatch.setattr(folders.os, "fsync", fail)
    with pytest.raises(StoreError, match=says) as caught:
        export("one", "npy", tmp_path / "out", store=store)
    assert not re.search("committed|0 bytes|unknown number|--store", str(caught.value))


# the command line


def test_a_set_that_is_not_complete_is_told(store, tmp_path):
    put_set(store, "whole", KEYS, vectors_for(KEYS, 4))
    writer = put_set(store, "one", KEYS, vectors_for(KEYS, 4))
    writer.commit_plan(1, plan_of(writer, [["later"], ["last"]]))
    ask = ("--to", "npy", "--out", tmp_path / "out", "--store", store)
    done = run("export", "one", "whole", *ask)
    told = "one is not complete, 2 chunks to go: only the 20 rows that are stored take part"
    assert done.exit_code == 0
    assert told in done.stdout
    assert "whole is not" not in done.stdout
    (said,) = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))["remarks"]
    assert said.startswith(told)
    assert told in run("fuse", "one", "--how", "concat", "--store", store).stderr


def test_an_export_that_is_terminated_leaves_nothing(store, tmp_path, monkeypatch):
    put_set(store, "one", KEYS, vectors_for(KEYS, 4))

    def terminated(self, rows, folder):
        with folder.open("half") as file:
            file.write(b"half")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    monkeypatch.setattr(NpyExporter, "write", terminated)
    # Without the command's own handler the signal would end the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        done = run("export", "one", "--to", "npy", "--out", tmp_path / "out", "--store", store)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (done.exit_code, done.stderr) == (128 + signal.SIGTERM, "Interrupted.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_the_commands_fuse_and_export(store, tmp_path):
    put_set(store, "one", KEYS[:15], vectors_for(KEYS[:15], 4, 1))
    put_set(store, "two", KEYS, vectors_for(KEYS, 3, 2))
    where = ("--store", store)
    refused = run("fuse", "one", "two", "--how", "concat", *where)
    assert refused.exit_code == 2
    assert "--missing drop leaves these keys out" in refused.stderr
    made = run(
        "fuse", "one", "two", "--how", "concat", "--missing", "drop", "--name", "both", *where
    )
    assert made.exit_code == 0, made.output
    assert "both: 15 stored of 15" in made.stdout
    assert "dropped   5 not in every set" in made.stdout
    again = run("fuse", "one", "two", "--how", "concat", "--missing", "drop", *where, "--json")
    assert json.loads(again.stdout)["skipped"] == 15
    out = tmp_path / "out"
    written = run(
        "export", "both", "two", "--to", "npy", "--missing", "zero", "--out", out, *where
    )
    assert written.exit_code == 0, written.output
    assert "both  7    15    5" in written.stdout
    told = run("export", "both", "--to", "npy", "--out", out, *where, "--json")
    assert json.loads(told.stdout)["sets"][0]["present"] == 15
    wrong = run("export", "both", "--to", "nyp", "--out", out, *where)
    assert wrong.exit_code == 2
    assert "did you mean" in wrong.stderr


def test_a_recipe_extracts_fuses_and_exports(tmp_path):
    (tmp_path / "items.tsv").write_text("item_id\ttitle\tabout\na\tx\ty\nb\tz\t\nc\tu\tv\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
store: features
source: items.tsv
plugin: core/hash
options: {dim: 8}
extractions:
  - {text: title, name: titles}
  - {text: about, name: abouts}
fusions:
  - {sets: [titles, abouts], how: concat, missing: drop, name: both}
exports:
  - {sets: both, to: npy, out: arrays/both}
  - {sets: [titles], to: ducho2, out: tree, options: {backend: torch, model: hash, layer: "1"}}
"""
    )
    before = tree(tmp_path)
    dry = run("run", recipe, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "both: titles and abouts fused by concat" in dry.stdout
    assert tree(tmp_path) == before
    result = run("run", recipe, "--json")
    assert result.exit_code == 0, result.output
    steps = json.loads(result.stdout)
    assert [one.get("name") or one["exporter"] for one in steps] == [
        *("titles", "abouts", "both", "core/npy", "core/ducho2")
    ]
    assert np.load(tmp_path / "arrays" / "both" / "both.npy").shape == (2, 16)
    assert len(list((tmp_path / "tree/torch/hash/1").iterdir())) == 3
    again = run("run", recipe)
    assert again.exit_code == 0, again.output
    assert "both: nothing to do, 2 stored before" in again.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fusions: [{sets: a, how: concat, nmae: x}]", "did you mean name"),
        ("fusions: [{how: concat}]", "fusion 1 lacks the key sets"),
        ("exports: [{sets: a, to: npy}]", "export 1 lacks the key out"),
        ("exports: {sets: a}", "exports must be a list"),
        ("exports: [{sets: a, to: nyp, out: x}]", "did you mean"),
        ("fusions: [{sets: a, how: sum}]", "2 or more feature sets"),
    ],
)
def test_a_wrong_recipe_is_explained(tmp_path, text, says):
    (tmp_path / "recipe.yaml").write_text(text)
    result = run("run", tmp_path / "recipe.yaml")
    assert result.exit_code == 2, result.output
    assert says in result.output
