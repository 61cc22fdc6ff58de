"""What every exporter does alike: each item its own vector, each interaction where it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ducho_core import UsageError, export
from tests.core.set_samples import HOSTILE, put_set, tree, unsynced, vectors_for
from tests.plugins.recsys.export_kit import (
    FORMATS,
    IDS,
    PARTS,
    draw_pairs,
    numbers_of,
    only,
    pairs,
    put_sets,
    put_split,
    read_tsv,
    users_of,
    vectors,
)

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("left", [0, 2])
def test_every_item_has_its_own_vector_and_every_interaction_its_ids(tmp_path, to, ids, left):
    items = IDS[ids]
    drawn = draw_pairs(items)
    put_split(tmp_path / "split", items, drawn)
    stored = put_sets(tmp_path / "s", items, left)
    report = export(
        ["covers", "titles"],
        to,
        tmp_path / "out",
        store=tmp_path / "s",
        options={"split": str(tmp_path / "split")},
        missing="mean" if left else None,
    )
    found = vectors(to, tmp_path / "out", ["covers", "titles"])
    for label, own in stored.items():
        assert set(found[label]) == set(items)
        for item, vector in own.items():
            np.testing.assert_array_equal(found[label][item], vector)
        mean = np.mean(list(own.values()), axis=0, dtype=np.float64)
        for item in set(items) - set(own):
            np.testing.assert_allclose(found[label][item], mean, rtol=1e-5)
    told = pairs(to, tmp_path / "out")
    assert told == {name: {pair[:2] for pair in drawn[name]} for name in PARTS}
    assert report.rows == len(items)
    assert [(one.present, one.filled, one.dropped) for one in report.inputs] == [
        (len(items), 0, 1),
        (len(items) - left, left, 1),
    ]


@pytest.mark.parametrize("to", FORMATS)
def test_items_and_users_that_are_trained_on_come_first(tmp_path, to):
    items = IDS["odd"]
    drawn = draw_pairs(items)
    drawn["test"].append(("a stranger", items[20], 5.0, 1.0, True))
    put_split(tmp_path / "split", items, drawn)
    put_sets(tmp_path / "s", items)
    options = {"split": str(tmp_path / "split")}
    sets = ["covers", "titles"]
    export(sets, to, tmp_path / "out", store=tmp_path / "s", options=options)
    trained = {pair[1] for pair in drawn["train"]}
    numbers = numbers_of(tmp_path / "out")
    assert sorted(numbers.values()) == list(range(len(items)))
    assert {item for item, number in numbers.items() if number < len(trained)} == trained
    assert users_of(tmp_path / "out")[-1] == "a stranger"


@pytest.mark.parametrize("to", FORMATS)
def test_what_is_irrelevant_is_no_hit(tmp_path, to):
    items = IDS["contiguous"]
    drawn = draw_pairs(items)
    drawn["test"] = [(*pair[:4], at % 3 != 0) for at, pair in enumerate(drawn["test"])]
    drawn["train"] = [(*pair[:4], at % 3 != 0) for at, pair in enumerate(drawn["train"])]
    put_split(tmp_path / "split", items, drawn)
    put_sets(tmp_path / "s", items)
    sets, options = ["covers", "titles"], {"split": str(tmp_path / "split")}
    report = export(sets, to, tmp_path / "out", store=tmp_path / "s", options=options)
    told = pairs(to, tmp_path / "out")
    assert told["test"] == {pair[:2] for pair in drawn["test"] if pair[4]}
    assert told["train"] == {pair[:2] for pair in drawn["train"]}
    left = sum(not pair[4] for pair in drawn["test"])
    assert any(
        f"{left} interactions to validate and test on" in one for one in report.notes.remarks
    )


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("ids", ["all", "each"])
def test_hostile_ids_are_exact_and_nothing_is_written_outside(tmp_path, to, ids):
    items = [*HOSTILE, *(f"plain {number}" for number in range(12))]
    for some in (
        [items] if ids == "all" else [["plain", one] for one in ("../../x", "con", "x" * 9)]
    ):
        base = tmp_path / f"base{len(some[-1])}"
        drawn = {
            "train": [(one, one, 3.0, 1.0, True) for one in some],
            "validation": [(some[0], some[1], 4.0, 1.0, True)],
            "test": [(some[1], some[0], 4.0, 1.0, True)],
        }
        put_split(base / "split", some, drawn)
        for seed, name in enumerate(("covers", "titles")):
            put_set(base / "s", name, some, vectors_for(some, 3, seed))
        (base / "x").mkdir()
        before = tree(tmp_path)
        out = base / "deep" / "out"
        options = {"split": str(base / "split")}
        if to == "recbole" and ids == "all":
            with pytest.raises(UsageError, match="ids=numbers"):
                export(["covers", "titles"], to, out, store=base / "s", options=options)
            options["ids"] = "numbers"
        export(["covers", "titles"], to, out, store=base / "s", options=options)
        after = tree(tmp_path)
        where = f"{base.name}/deep"
        new = {path for path in after if before.get(path, "absent") != after[path]}
        assert all(path == where or path.startswith(f"{where}/out") for path in new)
        assert {path: after[path] for path in before} == before
        numbers = numbers_of(out)
        assert sorted(numbers) == sorted(some)
        assert sorted(users_of(out)) == sorted(some)
        for listed in ("i_id_mapping.csv", "item_list.txt"):
            for path in out.rglob(listed):
                rows = [row for row in read_tsv(path) if row != ["asin", "itemID"]]
                assert {item: int(number) for item, number in rows} == numbers
        found = vectors(to, out, ["covers", "titles"])
        if "ids" in options:
            found = {
                label: {item: own[str(number)] for item, number in numbers.items()}
                for label, own in found.items()
            }
        for seed, label in enumerate(("covers", "titles")):
            for item, vector in zip(some, vectors_for(some, 3, seed), strict=True):
                np.testing.assert_array_equal(found[label][item], vector)


@pytest.mark.parametrize("to", FORMATS)
def test_numbers_are_only_added_to_those_of_an_earlier_export(tmp_path, to):
    items = IDS["odd"]
    first, second = items[:40], items[4:]
    sets = ["covers", "titles"]
    before, after = draw_pairs(first), draw_pairs(second)
    after["train"].append(("a newcomer", second[-1], 5.0, 1.0, True))
    put_split(tmp_path / "one", first, before)
    put_split(tmp_path / "two", second, after)
    stored = put_sets(tmp_path / "s", items)
    store = tmp_path / "s"
    export(sets, to, tmp_path / "a", store=store, options={"split": str(tmp_path / "one")})
    old, old_users = numbers_of(tmp_path / "a"), users_of(tmp_path / "a")
    export(
        sets,
        to,
        tmp_path / "b",
        store=store,
        options={"split": str(tmp_path / "two")},
        id_map=str(tmp_path / "a"),
        missing="mean",
        max_missing=1.0,
    )
    new = numbers_of(tmp_path / "b")
    assert {item: new[item] for item in first} == old
    assert set(new) == set(items)
    assert sorted(new.values()) == list(range(len(items)))
    assert users_of(tmp_path / "b") == [*old_users, "a newcomer"]
    assert pairs(to, tmp_path / "b") == {
        name: {pair[:2] for pair in after[name]} for name in PARTS
    }
    found = vectors(to, tmp_path / "b", sets)
    for label in sets:
        for item in second:
            np.testing.assert_array_equal(found[label][item], stored[label][item])


@pytest.mark.parametrize("to", FORMATS)
def test_interactions_without_ratings_and_times(tmp_path, to):
    items = IDS["contiguous"]
    drawn = {
        name: [(*pair[:2], None, None, True) for pair in part]
        for name, part in draw_pairs(items).items()
    }
    put_split(tmp_path / "split", items, drawn)
    put_sets(tmp_path / "s", items)
    sets, options = ["covers", "titles"], {"split": str(tmp_path / "split")}
    export(sets, to, tmp_path / "out", store=tmp_path / "s", options=options)
    told = pairs(to, tmp_path / "out")
    assert told == {name: {pair[:2] for pair in drawn[name]} for name in PARTS}


@pytest.mark.parametrize("to", FORMATS)
def test_no_file_tells_where_it_was_made(tmp_path, to):
    items = IDS["contiguous"]
    put_split(tmp_path / "split", items, draw_pairs(items))
    put_sets(tmp_path / "s", items)
    sets, options = ["covers", "titles"], {"split": str(tmp_path / "split")}
    export(sets, to, tmp_path / "out", store=tmp_path / "s", options=options)
    for path, content in tree(tmp_path / "out").items():
        assert str(tmp_path).encode() not in (content or b""), path


@pytest.mark.parametrize("to", ["elliot", "mmrec", "lattice"])
def test_a_datasets_name_tells_its_content(tmp_path, to):
    """Frameworks keep graphs of features under names that do not change with the features."""
    items = IDS["contiguous"]
    put_split(tmp_path / "split", items, draw_pairs(items))
    put_split(tmp_path / "other", items, draw_pairs(items, each=7))
    put_sets(tmp_path / "s", items)
    changed = vectors_for(items, 5, 0)
    changed[3, 2] += 1
    put_set(tmp_path / "changed", "covers", items, changed)
    put_set(tmp_path / "changed", "titles", items, vectors_for(items, 3, 1))
    given = [
        ("same", ["covers", "titles"], "s", "split"),
        ("again", ["covers", "titles"], "s", "split"),
        ("swapped", ["titles", "covers"], "s", "split"),
        ("split", ["covers", "titles"], "s", "other"),
        ("vectors", ["covers", "titles"], "changed", "split"),
    ]
    names = {}
    for out, sets, store, split in given:
        options = {"split": str(tmp_path / split), "name": "shop"}
        export(sets, to, tmp_path / "out" / out, store=tmp_path / store, options=options)
        names[out] = only(tmp_path / "out" / out / "data").name
    assert names["same"] == names["again"]
    assert len(set(names.values())) == len(given) - 1
    told = json.loads((tmp_path / "out" / "same" / "export.json").read_text("utf-8"))
    assert all(one["fingerprint"][:8] in names["same"] for one in told["sets"])
    assert names["same"].startswith("shop-")


@pytest.mark.parametrize("to", ["elliot", "mmrec", "lattice"])
def test_rows_of_length_0_are_the_mean_of_the_others_and_listed(tmp_path, to):
    items = IDS["odd"]
    put_split(tmp_path / "split", items, draw_pairs(items))
    values = vectors_for(items, 4)
    values[[3, 30]] = 0
    put_set(tmp_path / "s", "covers", items[:-1], values[:-1])
    put_set(tmp_path / "s", "titles", items, vectors_for(items, 3))
    options = {"split": str(tmp_path / "split")}
    report = export(
        ["covers", "titles"],
        to,
        tmp_path / "out",
        store=tmp_path / "s",
        options=options,
        missing="zero",
    )
    found = vectors(to, tmp_path / "out", ["covers", "titles"])["covers"]
    real = [at for at in range(len(items) - 1) if at not in (3, 30)]
    mean = values[real].mean(axis=0, dtype=np.float64)
    for at in (3, 30, len(items) - 1):
        np.testing.assert_allclose(found[items[at]], mean, rtol=1e-6)
    for at in real:
        np.testing.assert_array_equal(found[items[at]], values[at])
    listed = {"elliot": "missed_visual.txt", "mmrec": "missed_img_itemIDs.csv"}
    path = only(tmp_path / "out" / "data") / listed.get(to, "missed_image.txt")
    numbers = numbers_of(tmp_path / "out")
    expected = sorted(numbers[items[at]] for at in (3, 30, len(items) - 1))
    assert [int(line) for line in path.read_text().split()] == expected
    assert any("1 that have no vector and 2 of length 0" in one for one in report.notes.remarks)
    assert report.inputs[0].zero == 2


@pytest.mark.parametrize(
    ("to", "sets", "options", "says"),
    [
        ("mmrec", ["covers", "titles"], {"slots": ["text"]}, "name a slot for each"),
        ("elliot", ["covers", "titles"], {"slots": ["visual", "visual"]}, "name a slot for each"),
        ("lattice", ["covers"], {}, "LATTICE needs two feature sets"),
        ("recbole", ["covers"], {"name": "../up"}, "cannot be the name of a dataset"),
        ("mmrec", ["covers"], {"name": "a b"}, "cannot be the name of a dataset"),
        ("mmrec", ["covers", "titles", "covers"], {}, "at most 2"),
        ("elliot", ["covers"], {"split": "nowhere"}, "is no split"),
        ("cornac", ["covers"], {"split": None}, "split"),
    ],
)
def test_what_cannot_be_is_explained(tmp_path, to, sets, options, says):
    items = IDS["contiguous"]
    put_split(tmp_path / "split", items, draw_pairs(items))
    put_sets(tmp_path / "s", items)
    given = {"split": str(tmp_path / "split"), **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(UsageError, match=says):
        export(sets, to, tmp_path / "out", store=tmp_path / "s", options=given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", FORMATS)
def test_too_many_missing_rows_are_refused(tmp_path, to):
    items = IDS["contiguous"]
    put_split(tmp_path / "split", items, draw_pairs(items))
    put_sets(tmp_path / "s", items, left=4)
    options = {"split": str(tmp_path / "split")}
    for missing in (None, "mean"):
        with pytest.raises(UsageError, match="4 of"):
            export(
                ["covers", "titles"],
                to,
                tmp_path / "out",
                store=tmp_path / "s",
                options=options,
                missing=missing,
            )
    assert not (tmp_path / "out").exists()
