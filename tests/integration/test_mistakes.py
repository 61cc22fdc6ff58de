"""What a user's mistake gets: a message that helps, the right exit status, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

HASH = ["--plugin", "core/hash"]


def refused(finished, status: int, *words: str) -> None:
    assert finished.returncode == status, finished.stderr
    assert finished.stderr.startswith(("Error:", "Usage:")) or "\nError:" in finished.stderr
    assert "Traceback" not in finished.stderr
    for word in words:
        assert word in finished.stderr


def test_a_typo_in_an_option(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", *HASH, "--text", "title", "-o", "dmi=3", cwd=shop)
    refused(finished, 2, "dmi", "dim")
    assert not (shop / "features").exists()


def test_a_value_out_of_bounds(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", *HASH, "--text", "title", "-o", "dim=0", cwd=shop)
    refused(finished, 2, "dim")
    assert not (shop / "features").exists()


def test_a_plugin_that_is_not_installed(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", "--plugin", "core/hsah", cwd=shop)
    refused(finished, 2, "core/hash")


def test_a_column_that_does_not_exist(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", *HASH, "--text", "tilte", cwd=shop)
    refused(finished, 2, "tilte", "title", "description")
    assert not (shop / "features").exists()


def test_no_column_is_named_like_an_input(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", *HASH, cwd=shop)
    # The columns, and a command to paste.
    refused(finished, 2, "item_id, title, description, category", "ducho extract items.tsv")
    assert not (shop / "features").exists()


def test_a_wrong_path_template(shop: Path, ducho) -> None:
    finished = ducho("extract", "items.tsv", *HASH, "--image", "pictures/{item_id}.jpg", cwd=shop)
    refused(finished, 2, "pictures/backpack-01.jpg")
    assert not list((shop / "features").rglob("data/*.parquet"))


def test_a_folder_that_holds_a_table(shop: Path, ducho) -> None:
    finished = ducho("extract", ".", *HASH, cwd=shop)
    refused(finished, 2, "items.tsv", "ducho extract")
    assert not (shop / "features").exists()


def test_a_source_that_is_not_there(shop: Path, ducho) -> None:
    finished = ducho("extract", "itmes.tsv", *HASH, "--text", "title", cwd=shop)
    assert finished.returncode in (1, 2)
    refused(finished, finished.returncode, "itmes.tsv")


def test_a_set_that_is_not_there(shop: Path, ducho) -> None:
    ducho("extract", "items.tsv", *HASH, "--text", "title", "--name", "titles", cwd=shop)
    refused(ducho("store", "show", "tilte", cwd=shop), 2, "tilte", "titles")
    refused(ducho("neighbours", "titles", "mgu-01", cwd=shop), 2, "mgu-01")


def test_a_name_that_means_other_settings(shop: Path, ducho) -> None:
    titles = ["extract", "items.tsv", *HASH, "--text", "title", "--name", "titles"]
    ducho(*titles, cwd=shop)
    refused(ducho(*titles, "-o", "dim=8", cwd=shop), 1, "titles", "dim")


def test_a_key_twice_with_different_content(shop: Path, ducho) -> None:
    with (shop / "items.tsv").open("a", encoding="utf-8") as file:
        file.write("mug-04\tSomething else\t\t\n")
    finished = ducho("extract", "items.tsv", *HASH, "--text", "title", cwd=shop)
    refused(finished, 1, "mug-04")
    assert not list((shop / "features").rglob("data/*.parquet"))


@pytest.mark.parametrize("command", ["extract", "run", "store", "plugins", "neighbours"])
def test_every_command_explains_itself(tmp_path: Path, ducho, command: str) -> None:
    finished = ducho(command, "--help", cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"Usage: ducho {command}")
