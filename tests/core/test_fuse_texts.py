"""Fusers that take texts, and fusers whose fit alone tells the length of what they make."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from ducho_core import ContractError, FuserSpec, Output, RelabelFuser, RowFuser, Store, fuse
from ducho_core.errors import UsageError
from ducho_core.fusion import joined
from ducho_core.store.verify import verify_set
from tests.core.set_samples import content, put_set, tree, unsynced, vectors_for
from tests.core.store_samples import RUN, digests, make_spec, plan_of

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

COLOURS = {"a": "red", "b": None, "c": "blue", "d": "red", "e": "", "f": "néon"}
SIZES = {"a": "s", "b": "m", "c": None, "d": "s", "e": "l", "f": "m"}


def put_texts(store, name, texts, *, chunk=2, catalogue="main"):
    """A set with one text output for each of ``texts``: output to key to text."""
    spec = make_spec(label=name, catalogue=catalogue)
    spec["outputs"] = [
        {"name": output, "kind": "text", "dim": None, "dtype": "string", "requires": ["text"]}
        for output in texts
    ]
    writer = Store(store, create=True).create_set(spec, name=name)
    keys = list(next(iter(texts.values())))
    parts = [keys[at : at + chunk] for at in range(0, len(keys), chunk)]
    assert writer.commit_plan(0, plan_of(writer, parts))
    for number, part in enumerate(parts):
        table = {"item_id": pa.array(part, pa.string())}
        for output, column in texts.items():
            table[output] = pa.array([column[key] for key in part], pa.string())
        table["input_sha256"] = digests(part)
        assert writer.commit_chunk(0, number, pa.table(table), None, RUN)


class OneHot(RowFuser):
    """A column for each text of each input, known once it is fitted."""

    fitted = True

    def __init__(self, context):
        self.count = len(context.inputs)
        assert [one.dim for one in context.inputs] == [0] * self.count
        self.outputs = (Output(name="embedding"),)

    @classmethod
    def open(cls, options, context):
        return cls(context)

    def fit(self, batches):
        found = [set() for _ in range(self.count)]
        for batch in batches:
            assert batch.values == ()
            for column, texts in zip(found, batch.texts, strict=True):
                assert texts.dtype == object
                assert not texts.flags.writeable
                column.update(text for text in texts if text is not None)
        listed = json.dumps([sorted(column) for column in found])
        return {"columns": np.frombuffer(listed.encode(), np.uint8)}

    def restore(self, state):
        self.columns = json.loads(state["columns"].tobytes())
        self.outputs = (Output(name="embedding", dim=sum(map(len, self.columns))),)

    def transform(self, batch):
        rows = [
            [
                float(text == column)
                for text, columns in zip(row, self.columns, strict=True)
                for column in columns
            ]
            for row in zip(*batch.texts, strict=True)
        ]
        return {"embedding": np.array(rows, np.float32)}


class Unsettled(OneHot):
    def restore(self, state):
        pass


class Shuffled(RelabelFuser):
    outputs = (Output(name="embedding", dim=1),)

    @classmethod
    def open(cls, options, context):
        return cls()

    def sources(self, digests):
        return np.arange(len(digests))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The fusers above, as fusers of the core."""
    import ducho_core.plugin as core

    real = core.ducho_fusers

    def fusers():
        mine = [
            FuserSpec(
                name=one.__name__.lower(),
                summary="of a test",
                implementation=f"{__name__}:{one.__name__}",
                takes="text",
            )
            for one in (OneHot, Unsettled, Shuffled)
        ]
        return [*real(), *mine]

    monkeypatch.setattr(core, "ducho_fusers", core.hookimpl(fusers))


def one_hot(*columns):
    keys = list(columns[0])
    values = [sorted({text for text in one.values() if text is not None}) for one in columns]
    return {
        key: [
            float(column[key] == value)
            for column, listed in zip(columns, values, strict=True)
            for value in listed
        ]
        for key in keys
    }


def check(store, report, expected):
    opened = Store(store).open(report.name)
    checked = verify_set(store, opened.path, read_data=True)
    assert (checked.problems, checked.pending) == ((), 0)
    rows = content(opened)
    assert {key: row.tolist() for key, row in rows.items()} == expected


@pytest.mark.parametrize("block", [2, 1000])
def test_texts_of_one_set_are_handed_over_by_key(store, monkeypatch, block):
    monkeypatch.setattr(joined, "block_rows", lambda dims: block)
    put_texts(store, "said", {"colour": COLOURS, "size": SIZES})
    report = fuse(["said:colour", "said:size"], "onehot", store=store, name="hot")
    check(store, report, one_hot(COLOURS, SIZES))
    assert (report.dims, report.stored) == ({"embedding": 7}, 6)
    before = tree(store)
    again = fuse(["said:colour", "said:size"], "onehot", store=store, name="hot")
    assert (again.stored, again.skipped, again.fit_reused) == (0, 6, True)
    assert tree(store) == before


def test_texts_of_two_sets_are_joined_by_key(store):
    backwards = dict(reversed(SIZES.items()))
    put_texts(store, "one", {"colour": COLOURS})
    put_texts(store, "two", {"size": backwards}, chunk=4)
    report = fuse(["one", "two"], "onehot", store=store)
    check(store, report, one_hot(COLOURS, SIZES))


def test_a_text_without_row_is_none_where_the_policy_fills_in(store):
    fewer = {key: text for key, text in SIZES.items() if key not in "ad"}
    put_texts(store, "one", {"colour": COLOURS})
    put_texts(store, "two", {"size": fewer})
    report = fuse(["one", "two"], "onehot", store=store, missing="zero")
    check(store, report, one_hot(COLOURS, {**dict.fromkeys(COLOURS), **fewer}))
    assert report.filled == (0, 2)
    with pytest.raises(UsageError, match="texts have no mean"):
        fuse(["one", "two"], "onehot", store=store, missing="mean")
    with pytest.raises(UsageError, match="two lacks a, d"):
        fuse(["one", "two"], "onehot", store=store)


def test_a_row_remembers_which_texts_it_was_made_of(store):
    put_texts(
        store, "one", {"x": {"a": "bc", "b": "b", "c": None}, "y": {"a": "d", "b": "cd", "c": ""}}
    )
    report = fuse(["one:x", "one:y"], "onehot", store=store)
    (batch,) = Store(store).open(report.name).batches(["input_sha256"])
    assert len(set(batch["input_sha256"].to_pylist())) == 3


def test_the_fit_is_taken_over_with_its_length(store):
    put_texts(store, "said", {"colour": COLOURS})
    put_texts(store, "later", {"colour": {"x": "red", "y": "green"}})
    fuse(["said"], "onehot", store=store, name="hot")
    report = fuse(["later"], "onehot", store=store, name="hot-later", fit_from="hot")
    check(store, report, {"x": [0, 0, 0, 1], "y": [0, 0, 0, 0]})


def test_the_spec_names_the_texts_and_reads_their_set_once(store, monkeypatch):
    from ducho_core import FeatureSet

    real, calls = FeatureSet.snapshot_digest, []
    monkeypatch.setattr(
        FeatureSet, "snapshot_digest", lambda self: (calls.append(1), real(self))[1]
    )
    put_texts(store, "said", {"colour": COLOURS, "size": SIZES})
    report = fuse(["said:colour", "said:size"], "onehot", store=store)
    spec = Store(store).open(report.name).spec
    assert [one["output"] for one in spec["derived"]["inputs"]] == ["colour", "size"]
    assert len({one["snapshot"] for one in spec["derived"]["inputs"]}) == 1
    assert (spec["fuser"]["label"], spec["outputs"][0]["dim"], calls) == ("said", None, [1])


def test_what_is_not_told_or_no_text_is_refused(store):
    put_texts(store, "said", {"colour": COLOURS, "size": SIZES})
    put_set(store, "vectors", list(COLOURS), vectors_for(list(COLOURS), 3))
    with pytest.raises(UsageError, match=r"said has the texts colour, size: say which"):
        fuse(["said"], "onehot", store=store)
    with pytest.raises(UsageError, match=r"'embedding' of vectors is no text"):
        fuse(["vectors"], "onehot", store=store)
    with pytest.raises(UsageError, match=r"'embedding' of vectors is no text"):
        fuse(["vectors:embedding"], "onehot", store=store)
    with pytest.raises(UsageError, match=r"'colour' of said is no embedding"):
        fuse(["said:colour"], "concat", store=store)


def test_a_length_that_stays_open_and_a_kind_without_texts_break_the_contract(store):
    put_texts(store, "said", {"colour": COLOURS})
    with pytest.raises(ContractError, match="its fit made the outputs"):
        fuse(["said"], "unsettled", store=store)
    with pytest.raises(ContractError, match="takes texts, so it must be a RowFuser"):
        fuse(["said"], "shuffled", store=store)
    assert [one.names for one in Store(store).sets()] == [("said",)]
