"""The recipes in docs/papers are read, name what exists, and are listed on their page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ducho_core.cli.steps import Export, Fusion, _check_sets
from ducho_core.extraction.session import Session
from ducho_core.recipe import read_recipe
from ducho_core.registry import Registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
RECIPES = sorted((DOCS / "papers").glob("*.yaml"))
PLUGINS = ("torchvision", "hf", "clip", "custom", "lvlm", "recsys")


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry.discover()
    installed = {one.name for one in found.plugins()}
    lacking = [name for name in PLUGINS if name not in installed]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    return found


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The data that the recipes ask for."""
    (tmp_path / "items.tsv").write_text("item_id\tdescription\n1\ta pram\n2\ta cot\n")
    (tmp_path / "ratings.tsv").write_text("ann\t1\t5\t1\nann\t2\t4\t2\n")
    return tmp_path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_what_exists(path: Path, beside: Path, registry: Registry) -> None:
    copy = beside / path.name
    copy.write_text(path.read_text("utf-8"), "utf-8")
    recipe = read_recipe(str(copy))
    assert recipe.extractions
    assert recipe.exports
    made: set[str] = set()
    for extraction in recipe.extractions:
        session = Session(extraction, registry, recipe.store)  # checks options and source
        inputs = {one.name for one in session._loader.inputs}
        assert extraction.name
        made |= {extraction.name, *(f"{extraction.name}-{one}" for one in inputs)}
    for step in recipe.steps:
        step.check()
    _check_sets(recipe, registry, recipe.store)
    for fusion in recipe.fusions:
        Fusion(fusion, registry, recipe.store, folder=recipe.folder)
        assert {one.partition(":")[0] for one in fusion.sets} <= made
        made.add(str(fusion.name))
    for export in recipe.exports:
        Export(export, registry, recipe.store, folder=recipe.folder)
        assert set(export.sets) <= made


def test_the_page_lists_every_recipe_and_no_other() -> None:
    page = (DOCS / "papers.md").read_text("utf-8")
    listed = re.findall(r"\(papers/([\w-]+\.yaml)\)", page)
    assert sorted(listed) == [path.name for path in RECIPES]
