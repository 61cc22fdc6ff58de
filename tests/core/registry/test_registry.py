"""Finding plugins, naming their parts, and choosing among them."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from ducho_core.errors import (
    PluginCollisionError,
    PluginNotFoundError,
    SourceError,
    UsageError,
)
from ducho_core.registry import Registry


def states(registry):
    return {one.name: one.state for one in registry.plugins()}


def discover(**more):
    return Registry.discover(env={}, **more)


def test_listing_imports_no_plugin_and_asking_imports_only_that_one(plugin):
    plugin("good")
    plugin("other")
    registry = discover()
    assert states(registry)["good"] == "installed"
    assert "good_plugin" not in sys.modules
    found = registry.extractor("good")
    assert (found.canonical, found.distribution, found.version) == (
        "good/words",
        "ducho-good",
        "1.0",
    )
    assert states(registry)["good"] == "loaded"
    assert "other_plugin" not in sys.modules
    assert "good_parts" not in sys.modules


def test_a_record_holds_name_distribution_version_and_module(plugin):
    plugin("good")
    record = next(one for one in discover().plugins() if one.name == "good")
    assert (record.distribution, record.version, record.module, record.error) == (
        "ducho-good",
        "1.0",
        "good_plugin",
        None,
    )


def test_load_gives_the_specs_of_every_hook(plugin):
    plugin("good")
    loaded = discover().load("good")
    assert [one.name for one in loaded.loaders] == ["rows"]
    assert [one.name for one in loaded.extractors] == ["words"]
    assert [one.name for one in loaded.fusers] == ["good-only"]
    assert loaded.exporters == loaded.engines == ()


def test_a_found_spec_imports_its_classes(plugin):
    plugin("good")
    found = discover().extractor("good/words")
    assert found.import_implementation().__name__ == "Words"
    assert found.options_type()().length == 4
    assert found.run_options_type()().device == "auto"


def test_an_extractor_without_run_options_of_its_own_takes_the_base_ones():
    found = discover().extractor("core/hash")
    assert found.run_options_type().__struct_fields__ == ("device",)
    assert discover().loader("core/table").run_options_type() is None


def test_core_is_an_entry_point_of_ducho_core_and_obeys_the_same_rules():
    own = importlib.metadata.distribution("ducho-core").entry_points
    assert [one.value for one in own.select(group="ducho")] == ["ducho_core.plugin"]
    assert states(discover())["core"] == "installed"


def test_core_is_found_where_ducho_core_has_no_metadata():
    registry = Registry([])
    assert registry.loader_for("items.tsv").canonical == "core/table"
    assert [one.name for one in registry.plugins()] == ["core"]


def test_core_cannot_be_claimed_by_another_distribution(install):
    install("ducho-thief", plugins={"core": "thief"}, modules={"thief": "raise RuntimeError"})
    registry = discover()
    assert registry.extractor("core").distribution == "ducho-core"
    thief = next(one for one in registry.plugins() if one.distribution == "ducho-thief")
    assert thief.state == "collision"
    assert "ducho-thief 1.0" in str(thief.error)


def test_two_distributions_with_one_name_are_an_error_only_when_that_one_is_asked_for(install):
    install("ducho-a", "1.0", plugins={"twin": "a_mod"}, modules={"a_mod": ""})
    install("ducho-b", "2.5", plugins={"twin": "b_mod"}, modules={"b_mod": ""})
    registry = discover()
    assert [one.state for one in registry.plugins() if one.name == "twin"] == ["collision"] * 2
    assert registry.extractor("core").canonical == "core/hash"
    for ask in (registry.load, registry.extractor, registry.specs):
        with pytest.raises(PluginCollisionError, match=r"ducho-a 1\.0 and ducho-b 2\.5"):
            ask("twin")


def test_a_distribution_twice_on_the_path_is_no_collision(plugin, tmp_path, monkeypatch, site):
    plugin("good")
    again = tmp_path / "again"
    again.mkdir()
    info = again / "ducho_good-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ducho_good\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[ducho]\ngood = elsewhere\n")
    monkeypatch.syspath_prepend(str(again))
    monkeypatch.syspath_prepend(str(site))
    assert [one.version for one in discover().plugins() if one.name == "good"] == ["1.0"]


def test_unreadable_metadata_of_another_distribution_harms_nothing(plugin, site):
    plugin("good")
    info = site / "torn-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_bytes(b"[ducho]\nx = \xff\xfe\n= = =\n")
    assert discover().extractor("good").canonical == "good/words"


@pytest.mark.parametrize(
    ("env", "no_plugins", "good", "other", "core"),
    [
        ({}, False, "installed", "installed", "installed"),
        ({"DUCHO_PLUGINS": "good"}, False, "installed", "disabled", "installed"),
        ({"DUCHO_PLUGINS": "good, other"}, False, "installed", "installed", "installed"),
        ({"DUCHO_DISABLE_PLUGINS": "good"}, False, "disabled", "installed", "installed"),
        (
            {"DUCHO_PLUGINS": "good", "DUCHO_DISABLE_PLUGINS": "good"},
            False,
            "disabled",
            "disabled",
            "installed",
        ),
        ({}, True, "disabled", "disabled", "installed"),
        ({"DUCHO_PLUGINS": ""}, False, "installed", "installed", "installed"),
        ({"DUCHO_DISABLE_PLUGINS": "core"}, False, "installed", "installed", "disabled"),
    ],
)
def test_what_the_user_switches_off(plugin, env, no_plugins, good, other, core):
    plugin("good")
    plugin("other")
    found = states(Registry.discover(env=env, no_plugins=no_plugins))
    assert (found["good"], found["other"], found["core"]) == (good, other, core)


def test_a_switched_off_plugin_is_called_switched_off_and_by_what(plugin):
    plugin("good")
    registry = Registry.discover(env={"DUCHO_DISABLE_PLUGINS": "good"})
    with pytest.raises(PluginNotFoundError, match=r"switched off by DUCHO_DISABLE_PLUGINS=good"):
        registry.extractor("good")
    with pytest.raises(PluginNotFoundError, match="switched off by --no-plugins"):
        discover(no_plugins=True).extractor("good")


def test_a_mistyped_name_in_a_switch_is_said(plugin):
    plugin("good")
    said = []
    Registry.discover(env={"DUCHO_PLUGINS": "goood"}, warn=said.append)
    assert len(said) == 1
    assert "DUCHO_PLUGINS names 'goood'" in said[0]
    assert "did you mean 'good'?" in said[0]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("goood", "good"), ("good/word", "good/words"), ("words", "good/words")],
)
def test_a_mistyped_extractor_gets_a_suggestion(plugin, typed, meant):
    plugin("good")
    with pytest.raises(PluginNotFoundError, match=f"did you mean '{meant}'?") as caught:
        discover().extractor(typed)
    assert caught.value.exit_code == 2


def test_a_plugin_of_ours_that_is_not_installed_is_named_with_its_distribution():
    with pytest.raises(PluginNotFoundError, match="pip install ducho-timm"):
        Registry([]).extractor("timm/image")


def test_a_bare_plugin_name_means_its_only_or_default_extractor(plugin):
    spec = 'ExtractorSpec(name="{}", summary="s", inputs=("text",), implementation="m:C"{})'
    source = """
        from ducho_core import ExtractorSpec, hookimpl
        @hookimpl
        def ducho_extractors():
            return [{}]
    """
    one, two = spec.format("one", ""), spec.format("two", "")
    plugin("single", source.format(one))
    plugin("marked", source.format(f"{one}, {spec.format('two', ', default=True')}"))
    plugin("several", source.format(f"{one}, {two}"))
    plugin("none", source.format(""))
    registry = discover()
    assert registry.extractor("single").canonical == "single/one"
    assert registry.extractor("marked").canonical == "marked/two"
    with pytest.raises(UsageError, match="several/one, several/two"):
        registry.extractor("several")
    with pytest.raises(PluginNotFoundError, match="has no extractor"):
        registry.extractor("none")


def test_a_bare_name_resolves_where_exactly_one_plugin_has_it(plugin):
    plugin("good")
    registry = discover()
    assert registry.loader("rows").canonical == "good/rows"
    assert registry.loader("table").canonical == "core/table"
    assert registry.engine("local").canonical == "core/local"
    assert registry.fuser("good-only").canonical == "good/good-only"
    with pytest.raises(PluginNotFoundError, match="did you mean 'good/good-only'"):
        registry.fuser("godo-only")
    with pytest.raises(PluginNotFoundError, match="there are: core/local"):
        registry.engine("nothing")
    with pytest.raises(PluginNotFoundError, match="exporter 'abacus'"):
        registry.exporter("abacus")


def test_a_bare_name_that_two_plugins_have_is_refused_with_both_full_names(plugin):
    plugin("good")
    plugin("other")
    registry = discover()
    with pytest.raises(UsageError, match="good/rows, other/rows"):
        registry.loader("rows")
    assert registry.loader("other/rows").distribution == "ducho-other"


@pytest.mark.parametrize(
    ("source", "loader"),
    [
        ("items.tsv", "core/table"),
        ("ITEMS.TSV", "core/table"),
        ("a/b.c/items.parquet", "core/table"),
        ("set:mine:text", "core/set"),
        ("data.good", "good/rows"),
    ],
)
def test_a_source_finds_its_loader(plugin, source, loader):
    plugin("good")
    assert discover().loader_for(source).canonical == loader


def test_a_folder_finds_its_loader_whatever_it_is_called(tmp_path):
    folder = tmp_path / "items.tsv"
    folder.mkdir()
    assert discover().loader_for(str(folder)).canonical == "core/folder"


def test_a_built_in_loader_needs_no_other_plugin(plugin):
    plugin("good")
    discover().loader_for("items.tsv")
    assert "good_plugin" not in sys.modules


def test_a_source_that_two_plugins_read_asks_for_one(plugin):
    plugin("good")
    plugin("other", parts="", source=GOOD_ROWS)
    with pytest.raises(UsageError, match="--loader good/rows or --loader other/rows"):
        discover().loader_for("data.good")


GOOD_ROWS = """
    from ducho_core import LoaderSpec, hookimpl

    @hookimpl
    def ducho_loaders():
        return [
            LoaderSpec(name="rows", summary="s", implementation="m:C", suffixes=(".good",))
        ]
"""


def test_a_source_that_nothing_reads_says_what_would_be(tmp_path):
    path = tmp_path / "items.xlsx"
    path.touch()
    with pytest.raises(UsageError, match=r"\.csv, \.jsonl.*\.tsv"):
        discover().loader_for(str(path))
    with pytest.raises(SourceError, match="there is no file or folder"):
        discover().loader_for(str(tmp_path / "no.xlsx"))
