"""Recipes give what the command line gives."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

from ducho_core.cli import main
from ducho_core.extraction.request import ExtractionRequest
from ducho_core.registry import Registry
from ducho_core.store import Store
from tests.core.set_samples import put_set

pytestmark = pytest.mark.usefixtures("probe")

RECIPE = """
store: features
source: items.tsv
extractions:
  - plugin: core/hash
    text: "{text}!"
    options: {dim: 8}
    name: hashed
  - plugin: probe
    options: [dim=3]
    precision: exact
    name: counted
"""
BOTH = "fusions: [{sets: hashed, how: concat, name: both}]\n"


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def recipe(table, tmp_path):
    table({"a": "one", "b": "two"})
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_gives_the_sets_that_the_command_line_gives(recipe, tmp_path):
    result = run("run", str(recipe), "--json")
    assert result.exit_code == 0, result.output
    reports = {one["name"]: one for one in json.loads(result.stdout)}
    assert {name: one["stored"] for name, one in reports.items()} == {"hashed": 2, "counted": 2}
    source, store = str(tmp_path / "items.tsv"), str(tmp_path / "features")
    flags = ["--text", "{text}!", "-o", "dim=8", "--store", store, "--json"]
    again = run("extract", source, "--plugin", "core/hash", *flags)
    (report,) = json.loads(again.stdout)
    assert report["fingerprint"] == reports["hashed"]["fingerprint"]
    assert (report["pending"], report["skipped"]["stored"]) == (0, 2)


def test_a_dry_run_says_what_is_pending_and_writes_nothing(recipe, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = run("run", str(recipe), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "hashed: 2 pending" in result.stdout
    assert "counted: 2 pending" in result.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_knows_what_is_stored(recipe, table):
    assert run("run", str(recipe)).exit_code == 0
    table({"a": "one", "b": "two", "c": "three"})
    result = run("run", str(recipe), "--dry-run")
    assert "hashed: 1 pending, 2 stored before" in result.stdout


@pytest.mark.parametrize(
    ("recipe_text", "says"),
    [
        ("extractions: [{plugin: core/hash, source: a.tsv, optoins: {}}]", "did you mean options"),
        ("sotre: x\nextractions: []", "did you mean store"),
        ("zzzzz: x\nextractions: []", "unknown key 'zzzzz'. Known are"),
        ("extractions: []", "at least one entry"),
        ("extractions: [{plugin: core/hash}]", "lacks the key source"),
        ("extractions: [{plugin: core/hash, source: a, batch_size: many}]", "batch_size"),
        ("- a list", "mapping"),
        ("a: [", "no YAML"),
    ],
)
def test_a_wrong_recipe_is_explained(tmp_path, recipe_text, says):
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text)
    result = run("run", str(path))
    assert result.exit_code == 2, result.output
    assert says in result.output


def test_a_name_that_is_taken_by_other_settings_stops_the_run(recipe, tmp_path):
    assert run("run", str(recipe)).exit_code == 0
    source, store = str(tmp_path / "items.tsv"), str(tmp_path / "features")
    flags = ["--text", "text", "--store", store, "--name", "hashed"]
    result = run("extract", source, "--plugin", "core/hash", "-o", "dim=9", *flags)
    assert result.exit_code == 1, result.output
    assert "options.dim: 8 → 9" in result.output
    assert len(Store(tmp_path / "features").sets()) == 2


def test_a_command_to_paste_holds_options_that_can_be_read(tmp_path, table):
    table({"a": "one"})
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "extractions: [{source: items.tsv, plugin: probe, text: txet, options: {dim: 3}}]"
    )
    result = run("run", str(path))
    assert "-o dim=3" in result.output
    request = ExtractionRequest(
        source="s", plugin="p", options={"names": ["a", "b"], "on": True, "word": "x"}
    )
    spec = Registry.discover().extractor("core/hash").spec
    flags = shlex.split(request.binding(spec, "features").other_flags)
    assert flags[2:] == ["-o", 'names=["a", "b"]', "-o", "on=true", "-o", "word=x"]


@pytest.mark.parametrize("out", ["features", "features/arrays"])
def test_an_export_into_the_store_is_refused_before_anything_is_extracted(recipe, tmp_path, out):
    recipe.write_text(f"{RECIPE}exports: [{{sets: hashed, to: npy, out: {out}}}]\n")
    result = run("run", str(recipe))
    assert result.exit_code == 2
    assert "lies in the store features" in result.output
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(
    ("derived", "says"),
    [
        (
            "exports: [{sets: hashd, to: npy, out: x}]",
            "export 1: no set is called 'hashd'.*'hashed'",
        ),
        ("fusions: [{sets: [hashed, both], how: concat, name: both}]", "fusion 1: .*'both'"),
        (
            BOTH + "exports: [{sets: bth, to: npy, out: x}]",
            "export 1: .*'bth'.*'both'",
        ),
    ],
)
def test_sets_that_nothing_makes_are_named_before_anything_is_extracted(
    recipe, tmp_path, derived, says
):
    recipe.write_text(f"{RECIPE}{derived}\n")
    result = run("run", str(recipe))
    assert result.exit_code == 2
    assert re.search(says, " ".join(result.output.split()))
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(("flags", "code"), [((), 3), (("--allow-failures",), 0)])
def test_failures_of_a_fusion_are_allowed_as_those_of_an_extraction(tmp_path, flags, code):
    for name in ("one", "two"):
        put_set(tmp_path / "features", name, ["a", "b"], np.array([[1, 2], [3e38, 4]], "f4"))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "fusions: [{sets: [one, two], how: sum, name: both}]\n"
        "exports: [{sets: both, to: npy, out: arrays}]\n"
    )
    result = run("run", str(path), *flags)
    assert result.exit_code == code, result.output
    assert "1 non_finite" in result.stdout
    assert len(np.load(tmp_path / "arrays" / "both.npy")) == 1
