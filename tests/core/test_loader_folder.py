"""Folders as sources."""

from __future__ import annotations

import os
import shlex

import pytest

from ducho_core.catalogue import Binding
from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.folder import FolderLoader
from ducho_core.loaders.options import FolderOptions
from tests.core.loader_samples import open_table, rows, write


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            write(tmp_path / "shop" / name, "x")
        return tmp_path / "shop"

    return make


def open_folder(path, *, accepts=("image",), pattern=None, tables="refuse", **binding):
    options = FolderOptions(pattern=pattern, tables=tables)
    return FolderLoader.open(str(path), Binding(accepts=accepts, **binding), options)


def test_the_key_is_the_path_without_its_last_suffix(folder):
    path = folder(
        "a.1.jpg", "a.2.jpg", "b10.PNG", "b9.png", "x/y/c.webp", ".hidden.jpg", ".d/e.jpg"
    )
    loader = open_folder(path)
    assert loader.keys == ("item_id",)
    assert loader.root == path
    assert [row["item_id"] for row in rows(loader)] == ["a.1", "a.2", "b9", "b10", "x/y/c"]
    assert rows(loader)[4]["image"] == str(path / "x/y/c.webp")


def test_modalities_join_by_key(folder):
    path = folder("a.jpg", "b.jpg", "b.txt", "c.txt", "c.ogg", "notes.pdf")
    loader = open_folder(path, accepts=("image", "text", "audio"), cleaning=("html",))
    assert [(one.name, one.storage, one.cleaning) for one in loader.inputs] == [
        ("image", "path", ()),
        ("text", "path", ("html",)),
        ("audio", "path", ()),
    ]
    found = [{name: value and value[-5:] for name, value in row.items()} for row in rows(loader)]
    assert found == [
        {"item_id": "a", "image": "a.jpg"[-5:], "text": None, "audio": None},
        {"item_id": "b", "image": "b.jpg"[-5:], "text": "b.txt", "audio": None},
        {"item_id": "c", "image": None, "text": "c.txt", "audio": "c.ogg"},
    ]


def test_only_what_the_extractor_takes_and_the_folder_holds_is_bound(folder):
    path = folder("a.jpg", "a.txt")
    assert [one.name for one in open_folder(path).inputs] == ["image"]
    found = open_folder(path, accepts=("image", "audio"))
    assert [one.name for one in found.inputs] == ["image"]


def test_one_key_twice_within_a_modality_names_both_files(folder):
    with pytest.raises(SourceError, match=r"'x/a': x/a\.jpg and x/a\.png"):
        open_folder(folder("x/a.jpg", "x/a.png"))


def test_a_pattern_finds_keys_and_slots_in_names(folder):
    path = folder("shoe_red_2.jpg", "shoe_red_10.jpg", "hat_1.jpg")
    loader = open_folder(path, pattern="{item_id}_{slot}")
    assert [(row["item_id"], row["slot"]) for row in rows(loader)] == [
        ("hat", "1"),
        ("shoe_red", "2"),
        ("shoe_red", "10"),
    ]
    first = open_folder(path, pattern="{item_id}_{slot}", slots="first")
    assert [(row["item_id"], row["image"][-6:]) for row in rows(first)] == [
        ("hat", "_1.jpg"),
        ("shoe_red", "_2.jpg"),
    ]


def test_a_pattern_may_hold_folders_and_users(folder):
    loader = open_folder(folder("u1/i1.jpg", "u2/i1.jpg"), pattern="{user_id}/{item_id}")
    assert [(row["user_id"], row["item_id"]) for row in rows(loader)] == [
        ("u1", "i1"),
        ("u2", "i1"),
    ]


def test_files_that_do_not_fit_a_pattern_are_counted_and_named(folder):
    with pytest.raises(UsageError, match=r"does not fit 2 of 3 files.*hat, sock"):
        open_folder(folder("a_1.jpg", "hat.jpg", "sock.jpg"), pattern="{item_id}_{slot}")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{slot}", "needs {item_id}"),
        ("{item}_{slot}", "'item'.*'item_id'"),
        ("{item_id}{slot}", "something between"),
        ("{item_id}_{item_id}", "twice"),
    ],
)
def test_a_wrong_pattern_is_explained(folder, pattern, words):
    with pytest.raises(UsageError, match=words):
        open_folder(folder("a_1.jpg"), pattern=pattern)


def test_a_folder_with_a_table_prints_the_tables_command(folder):
    path = folder("img/1.jpg")
    table = write(path / "items.tsv", "item_id\tphoto\ttitle\n1\timg/1.jpg\tA\n")
    with pytest.raises(UsageError) as error:
        open_folder(path)
    assert "holds items.tsv" in str(error.value)
    proposed = shlex.split(str(error.value).splitlines()[1])
    assert proposed == ["ducho", "extract", str(table), "…", "--image", "photo"]
    assert rows(open_table(table, accepts=("image",), image="photo"))[0]["image"]
    assert rows(open_folder(path, tables="ignore"))[0]["item_id"] == "img/1"


def test_a_table_deeper_down_is_just_another_file(folder):
    path = folder("a.jpg", "meta/items.csv")
    assert [row["item_id"] for row in rows(open_folder(path))] == ["a"]


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ({"image": "photo"}, "--image is for tables"),
        ({"texts": ((None, "title"),)}, "--text is for tables"),
        ({"keys": ("asin",)}, "--pattern"),
    ],
)
def test_flags_of_tables_are_refused(folder, binding, words):
    with pytest.raises(UsageError, match=words):
        open_folder(folder("a.jpg"), **binding)


def test_what_was_found_instead_is_said(folder):
    with pytest.raises(SourceError, match=r"no images .*found: 2 \.pdf, 1 \.txt"):
        open_folder(folder("a.pdf", "b.pdf", "c.txt"))
    with pytest.raises(SourceError, match="no folder"):
        open_folder(folder("a.jpg") / "gone")


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(SourceError, match="holds no file"):
        open_folder(tmp_path)


def test_links_to_folders_are_followed_only_inside_the_root(folder, tmp_path):
    write(tmp_path / "elsewhere/b.jpg", "x")
    path = folder("real/a.jpg")
    (path / "again").symlink_to(path / "real")
    (path / "loop").symlink_to(path)
    (path / "away").symlink_to(tmp_path / "elsewhere")
    loader = open_folder(path)
    assert [row["item_id"] for row in rows(loader)] == ["again/a", "real/a"]
    assert any("away" in remark for remark in loader.remarks)
    wide = open_folder(path, root=str(tmp_path))
    assert [row["item_id"] for row in rows(wide)] == ["again/a", "away/b", "real/a"]
    (path / "real/a.jpg").unlink()
    with pytest.raises(SourceError, match="away was not followed"):
        open_folder(path)


def test_a_name_that_is_no_text_is_refused(folder):
    path = folder("a.jpg")
    try:
        os.close(os.open(os.fsencode(path) + b"/\xff.jpg", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(SourceError, match="no UTF-8"):
        open_folder(path)


def test_items_come_in_natural_order(folder):
    path = folder(*(f"{at}.jpg" for at in range(30)))
    assert [row["item_id"] for row in rows(open_folder(path))] == [str(at) for at in range(30)]


def test_real_images_and_sounds(stamps):
    loader = open_folder(stamps / "images")
    assert len(rows(loader)) == 300
    table = open_table(stamps / "items.tsv", accepts=("image", "text", "audio"), text="title")
    found = rows(table)
    assert len(found) == 300
    assert sum(row["audio"] is not None for row in found) == 90
    assert all(os.path.isfile(row["image"]) for row in found)
