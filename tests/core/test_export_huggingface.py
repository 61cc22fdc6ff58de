"""A Hugging Face dataset folder and its Croissant metadata, read by the libraries themselves."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import yaml

from ducho_core import Store, export
from tests.core.set_samples import HOSTILE, put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [*(f"k{number:02}" for number in range(20)), *HOSTILE]
OPTIONS = {"license": "cc-by-4.0", "title": "Covers: and\nmore", "tags": ["music", "ducho"]}


@pytest.fixture
def out(tmp_path):
    put_set(tmp_path / "s", "one", KEYS, vectors_for(KEYS, 5))
    put_set(tmp_path / "s", "two", KEYS[3:], vectors_for(KEYS[3:], 3, 1))
    export(
        ["one", "two"],
        "huggingface",
        tmp_path / "out",
        store=tmp_path / "s",
        options=OPTIONS,
        missing="zero",
    )
    return tmp_path / "out"


def check(rows):
    found = {row["item_id"]: row for row in rows}
    assert set(found) == set(KEYS)
    for key, value in zip(KEYS, vectors_for(KEYS, 5), strict=True):
        np.testing.assert_array_equal(np.array(found[key]["one"], np.float32), value)
    for key, value in zip(KEYS[3:], vectors_for(KEYS[3:], 3, 1), strict=True):
        np.testing.assert_array_equal(np.array(found[key]["two"], np.float32), value)
        assert found[key]["two.present"]
    assert not any(found[key]["two.present"] for key in KEYS[:3])


def test_datasets_loads_the_folder(out, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    rows = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    check(rows)
    assert rows.features["one"] == datasets.List(datasets.Value("float32"), length=5)
    # What the card says is what the library finds by itself.
    plain = datasets.load_dataset(
        "parquet",
        data_files=str(out / "data" / "*.parquet"),
        split="train",
        cache_dir=str(tmp_path / "other"),
    )
    assert plain.features == rows.features


def test_mlcroissant_validates_the_metadata_and_yields_the_rows(out):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    dataset = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    rows = []
    for record in dataset.records("rows"):
        row = {name.removeprefix("rows/"): value for name, value in record.items()}
        row["item_id"] = row["item_id"].decode()
        rows.append(row)
    check(rows)


def test_mlcroissant_notices_other_data(out):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    path = out / "data" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    dataset = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    with pytest.raises(Exception, match="Download") as caught:
        list(dataset.records("rows"))
    assert "Hash" in repr(caught.value.__cause__)


def test_the_metadata_names_every_file_with_its_sha256(out):
    told = json.loads((out / "croissant.json").read_text("utf-8"))
    named = {one["contentUrl"]: one["sha256"] for one in told["distribution"]}
    assert set(named) == {"README.md", "data/train-00000-of-00001.parquet"}
    for name, sha256 in named.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256
    assert told["license"] == "cc-by-4.0"


def test_the_card_says_how_the_vectors_were_made(out, tmp_path):
    _, front, text = (out / "README.md").read_text("utf-8").split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["license"] == "cc-by-4.0"
    assert head["pretty_name"] == "Covers: and more"
    assert head["size_categories"] == ["n<1K"]
    assert head["tags"].count("ducho") == 1
    assert head["dataset_info"]["splits"][0]["num_examples"] == len(KEYS)
    for name in ("one", "two"):
        features = Store(tmp_path / "s").open(name)
        assert features.fingerprint in text
        block = "".join(
            f"    {line}\n"
            for line in json.dumps(features.spec, indent=1, sort_keys=True).splitlines()
        )
        assert block in text
    assert "ducho export one two --to huggingface" in text


def test_a_missing_licence_is_remarked_on(tmp_path):
    put_set(tmp_path / "s", "one", KEYS, vectors_for(KEYS, 5))
    report = export("one", "huggingface", tmp_path / "out", store=tmp_path / "s")
    assert any("licence" in one for one in report.notes.remarks)


def test_reviews_and_slots_are_carried(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    keys = [("u", "a", "1"), ("u", "a", "2"), ("v", "b", "1")]
    columns = ("user_id", "item_id", "slot")
    put_set(tmp_path / "s", "one", keys, vectors_for(keys, 4), columns=columns)
    export("one", "huggingface", tmp_path / "out", store=tmp_path / "s")
    rows = datasets.load_dataset(
        str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [tuple(row[name] for name in columns) for row in rows] == keys
