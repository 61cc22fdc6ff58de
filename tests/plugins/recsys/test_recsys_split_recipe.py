"""``splits`` in recipes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from ducho_recsys import read_split

from ducho_core import Store
from ducho_core.cli import main
from tests.plugins.recsys.split_kit import rows, write

LISTED = rows(300, 20, 20)
RECIPE = """\
store: features
splits:
  - source: ratings.tsv
    k_core: 3
    out: split
extractions:
  - source: reviews.tsv
    plugin: core/hash
    key: [user_id, item_id]
    text: text
    name: reviews
fusions:
  - sets: reviews
    how: recsys/reviews
    options: {split: split, into: users}
    name: by-user
"""


def run(*arguments):
    return CliRunner().invoke(main, ["run", *arguments], catch_exceptions=False)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """In a folder that is not the working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    write(folder / "ratings.tsv", LISTED)
    lines = ["user_id\titem_id\ttext", *(f"{u}\t{i}\t{u} on {i}" for u, i, _, _ in LISTED)]
    (folder / "reviews.tsv").write_text("\n".join(lines), encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return path


def test_a_split_is_made_first_and_what_follows_takes_it(recipe):
    result = run(str(recipe))
    assert result.exit_code == 0, result.output
    assert result.stdout.index("3-core") < result.stdout.index("reviews: ")
    split = read_split(recipe.parent / "split")
    features = Store(recipe.parent / "features").open("by-user")
    assert len(features) == len(set(split.train["user_id"].to_pylist()))
    assert features.spec["options"]["split"] == split.train_digest
    again = run(str(recipe), "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)[0]["digest"] == split.digest
    assert "nothing to do, split before" in run(str(recipe)).stdout


def test_a_dry_run_splits_nothing(recipe):
    result = run(str(recipe), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "split by random" in result.stdout
    assert not (recipe.parent / "split").exists()


def test_another_split_in_its_place_is_refused(recipe):
    assert run(str(recipe)).exit_code == 0
    recipe.write_text(RECIPE.replace("k_core: 3", "k_core: 4"))
    result = run(str(recipe))
    assert result.exit_code == 2
    assert "holds a split that was made with other settings" in result.output
    recipe.write_text(RECIPE)
    write(recipe.parent / "ratings.tsv", LISTED[1:])
    assert "holds a split that was made from other files" in run(str(recipe)).output


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("k_core: 3", "k_kore: 3", "split 1: unknown key 'k_kore'; did you mean k_core?"),
        ("k_core: 3", "k_core: much", "split 1: Expected `int | null`, got `str`"),
        ("    out: split\n", "", "split 1 lacks the key out"),
        ("k_core: 3", "pick: last", "--pick has no meaning with --how random"),
        ("ratings.tsv", "rating.tsv", "there is no file"),
        ("splits:", "split:", "unknown key 'split'; did you mean splits?"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_before_anything_is_done(recipe, old, new, words):
    recipe.write_text(RECIPE.replace(old, new))
    result = run(str(recipe))
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (recipe.parent / "features").exists()
    assert not (recipe.parent / "split").exists()


def test_without_the_plugin_the_list_is_unknown(recipe, monkeypatch):
    monkeypatch.setenv("DUCHO_PLUGINS", "core")
    result = run(str(recipe))
    assert result.exit_code == 2
    assert "the list splits comes with ducho-recsys" in result.output
