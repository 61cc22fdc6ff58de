"""Several images or texts of one item, handed over together."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from ducho_core import Store, extract
from ducho_core.errors import ChangedInputError, UsageError
from ducho_core.loaders.folder import FolderLoader
from ducho_core.loaders.options import FolderOptions
from tests.core.loader_samples import open_table, rows, write


@pytest.fixture
def shop(tmp_path):
    for name, content in {"7/2": "b", "7/10": "c", "7/1": "a", "8/1": "d", "9/x": "a"}.items():
        write(tmp_path / "images" / f"{name}.jpg", content)
    return write(tmp_path / "items.tsv", "item_id\n7\n8\n9\n10\n")


def run(source, store, **settings):
    given = {"name": "n", "slots": "joint", "image": "images/{item_id}/*", **settings}
    (report,) = extract(source, "core/hash", store=store, **given)
    return report


def vectors(store):
    keys, values = Store(store).open("n").to_numpy()
    return dict(zip(keys["item_id"].to_pylist(), values.tolist(), strict=True))


def test_a_glob_gives_one_row_with_all_files_in_natural_order(shop):
    loader = open_table(shop, image="images/{item_id}/*", accepts=("image",), slots="joint")
    assert loader.keys == ("item_id",)
    assert loader.inputs[0].joint
    folder = str(shop.parent / "images")
    assert [(row["item_id"], row["image"]) for row in rows(loader)] == [
        ("7", [f"{folder}/7/1.jpg", f"{folder}/7/2.jpg", f"{folder}/7/10.jpg"]),
        ("8", [f"{folder}/8/1.jpg"]),
        ("9", [f"{folder}/9/x.jpg"]),
        ("10", None),
    ]


def test_a_list_column_gives_one_row_without_what_is_null(tmp_path):
    lines = [{"item_id": "a", "text": ["x", None, "", "y"]}, {"item_id": "b", "text": []}]
    path = write(tmp_path / "items.jsonl", "\n".join(map(json.dumps, lines)))
    loader = open_table(path, accepts=("text",), slots="joint")
    assert [row["text"] for row in rows(loader)] == [["x", "y"], None]


def test_a_folder_gives_one_row_with_all_files_of_an_item(tmp_path):
    for name in ("a_2.jpg", "a_10.jpg", "b_1.jpg"):
        write(tmp_path / "f" / name, "x")
    from ducho_core.catalogue import Binding

    loader = FolderLoader.open(
        str(tmp_path / "f"),
        Binding(accepts=("image",), slots="joint"),
        FolderOptions(pattern="{item_id}_{slot}"),
    )
    assert loader.keys == ("item_id",)
    found = [[os.path.basename(path) for path in row["image"]] for row in rows(loader)]
    assert found == [["a_2.jpg", "a_10.jpg"], ["b_1.jpg"]]


def test_an_item_is_one_row_of_what_all_its_files_hold(shop, tmp_path):
    report = run(shop, tmp_path / "s")
    assert (report.stored, report.absent) == (3, 1)
    found = vectors(tmp_path / "s")
    assert sorted(found) == ["7", "8", "9"]
    features = Store(tmp_path / "s").open("n")
    assert features.spec["slots"] == "joint"
    digests = {
        key: digest
        for batch in features.batches(["item_id", "input_sha256"])
        for key, digest in zip(
            batch["item_id"].to_pylist(), batch["input_sha256"].to_pylist(), strict=True
        )
    }
    parts = b"".join(hashlib.sha256(one).digest() for one in (b"a", b"b", b"c"))
    assert digests["7"] == hashlib.sha256(parts).digest()
    again = run(shop, tmp_path / "s")
    assert (again.rows, again.loaded) == (0, False)


def test_one_file_alone_gives_what_it_gives_without_joint(shop, tmp_path):
    run(shop, tmp_path / "s")
    run(shop, tmp_path / "t", slots="first")
    assert vectors(tmp_path / "s")["9"] == vectors(tmp_path / "t")["9"]
    assert vectors(tmp_path / "s")["7"] != vectors(tmp_path / "t")["7"]


def test_a_file_more_or_a_file_less_is_changed_content(shop, tmp_path):
    run(shop, tmp_path / "s")
    extra = write(shop.parent / "images" / "8" / "2.jpg", "new")
    with pytest.raises(ChangedInputError, match="'8'"):
        run(shop, tmp_path / "s")
    extra.unlink()
    (shop.parent / "images" / "7" / "2.jpg").unlink()
    with pytest.raises(ChangedInputError, match="'7'"):
        run(shop, tmp_path / "s")


def test_a_listed_file_that_is_not_there_is_left_out(tmp_path):
    write(tmp_path / "1.jpg", "a")
    lines = [
        {"item_id": "a", "image": ["1.jpg", "gone.jpg"]},
        {"item_id": "b", "image": ["gone.jpg"]},
    ]
    source = write(tmp_path / "items.jsonl", "\n".join(map(json.dumps, lines)))
    report = run(source, tmp_path / "s", image=None)
    assert (report.stored, report.absent) == (1, 1)
    write(tmp_path / "gone.jpg", "b")
    with pytest.raises(ChangedInputError, match="'a'"):
        run(source, tmp_path / "s", image=None)


@pytest.mark.usefixtures("probe")
def test_an_extractor_that_takes_one_at_a_time_says_how_to_pool(shop, tmp_path):
    with pytest.raises(UsageError, match=r"probe/image takes one .*ducho fuse SET --how pool"):
        extract(shop, "probe/image", store=tmp_path / "s", slots="joint")
    assert not (tmp_path / "s").exists()


def test_a_source_with_a_row_a_slot_cannot_be_put_together(tmp_path):
    source = write(tmp_path / "items.tsv", "item_id\tslot\ttext\na\t1\tx\na\t2\ty\n")
    with pytest.raises(UsageError, match=r"joint: .* a row for each slot"):
        run(source, tmp_path / "s", image=None, key=("item_id", "slot"), text=("text",))


def test_a_template_that_finds_nothing_says_what_it_looked_at(tmp_path):
    source = write(tmp_path / "items.jsonl", json.dumps({"item_id": "a", "image": ["x.jpg"]}))
    with pytest.raises(UsageError, match=r"image: .*x\.jpg"):
        run(source, tmp_path / "s", image=None)
