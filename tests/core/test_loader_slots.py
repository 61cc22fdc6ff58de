"""Several images or texts of one item."""

from __future__ import annotations

import json

import pytest

from ducho_core.errors import SourceError, UsageError
from tests.core.loader_samples import open_table, rows, write

ITEMS = "item_id\ttext\n7\tShoe\n8\tHat\n9\tSock\n"


@pytest.fixture
def shop(tmp_path):
    for name in (
        "7/2.jpg",
        "7/10.jpg",
        "7/front.jpg",
        "8/a.b.png",
        "7/.hidden.jpg",
        "7/sub/x.jpg",
    ):
        write(tmp_path / "images" / name, "x")
    return write(tmp_path / "items.tsv", ITEMS)


def slots(path, image, accepts=("image",), **binding):
    loader = open_table(path, image=image, accepts=accepts, **binding)
    found = rows(loader)
    folder = f"{path.parent}/"
    return [
        (row["item_id"], row["slot"], row["image"] and row["image"].removeprefix(folder))
        for row in found
    ]


def test_a_glob_gives_slots_in_natural_order(shop):
    assert slots(shop, "images/{item_id}/*") == [
        ("7", "2", "images/7/2.jpg"),
        ("7", "10", "images/7/10.jpg"),
        ("7", "front", "images/7/front.jpg"),
        ("8", "a.b", "images/8/a.b.png"),
        ("9", "", None),
    ]


def test_a_slot_is_what_the_glob_matched(tmp_path):
    for name in ("7_1.jpg", "7_2.jpg", "77_1.jpg", "8-7.jpg"):
        write(tmp_path / "p" / name, "x")
    path = write(tmp_path / "items.tsv", "item_id\n7\n8\n")
    assert slots(path, "p/{item_id}_*.jpg") == [
        ("7", "1", "p/7_1.jpg"),
        ("7", "2", "p/7_2.jpg"),
        ("8", "", None),
    ]
    assert slots(path, "p/*-{item_id}.jpg")[0] == ("7", "8", "p/8-7.jpg")


def test_a_glob_may_stand_for_a_folder(tmp_path):
    for name in ("front/7.jpg", "back/7.jpg", "back/8.jpg"):
        write(tmp_path / "p" / name, "x")
    path = write(tmp_path / "items.tsv", "item_id\n7\n8\n")
    assert slots(path, "p/*/{item_id}.jpg") == [
        ("7", "back", "p/back/7.jpg"),
        ("7", "front", "p/front/7.jpg"),
        ("8", "back", "p/back/8.jpg"),
    ]


def test_inputs_without_slots_are_repeated_for_each(shop):
    loader = open_table(shop, image="images/{item_id}/*", accepts=("image", "text"))
    assert loader.keys == ("item_id", "slot")
    assert [(row["slot"], row["text"]) for row in rows(loader)] == [
        ("2", "Shoe"),
        ("10", "Shoe"),
        ("front", "Shoe"),
        ("a.b", "Hat"),
        ("", "Sock"),
    ]


def test_slots_first_keeps_one_and_has_no_slot_key(shop):
    loader = open_table(shop, image="images/{item_id}/*", accepts=("image",), slots="first")
    assert loader.keys == ("item_id",)
    found = [row["image"] and row["image"].rsplit("/", 1)[1] for row in rows(loader)]
    assert found == ["2.jpg", "a.b.png", None]


def test_two_files_of_one_slot_are_named(shop):
    write(shop.parent / "images/7/2.png", "x")
    with pytest.raises(SourceError, match=r"slot '2'.*2\.(jpg|png) and .*2\.(jpg|png)"):
        slots(shop, "images/{item_id}/*")


@pytest.mark.parametrize("item", ["*", "?", "[a-z]", "**", "7*"])
def test_what_a_column_brings_is_never_a_glob(shop, item):
    path = write(shop.parent / "odd.tsv", f"item_id\n{item}\n")
    assert slots(path, "images/{item_id}/*") == [(item, "", None)]


@pytest.mark.parametrize("item", ["../secret", "7/../../secret", ".."])
def test_a_value_that_climbs_lists_nothing(shop, item):
    write(shop.parent.parent / "secret/x.jpg", "x")
    write(shop.parent / "secret/x.jpg", "x")
    path = write(shop.parent / "odd.tsv", f"item_id\n{item}\n")
    found = rows(open_table(path, image="images/{item_id}/*", accepts=("image",)))
    assert found == [{"item_id": item, "slot": "", "image": str(shop.parent / "..")}]


def test_a_folder_outside_the_root_is_not_listed(shop, tmp_path):
    outside = tmp_path / "outside"
    write(outside / "x.jpg", "x")
    inside = tmp_path / "inside"
    (inside / "images").mkdir(parents=True)
    (inside / "images/7").symlink_to(outside)
    path = write(inside / "items.tsv", "item_id\n7\n")
    found = rows(open_table(path, image="images/{item_id}/*", accepts=("image",)))
    assert found[0]["image"] == str(inside / "images/7/*")
    found = rows(open_table(path, image=f"{outside}/{{item_id}}*", accepts=("image",)))
    assert found[0]["image"] == f"{outside}/7*"


@pytest.mark.parametrize(
    ("image", "words"),
    [("images/*/*", "2 globs"), ("images/{item_id}/**", "2 globs")],
)
def test_one_glob_is_allowed(shop, image, words):
    with pytest.raises(UsageError, match=words):
        slots(shop, image)


def lists(tmp_path, *objects):
    return write(tmp_path / "items.jsonl", "".join(json.dumps(one) + "\n" for one in objects))


def test_lists_of_paths_and_templates_over_lists(tmp_path):
    path = lists(tmp_path, {"item_id": "a", "pics": ["x", "", "y"]}, {"item_id": "b", "pics": []})
    assert slots(path, "pics") == [
        ("a", "0", "x"),
        ("a", "1", None),
        ("a", "2", "y"),
        ("b", "", None),
    ]
    assert slots(path, "{item_id}/{pics}.jpg")[2] == ("a", "2", "a/y.jpg")
    with pytest.raises(UsageError, match="both from the glob and from the list"):
        slots(path, "{pics}/*")


def test_slots_of_several_inputs_are_joined_by_name(tmp_path):
    path = lists(
        tmp_path, {"item_id": "a", "image": ["x", "y"], "text": ["one", "two", "<p></p>"]}
    )
    found = rows(open_table(path, accepts=("image", "text"), cleaning=("html", "whitespace")))
    assert [(row["slot"], row["image"] and row["image"][-1], row["text"]) for row in found] == [
        ("0", "x", "one"),
        ("1", "y", "two"),
        ("2", None, None),
    ]


def test_the_first_of_a_list_is_the_first_that_is_there(tmp_path):
    path = lists(tmp_path, {"item_id": "a", "text": ["", "one"]}, {"item_id": "b", "text": []})
    found = rows(open_table(path, slots="first"))
    assert found == [{"item_id": "a", "text": "one"}, {"item_id": "b", "text": None}]


def test_slots_cannot_come_from_two_places(shop):
    with pytest.raises(UsageError, match="slots come both"):
        slots(shop, "images/{item_id}/*", keys=("item_id", "slot=text"))
    with pytest.raises(UsageError, match="--slots first"):
        open_table(shop, keys=("item_id", "slot=text"), slots="first")


def test_many_slots_still_come_in_bounded_batches(tmp_path):
    path = lists(tmp_path, *({"item_id": str(at), "text": ["a"] * 50} for at in range(400)))
    sizes = [batch.num_rows for batch in open_table(path).batches()]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 8192


def test_one_flat_folder_of_many_files_is_listed_once(tmp_path, monkeypatch):
    import os

    for at in range(200):
        write(tmp_path / "p" / f"{at}_0.jpg", "x")
    path = write(tmp_path / "items.tsv", "item_id\n" + "".join(f"{at}\n" for at in range(200)))
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(folder) or scandir(folder))
    assert len(slots(path, "p/{item_id}_*.jpg")) == 200
    assert len(listed) == 1
