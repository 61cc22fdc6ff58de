"""From files to features by the command line: what a run leaves, and what the next one does."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ducho_core import Store

TITLES = ["items.tsv", "--plugin", "core/hash", "--text", "title", "--name", "titles"]
PICTURES = [
    *("items.tsv", "--plugin", "starter/image"),
    *("--image", "images/{item_id}/*", "--name", "pictures"),
]
needs_starter = pytest.mark.skipif(
    importlib.util.find_spec("ducho_starter") is None, reason="ducho-starter is not installed"
)


def only(finished) -> dict:
    """The one report of `ducho extract --json`."""
    (report,) = json.loads(finished.stdout)
    return report


def test_titles_are_stored_under_their_keys(shop: Path, ducho) -> None:
    finished = ducho("extract", *TITLES, "--json", cwd=shop)
    assert finished.returncode == 0, finished.stderr
    report = only(finished)
    # One of the 65 items has no title: that is no failure.
    assert (report["stored"], report["absent"], report["failed"]) == (64, 1, {})
    titles = Store(shop / "features").open("titles")
    keys, vectors = titles.to_numpy()
    ids = keys["item_id"].to_pylist()
    assert len(set(ids)) == 64
    assert "bottle-11" not in ids
    assert vectors.shape == (64, 64)
    assert np.isfinite(vectors).all()


def test_a_second_run_does_nothing_and_loads_no_model(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    before = sorted((shop / "features").rglob("*.parquet"))
    again = ducho("extract", *TITLES, "--json", cwd=shop)
    assert again.returncode == 0, again.stderr
    report = only(again)
    assert (report["pending"], report["stored"], report["model_loaded"]) == (0, 0, False)
    assert sorted((shop / "features").rglob("*.parquet")) == before
    words = ducho("extract", *TITLES, cwd=shop)
    assert "nothing to do, no model was loaded" in words.stdout


def test_new_and_completed_items_are_added(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    table = shop / "items.tsv"
    text = table.read_text(encoding="utf-8")
    untitled = next(line for line in text.splitlines() if line.startswith("bottle-11"))
    titled = untitled.replace("bottle-11\t", "bottle-11\tFound its title", 1)
    table.write_text(text.replace(untitled, titled) + "new-01\tA new thing\t\t\n", "utf-8")
    report = only(ducho("extract", *TITLES, "--json", cwd=shop))
    assert (report["stored"], report["skipped"]["stored"]) == (2, 64)
    ids = Store(shop / "features").open("titles").to_numpy()[0]["item_id"].to_pylist()
    assert {"bottle-11", "new-01"} <= set(ids)
    assert len(ids) == len(set(ids)) == 66


def test_changed_content_under_a_stored_key_stops_the_run(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    table = shop / "items.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    mug = next(line for line in lines if line.startswith("mug-04"))
    changed = mug.replace(mug.split("\t")[1], "Another title")
    table.write_text(table.read_text(encoding="utf-8").replace(mug, changed), encoding="utf-8")
    again = ducho("extract", *TITLES, cwd=shop)
    assert again.returncode == 1
    assert "mug-04" in again.stderr


def test_a_recipe_makes_the_same_set_as_the_command_line(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    recipe = "source: items.tsv\nextractions:\n  - {plugin: core/hash, text: title}\n"
    (shop / "recipe.yaml").write_text(recipe, encoding="utf-8")
    finished = ducho("run", "recipe.yaml", "--json", cwd=shop)
    report = only(finished)
    assert report["fingerprint"] == Store(shop / "features").open("titles").fingerprint
    assert report["pending"] == 0


def test_parquet_readers_see_the_same_vectors(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    pattern = ducho("store", "path", "titles", cwd=shop).stdout.strip()
    table = pq.read_table([*shop.glob(pattern)])
    titles = Store(shop / "features").open("titles")
    rows = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    assert np.array_equal(rows, titles.select(table["item_id"].to_pylist()))


def test_nothing_that_is_written_tells_where_it_was_made(shop: Path, ducho) -> None:
    ducho("extract", *TITLES, cwd=shop)
    secrets = [str(shop).encode(), str(Path.home()).encode(), os.uname().nodename.encode()]
    for path in (shop / "features").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


@needs_starter
def test_broken_pictures_are_named_and_the_others_stored(shop: Path, ducho) -> None:
    first = ducho("extract", *PICTURES, "--json", cwd=shop)
    assert first.returncode == 3, first.stderr
    report = only(first)
    assert report["stored"] == 97
    assert report["failed"] == {"decode_error": 2, "format_not_allowed": 1}
    assert report["absent"] == 1
    pictures = Store(shop / "features").open("pictures")
    failures = pictures.failures().to_pylist()
    assert {(row["item_id"], row["status"]) for row in failures} == {
        ("mug-11", "failed"),
        ("lamp-11", "failed"),
        ("shoe-11", "failed"),
        ("chair-11", "absent"),
    }
    listed = ducho("store", "failures", "pictures", cwd=shop)
    assert all(name in listed.stdout for name in ("mug-11", "lamp-11", "shoe-11", "chair-11"))
    # Known failures are not new ones.
    again = ducho("extract", *PICTURES, "--json", cwd=shop)
    assert (again.returncode, only(again)["model_loaded"]) == (0, False)


@needs_starter
def test_a_repaired_picture_is_extracted_by_the_next_run(shop: Path, ducho) -> None:
    items = shop / "items.tsv"
    lines = items.read_text(encoding="utf-8").splitlines(keepends=True)
    few = [line for line in lines[1:] if line.startswith("mug")]
    items.write_text("".join([lines[0], *few]), encoding="utf-8")
    allowed = ducho("extract", *PICTURES, "--allow-failures", "--json", cwd=shop)
    assert (allowed.returncode, only(allowed)["failed"]) == (0, {"decode_error": 1})
    sound = (shop / "images/mug-01/1.jpg").read_bytes()
    (shop / "images/mug-11/1.jpg").write_bytes(sound)
    repaired = ducho("extract", *PICTURES, "--json", cwd=shop)
    assert (repaired.returncode, only(repaired)["stored"]) == (0, 1)
    pictures = Store(shop / "features").open("pictures")
    mended, model = pictures.select([("mug-11", "1"), ("mug-01", "1")])
    assert np.allclose(mended, model, rtol=1e-4, atol=1e-5)
