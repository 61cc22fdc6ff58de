"""Fusers that take some rows alone, told by their keys; sets about users."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ducho_core import (
    ContractError,
    GroupFuser,
    Output,
    RelabelFuser,
    RowFuser,
    Store,
    export,
    fuse,
)
from ducho_core.cli import main
from ducho_core.errors import SetNotFoundError, UsageError
from ducho_core.fusers import combine, pool, shuffle
from ducho_core.fusion import joined, session
from ducho_core.store.neighbours import rows_of_item
from ducho_core.store.verify import verify_set
from tests.core.set_samples import content, put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

PAIRS = ("user_id", "item_id")
REVIEWS = [(f"u{at % 7}", f"i{at * 5 % 11}") for at in range(60)]
REVIEWS = list(dict.fromkeys(REVIEWS))
"""Users and items anywhere among one another."""


def taken(key: tuple[str, ...]) -> bool:
    return (int(key[0][1:]) * 3 + int(key[-1][1:])) % 4 != 0


NEW = [("u0", "i12"), ("u4", "i12")]
"""Further ones, not taken."""

TAKEN = [key for key in REVIEWS if taken(key)]


class Taking:
    """Takes the rows that ``taken`` names."""

    takes_only = "rows of the sample"

    def takes(self, keys):
        columns = [keys[name].to_pylist() for name in keys.schema.names]
        return np.array([taken(key) for key in zip(*columns, strict=True)], np.bool_)


class Groups(Taking, GroupFuser):
    """Means over rows that are taken."""

    keep = "item_id"
    look = False

    @classmethod
    def open(cls, options, context):
        fuser = cls()
        fuser.keeps, fuser.needs_members = (cls.keep,), cls.look
        fuser.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        return fuser

    def pool(self, batch):
        assert batch.members.num_columns == (2 if self.needs_members else 0)
        sums = np.add.reduceat(batch.values, batch.starts[:-1], axis=0, dtype=np.float64)
        return {"embedding": (sums / np.diff(batch.starts)[:, None]).astype(np.float32)}


class Centred(Taking, RowFuser):
    """Rows less the mean of those that are taken."""

    fitted = True

    @classmethod
    def open(cls, options, context):
        fuser = cls()
        fuser.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        return fuser

    def fit(self, batches):
        return {"mean": np.concatenate([one.values[0] for one in batches]).mean(axis=0)}

    def restore(self, state):
        self.mean = state["mean"]

    def transform(self, batch):
        return {"embedding": batch.values[0] - self.mean}


class Turned(Taking, RelabelFuser):
    """Each key gets the vector of the next one that is taken."""

    @classmethod
    def open(cls, options, context):
        fuser = cls()
        fuser.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        return fuser

    def sources(self, digests):
        return np.roll(np.arange(len(digests)), 1)


@pytest.fixture
def use(monkeypatch):
    """Put a fuser in the place of a built-in one; returns what to fuse by."""
    places = {RowFuser: (combine, "Concat", "concat"), GroupFuser: (pool, "Pool", "pool"),
              RelabelFuser: (shuffle, "Shuffle", "shuffle")}  # fmt: skip

    def put(fuser):
        module, name, how = next(
            found for base, found in places.items() if issubclass(fuser, base)
        )
        monkeypatch.setattr(module, name, fuser)
        return how

    monkeypatch.setattr(joined, "block_rows", lambda dims: 4)
    # The footer of a chunk names the run that made it: all that two equal fusions differ in.
    monkeypatch.setattr(session, "new_run_id", lambda: "20260101T000000Z-00000000")
    return put


def vectors(keys, changed=()):
    """A vector a key; others for those that changed."""
    values = vectors_for(keys, 5)
    for at, key in enumerate(keys):
        if key in changed:
            values[at] = -7
    return values


def made(folder, how, keys=REVIEWS, changed=()):
    """Fuse the reviews in a store of their own; returns the set."""
    put_set(folder, "reviews", keys, vectors(keys, changed), columns=PAIRS, chunk=9)
    report = fuse("reviews", how, store=folder, name="made")
    opened = Store(folder).open("made")
    assert verify_set(folder, opened.path, read_data=True).problems == ()
    assert (report.untaken, report.dropped) == (len(keys) - sum(map(taken, keys)), 0)
    return opened


def files(features):
    """All that the set is: its SPEC, its plan, its rows and its fit, byte by byte."""
    return {
        str(path.relative_to(features.path)): path.read_bytes()
        for part in ("SPEC.json", "plans", "data", "fit")
        for path in sorted([features.path / part, *(features.path / part).glob("*")])
        if path.is_file()
    }


@pytest.mark.parametrize("keep", PAIRS)
@pytest.mark.parametrize("look", [True, False])
def test_groups_are_made_of_the_rows_that_are_taken(tmp_path, use, monkeypatch, keep, look):
    monkeypatch.setattr(Groups, "keep", keep)
    monkeypatch.setattr(Groups, "look", look)
    features = made(tmp_path, use(Groups))
    found = content(features)
    place = PAIRS.index(keep)
    assert set(found) == {key[place] for key in TAKEN}
    for one, vector in found.items():
        rows = vectors_for([key for key in TAKEN if key[place] == one], 5)
        np.testing.assert_allclose(vector, rows.astype(np.float64).mean(axis=0), rtol=1e-6)
    assert features.keys == (keep,)
    again = fuse("reviews", "pool", store=tmp_path, name="made")
    assert (again.stored, again.skipped) == (0, len(found))


def test_a_fit_and_a_relabelling_see_the_rows_that_are_taken(tmp_path, use):
    values = vectors_for(TAKEN, 5)
    found = content(made(tmp_path / "fit", use(Centred)))
    assert set(found) == set(TAKEN)
    wanted = dict(zip(TAKEN, values - values.mean(axis=0), strict=True))
    for key in TAKEN:
        np.testing.assert_allclose(found[key], wanted[key], atol=1e-6)
    turned = content(made(tmp_path / "turn", use(Turned)))
    assert set(turned) == set(TAKEN)
    assert sorted(one.tolist() for one in turned.values()) == sorted(values.tolist())


@pytest.mark.parametrize("fuser", [Groups, Centred, Turned])
def test_no_byte_tells_of_the_rows_that_are_not_taken(tmp_path, use, fuser):
    how = use(fuser)
    others = [key for key in REVIEWS if not taken(key)]
    plain = files(made(tmp_path / "plain", how))
    assert {name.split("/")[0] for name in plain} >= {"SPEC.json", "plans", "data"}
    changed = files(made(tmp_path / "changed", how, changed=others))
    fewer = files(made(tmp_path / "fewer", how, [key for key in REVIEWS if key != others[0]]))
    more = files(made(tmp_path / "more", how, [NEW[0], *REVIEWS, NEW[1]]))
    if fuser is Groups:  # the order of other fusers' rows is that of their input
        moved = files(made(tmp_path / "moved", how, REVIEWS[::-1]))
        assert plain == changed == fewer == more == moved
    else:
        assert plain == changed == fewer == more
    one = files(made(tmp_path / "one", how, changed=TAKEN[:1]))
    assert plain["SPEC.json"] != one["SPEC.json"]


def test_a_revision_of_the_catalogue_is_no_part_of_it(tmp_path, use):
    how = use(Groups)
    plain = made(tmp_path, how)
    spec = {**plain.spec}
    assert spec["catalogue"] == {"name": "main"}
    (source,) = spec["derived"]["inputs"]
    assert sorted(source) == ["output", "snapshot", "spec_sha256"]
    store = Store(tmp_path)
    old = store.open("reviews")
    later = {**old.spec, "catalogue": {"name": "main", "revision": 1}}
    writer = store.create_set(later)
    for path in [*old.files, *sorted((old.path / "plans").iterdir())]:
        (writer.path / path.parent.name / path.name).write_bytes(path.read_bytes())
    report = fuse(writer.path.name, how, store=tmp_path)
    assert report.fingerprint == plain.fingerprint


def test_what_was_fitted_on_all_rows_is_refused(tmp_path, use):
    put_set(tmp_path, "reviews", REVIEWS, vectors(REVIEWS), columns=PAIRS)
    fuse("reviews", "concat", store=tmp_path, options={"scale": "zscore"}, name="scaled")
    fuse("scaled", "concat", store=tmp_path, options={"scale": "l2"}, name="again")
    fuse("reviews", "concat", store=tmp_path, options={"scale": "l2"}, name="alone")
    how = use(Groups)
    for name in ("scaled", "again"):
        with pytest.raises(UsageError, match=rf"rows of {name} depend on all rows of.*before"):
            fuse(name, how, store=tmp_path)
    assert fuse("alone", how, store=tmp_path).stored


def test_a_fuser_that_takes_nothing_or_does_not_say_is_told(tmp_path, use, monkeypatch):
    how = use(Groups)
    keys = [key for key in REVIEWS if not taken(key)]
    put_set(tmp_path, "others", keys, vectors(keys), columns=PAIRS)
    with pytest.raises(UsageError, match=r"takes rows of the sample alone, and none of the"):
        fuse("others", how, store=tmp_path)
    put_set(tmp_path, "reviews", REVIEWS, vectors(REVIEWS), columns=PAIRS)
    for wrong in (None, np.ones(3, np.bool_), np.ones(len(REVIEWS))):
        monkeypatch.setattr(Groups, "takes", lambda self, keys, wrong=wrong: wrong)
        with pytest.raises(ContractError, match="takes must give a bool for each of"):
            fuse("reviews", how, store=tmp_path)
    monkeypatch.setattr(Groups, "takes", GroupFuser.takes)
    with pytest.raises(ContractError, match="says what it takes_only and has no takes"):
        fuse("reviews", how, store=tmp_path)


def test_the_summary_says_what_was_left_out(tmp_path, use):
    how = use(Groups)
    put_set(tmp_path, "reviews", REVIEWS, vectors(REVIEWS), columns=PAIRS)
    arguments = ["fuse", "reviews", "--how", how, "--store", str(tmp_path)]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    left = len(REVIEWS) - len(TAKEN)
    assert f"  left out  {left} that are no rows of the sample" in done.output


def test_sets_about_users_are_sets_as_any_other(tmp_path):
    store = tmp_path / "s"
    keys = [f"{at:03}" for at in range(20)]
    writer = put_set(store, "users", keys, vectors_for(keys, 5), columns=("user_id",))
    assert writer.path.parent.name == "text-users"
    features = Store(store).open("users")
    np.testing.assert_array_equal(features.select(["007"]), vectors_for(["007"], 5))
    assert rows_of_item(features, "007") == [("007",)]
    with pytest.raises(SetNotFoundError, match=r"no row for '0070'. Did you mean '007'"):
        rows_of_item(features, "0070")
    arguments = ["neighbours", "users", "007", "-k", "3", "--json", "--store", str(store)]
    told = json.loads(CliRunner().invoke(main, arguments, catch_exceptions=False).output)
    assert set(told["neighbours"][0]["nearest"][0]) == {"user_id", "cosine"}
    fuse("users", "concat", store=store, options={"scale": "l2"}, name="unit")
    unit = Store(store).open("unit")
    assert (unit.keys, unit.path.parent.name) == (("user_id",), "fused-users")
    export("unit", "parquet", tmp_path / "out", store=store)
    (name,) = {path.name for path in (tmp_path / "out").glob("*.parquet")} - {"ids.parquet"}
    assert sorted(pq.read_table(tmp_path / "out" / name)["user_id"].to_pylist()) == keys
    for to in ("npy", "safetensors"):
        export("unit", to, tmp_path / to, store=store)
        assert pq.read_table(tmp_path / to / "ids.parquet")["user_id"].to_pylist() == keys
    items = ["a", "b"]
    put_set(store, "items", items, vectors_for(items, 5))
    with pytest.raises(UsageError, match="their rows are not about the same things"):
        fuse(["users", "items"], "concat", store=store)
