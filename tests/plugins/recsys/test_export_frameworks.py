"""What one framework alone needs of its files."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml

from ducho_core import UsageError, export
from tests.core.set_samples import HOSTILE, put_set, unsynced, vectors_for
from tests.plugins.recsys.export_kit import (
    IDS,
    draw_pairs,
    numbers_of,
    only,
    put_sets,
    put_split,
    read_recbole,
    read_tsv,
    vectors,
)

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")
ITEMS = IDS["odd"]


@pytest.fixture
def write(tmp_path):
    """Export to a format, from a split of its own."""

    def export_to(to, sets=("covers", "titles"), pairs=None, **options):
        if not (tmp_path / "split").exists():
            put_split(tmp_path / "split", ITEMS, pairs or draw_pairs(ITEMS))
            put_sets(tmp_path / "s", ITEMS)
        options = {"split": str(tmp_path / "split"), **options}
        out = tmp_path / "out"
        return out, export(list(sets), to, out, store=tmp_path / "s", options=options)

    return export_to


# Elliot


def test_elliots_training_rows_end_with_an_item_that_does_not_exist(write):
    out, report = write("elliot")
    where = only(out / "data")
    rows = list(read_tsv(where / "train.tsv"))
    assert rows[-1][1] == str(len(ITEMS))
    assert rows[-1][0] in {row[0] for row in rows[:-1]}
    assert all(int(row[1]) < len(ITEMS) for row in rows[:-1])
    for slot in ("visual", "textual"):
        names = {path.name for path in (where / slot).iterdir()}
        assert names == {f"{number}.npy" for number in range(len(ITEMS))}
    for name in ("val.tsv", "test.tsv"):
        assert all(int(row[1]) < len(ITEMS) for row in read_tsv(where / name))
    assert any(f"item {len(ITEMS)}, which does not exist" in one for one in report.notes.remarks)


def test_elliots_configuration_names_what_is_there(write):
    out, report = write("elliot")
    (path,) = (out / "config_files").iterdir()
    told = yaml.safe_load(path.read_text("utf-8"))["experiment"]
    assert told["dataset"] == path.stem == only(out / "data").name
    paths = [told["data_config"][f"{one}_path"] for one in ("train", "validation", "test")]
    sides = told["data_config"]["side_information"]
    assert [one["dataloader"] for one in sides] == ["VisualAttribute", "TextualAttribute"]
    paths += [sides[0]["visual_features"], sides[1]["textual_features"]]
    for one in paths:
        assert (path.parent / one.format(told["dataset"])).exists()
    vbpr = told["models"]["external.VBPR"]
    assert vbpr["modalities"] == "('visual', 'textual')"
    assert report.notes.next_step.endswith(f"start_experiments.py --config {path.stem}")


def test_elliots_arrays_have_one_axis(write):
    out, _ = write("elliot")
    for slot, dim in (("visual", 5), ("textual", 3)):
        array = np.load(only(out / "data") / slot / "0.npy")
        assert (array.shape, array.dtype) == ((dim,), np.float32)


def test_elliot_takes_one_modality_through_either_loader(write):
    out, _ = write("elliot", ["titles"], slots=["textual"])
    (path,) = (out / "config_files").iterdir()
    told = yaml.safe_load(path.read_text("utf-8"))["experiment"]
    assert told["models"]["external.VBPR"]["modalities"] == "('textual',)"
    assert told["models"]["external.VBPR"]["loaders"] == "('TextualAttribute',)"
    assert [path.name for path in only(out / "data").iterdir() if path.is_dir()] == ["textual"]


def test_elliot_gets_a_rating_in_every_row(write):
    """It fills in ratings that are missing, but not those of the validation rows."""
    drawn = draw_pairs(ITEMS)
    drawn["train"][0] = (*drawn["train"][0][:2], None, 1.0, True)
    out, _ = write("elliot", pairs=drawn)
    for name in ("train.tsv", "val.tsv", "test.tsv"):
        assert {row[2] for row in read_tsv(only(out / "data") / name)} == {"1"}


def test_elliot_without_validation_rows(write):
    drawn = draw_pairs(ITEMS)
    drawn["test"] += drawn.pop("validation")
    out, _ = write("elliot", pairs={**drawn, "validation": []})
    (path,) = (out / "config_files").iterdir()
    assert "validation_path" not in path.read_text("utf-8")
    assert not (only(out / "data") / "val.tsv").exists()


def test_elliot_refuses_numbers_that_it_would_confuse(tmp_path):
    """The fork takes the order of a set for that of numbers; it is not where they are sparse."""
    items = [f"i{number}" for number in range(40)]
    drawn = draw_pairs(items)
    put_sets(tmp_path / "s", items)
    put_split(tmp_path / "one", items, drawn)
    few = {item for _, item, *_ in drawn["train"]} - {items[-1]}
    cold = {
        "train": [pair for pair in drawn["train"] if pair[1] not in few] or drawn["train"][-1:],
        "validation": drawn["validation"],
        "test": drawn["test"],
    }
    cold["train"] = [*cold["train"], ("u0", items[-2], 3.0, 1.0, True)]
    put_split(tmp_path / "two", items, cold)
    store, sets = tmp_path / "s", ["covers", "titles"]
    export(sets, "elliot", tmp_path / "a", store=store, options={"split": str(tmp_path / "one")})
    options = {"split": str(tmp_path / "two")}
    with pytest.raises(UsageError, match="without --id-map"):
        export(sets, "elliot", tmp_path / "b", store=store, options=options, id_map=tmp_path / "a")
    export(sets, "elliot", tmp_path / "b", store=store, options=options)


# MMRec


def test_mmrecs_files(write):
    out, report = write("mmrec")
    where = only(out / "data")
    told = yaml.safe_load((out / f"src/configs/dataset/{where.name}.yaml").read_text("utf-8"))
    for name in ("inter_file_name", "vision_feature_file", "text_feature_file"):
        assert (where / told[name]).is_file()
    assert told["field_separator"] == "\t"
    head, *rows = read_tsv(where / told["inter_file_name"])
    assert head == ["userID", "itemID", "rating", "timestamp", "x_label"]
    assert {row[-1] for row in rows} == {"0", "1", "2"}
    count = max(int(row[1]) for row in rows) + 1
    assert len(np.load(where / "image_feat.npy")) == count
    for name, start in (("i_id_mapping.csv", "asin"), ("u_id_mapping.csv", "user_id")):
        (first, second), *ids = read_tsv(where / name)
        assert (first, second[1:]) == (start, "temID" if start == "asin" else "serID")
        assert [int(number) for _, number in ids] == list(range(len(ids)))
    items = [item for item, _ in list(read_tsv(where / "i_id_mapping.csv"))[1:]]
    numbers = numbers_of(out)
    assert [numbers[item] for item in items] == list(range(len(items)))
    assert report.notes.next_step.endswith(f"-d {where.name}")


def test_mmrec_has_as_many_rows_as_it_counts_items(tmp_path):
    """It takes the highest number in the interactions for the number of items."""
    drawn = draw_pairs(ITEMS[:-3])
    put_split(tmp_path / "split", ITEMS, drawn)
    put_sets(tmp_path / "s", ITEMS)
    for to in ("mmrec", "lattice"):
        report = export(
            ["covers", "titles"],
            to,
            tmp_path / to,
            store=tmp_path / "s",
            options={"split": str(tmp_path / "split")},
        )
        assert len(np.load(only(tmp_path / to / "data") / "image_feat.npy")) == len(ITEMS) - 3
        assert any("the last 3 items are in no interaction" in one for one in report.notes.remarks)


def test_mmrec_takes_one_modality_in_either_slot(write):
    out, _ = write("mmrec", ["covers"])
    assert sorted(path.name for path in only(out / "data").glob("*.npy")) == ["image_feat.npy"]
    out, _ = write("mmrec", ["covers"], slots=["text"])
    assert sorted(path.name for path in only(out / "data").glob("*.npy")) == ["text_feat.npy"]


@pytest.mark.parametrize(
    ("to", "part"), [("mmrec", "validation"), ("lattice", "validation"), ("elliot", "test")]
)
@pytest.mark.parametrize("there", [True, False])
def test_parts_that_a_framework_cannot_run_without(write, to, part, there):
    drawn = draw_pairs(ITEMS)
    drawn[part] = [(*pair[:4], False) for pair in drawn[part]] if there else []
    with pytest.raises(UsageError, match=f"no {part} interactions that are relevant"):
        write(to, pairs=drawn)


def test_nothing_to_fill_with_is_an_error(tmp_path):
    put_split(tmp_path / "split", ITEMS, draw_pairs(ITEMS))
    put_set(tmp_path / "s", "covers", ITEMS, np.zeros((len(ITEMS), 4), np.float32))
    with pytest.raises(UsageError, match="nothing to put in the place of the 60 rows"):
        export(
            "covers",
            "mmrec",
            tmp_path / "out",
            store=tmp_path / "s",
            options={"split": str(tmp_path / "split")},
        )


# RecBole


def test_recboles_configuration_names_what_is_there(write):
    out, _ = write("recbole", name="shop")
    told = yaml.safe_load((out / "shop.yaml").read_text("utf-8"))
    assert (told["dataset"], told["data_path"]) == ("shop", "./")
    for name in told["benchmark_filename"]:
        table = read_recbole(out / "shop" / f"shop.{name}.inter")
        assert [one.split(":")[0] for one in table] == told["load_col"]["inter"]
    for suffix in told["additional_feat_suffix"]:
        table = read_recbole(out / "shop" / f"shop.{suffix}")
        token, vector = told["load_col"][suffix]
        assert list(table) == [f"{token}:token", f"{vector}:float_seq"]
        assert token in told["alias_of_item_id"]
        assert told["preload_weight"][token] == vector


def test_recbole_with_one_set_has_itememb(write):
    out, _ = write("recbole", ["covers"])
    told = yaml.safe_load((out / "ducho.yaml").read_text("utf-8"))
    assert told["preload_weight"] == {"iid": "item_emb"}
    assert list(read_recbole(out / "ducho" / "ducho.itememb")) == [
        "iid:token",
        "item_emb:float_seq",
    ]


@pytest.mark.parametrize("one", HOSTILE)
def test_recbole_reads_each_id_exactly_or_refuses_it(tmp_path, one):
    items = [one, "plain"]
    drawn = {
        "train": [(one, "plain", 3.0, 1.0, True), ("u", one, 3.0, 1.0, True)],
        "validation": [("u", "plain", 3.0, 1.0, True)],
        "test": [("u", "plain", 3.0, 1.0, True)],
    }
    put_split(tmp_path / "split", items, drawn)
    put_set(tmp_path / "s", "covers", items, vectors_for(items, 3))
    options = {"split": str(tmp_path / "split")}
    if any(mark in one for mark in "\t\n\r\0") or one in ("", '"quoted"'):
        with pytest.raises(UsageError, match=re.escape(repr(one[:80]))):
            export("covers", "recbole", tmp_path / "out", store=tmp_path / "s", options=options)
        return
    export("covers", "recbole", tmp_path / "out", store=tmp_path / "s", options=options)
    found = vectors("recbole", tmp_path / "out", ["covers"])["covers"]
    np.testing.assert_array_equal(found[one], vectors_for(items, 3)[0])
    rows = read_recbole(tmp_path / "out" / "ducho" / "ducho.train.inter")
    assert rows["user_id:token"].tolist() == [one, "u"]
    assert rows["item_id:token"].tolist() == ["plain", one]


@pytest.mark.parametrize("one", ["NA", "nan", "None", "null", "[PAD]", "x" * 140_000])
def test_recbole_refuses_words_for_nothing(tmp_path, one):
    put_split(
        tmp_path / "split",
        ["a", "b"],
        {
            "train": [(one, "a", 3.0, 1.0, True), ("u", "b", 3.0, 1.0, True)],
            "validation": [],
            "test": [("u", "a", 3.0, 1.0, True)],
        },
    )
    put_set(tmp_path / "s", "covers", ["a", "b"], vectors_for(["a", "b"], 3))
    options = {"split": str(tmp_path / "split")}
    with pytest.raises(UsageError, match="the user id"):
        export("covers", "recbole", tmp_path / "out", store=tmp_path / "s", options=options)


def test_recbole_refuses_vectors_that_it_cannot_read(tmp_path):
    put_split(tmp_path / "split", ITEMS, draw_pairs(ITEMS))
    put_set(tmp_path / "s", "long", ITEMS, vectors_for(ITEMS, 14_000))
    options = {"split": str(tmp_path / "split")}
    with pytest.raises(UsageError, match="ducho fuse long"):
        export("long", "recbole", tmp_path / "out", store=tmp_path / "s", options=options)


# LATTICE


def test_lattice_leaves_out_users_whom_it_cannot_hold(write):
    drawn = draw_pairs(ITEMS)
    drawn["test"].append(("a stranger", ITEMS[20], 3.0, 1.0, True))
    out, report = write("lattice", pairs=drawn)
    where = only(out / "data") / "5-core"
    found = {
        name: json.loads((where / f"{name}.json").read_text("utf-8"))
        for name in ("train", "val", "test")
    }
    assert set(found["test"]) <= set(found["train"])
    assert sum(map(len, found["test"].values())) == len(drawn["test"]) - 1
    assert any("1 interactions to validate" in one for one in report.notes.remarks)
    for name, count in (("item_list.txt", len(ITEMS)), ("user_list.txt", 16)):
        assert [int(number) for _, number in read_tsv(where / name)] == list(range(count))
