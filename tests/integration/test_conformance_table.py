"""The table of checks and plugins is what the tests are, and no official plugin is left out."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from ducho_core.registry import Registry

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "docs" / "generate_conformance.py"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_conformance", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_current(generator):
    current = (REPOSITORY / "docs/plugins/conformance.md").read_text("utf-8")
    silent = generator.silent_cells(current)
    assert generator.page(silent) == current, "run: python docs/generate_conformance.py"


def test_every_part_of_every_official_plugin_is_tested(generator):
    tested = generator.tested()
    ours = {"ducho-core", *(path.name for path in REPOSITORY.glob("plugins/*"))}
    registry = Registry.discover()
    missing = [
        f"{kind} {plugin.name}/{spec.name}"
        for plugin in registry.plugins()
        if plugin.distribution in ours
        for kind in tested
        for spec in registry.load(plugin.name).specs(kind)
        if f"{plugin.name}/{spec.name}" not in tested[kind]
    ]
    assert not missing, f"without a conformance test: {', '.join(missing)}"


def test_classes_are_found_by_what_they_inherit(generator):
    source = """
class Base(ExtractorConformance):
    plugin = "a/b"

class TestOne(Base):
    expected_failures = {"deterministic": "it draws lots"}

class TestTwo(LoaderConformance):
    plugin = "a/c"

class TestOther:
    plugin = "a/d"
"""
    one, two = generator._classes(ast.parse(source), Path("test_a.py"))
    assert (one.kind, one.plugin) == ("extractor", "a/b")
    assert one.expected == {"deterministic": "it draws lots"}
    assert (two.kind, two.plugin) == ("loader", "a/c")


def test_an_expected_failure_is_a_number_with_its_reason(generator):
    part = generator.Tested("extractor", "a/b", {"deterministic": "it draws lots"})
    silent = {("extractor", "a/b", "known-models")}
    section = generator._section("extractor", {"a/b": part}, silent)
    assert "| `deterministic` | 1 |" in section
    assert "1. a/b, `deterministic`: it draws lots" in section
    assert "| `close-frees` | ✓ |" in section
    assert "| `known-models` | - |" in section
    assert generator.silent_cells(f"## Extractors\n{section}") == silent


def test_names_that_only_run_as_code_are_refused(generator):
    source = "class TestOne(ExtractorConformance):\n    plugin = NAME\n"
    with pytest.raises(ValueError, match="as literals"):
        list(generator._classes(ast.parse(source), Path("test_a.py")))
