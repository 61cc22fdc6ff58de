"""``ducho plugins index``: a plugin index beside what is installed."""

from __future__ import annotations

import json

import pytest

from ducho_core.plugin_index import published, read_index, shipped_index

ENTRY = """
[[plugin]]
name = "{name}"
distribution = "{distribution}"
summary = "for tests"
"""


@pytest.fixture
def index(tmp_path):
    """Writes an index and gives its path."""

    def write(text: str, head: str = "format = 1\n") -> str:
        path = tmp_path / "index.toml"
        path.write_text(head + text, "utf-8")
        return str(path)

    return write


def entry(name: str, distribution: str = "", **more: str) -> str:
    lines = ENTRY.format(name=name, distribution=distribution or f"ducho-{name}")
    return lines + "".join(f"{key} = {value}\n" for key, value in more.items())


def shown(ducho, *arguments):
    result = ducho("plugins", "index", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return {one["name"]: one for one in json.loads(result.stdout)}


def test_the_index_that_comes_along_names_the_official_plugins():
    official = {"audio", "clip", "custom", "hf", "keras", "starter", "timm", "torchvision"}
    assert official <= set(published())
    for one in read_index(shipped_index()):
        assert one.distribution == f"ducho-{one.name}"
        assert one.offers
        assert one.licence


def test_installed_and_not_installed(plugin, ducho, index):
    plugin("good")
    path = index(entry("good") + entry("far", requirement='"ducho-far[gpu]>=2"'))
    found = shown(ducho, "--index", path)
    assert (found["good"]["state"], found["good"]["version"]) == ("installed", "1.0")
    assert found["good"]["install"] is None
    assert (found["far"]["state"], found["far"]["version"]) == ("not installed", None)
    assert found["far"]["install"] == "pip install 'ducho-far[gpu]>=2'"
    text = ducho("plugins", "index", "--index", path).stdout
    assert "  pip install 'ducho-far[gpu]>=2'" in text.splitlines()
    assert "pip install ducho-good" not in text


def test_a_distribution_is_known_under_any_spelling_of_its_name(plugin, ducho, index):
    plugin("good")
    assert shown(ducho, "--index", index(entry("good", "Ducho_Good")))["good"]["version"] == "1.0"


def test_what_the_index_lacks_is_shown_too(plugin, ducho, index):
    plugin("good")
    found = shown(ducho, "--index", index(""))
    assert (found["good"]["listed"], found["good"]["state"]) == (False, "installed")


def test_a_name_that_another_distribution_holds(plugin, ducho, index):
    plugin("good")
    path = index(entry("good", "another-good"))
    found = json.loads(ducho("plugins", "index", "--index", path, "--json").stdout)
    listed, unlisted = (one for one in found if one["name"] == "good")
    assert (listed["distribution"], listed["state"]) == ("another-good", "name taken")
    assert listed["install"] is None
    assert (unlisted["distribution"], unlisted["listed"]) == ("ducho-good", False)


def test_what_the_user_switched_off(plugin, ducho, index, monkeypatch):
    plugin("good")
    monkeypatch.setenv("DUCHO_DISABLE_PLUGINS", "good")
    assert shown(ducho, "--index", index(entry("good")))["good"]["state"] == "disabled"


def test_no_plugin_is_imported(plugin, ducho, index):
    plugin("bad", "raise RuntimeError('boom')")
    assert shown(ducho, "--index", index(entry("bad")))["bad"]["state"] == "installed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[plugin", "is no TOML"),
        ('plugin = "timm"', "a plugin is written [[plugin]]"),
        ("plugins = []", "unknown key 'plugins'"),
        ('[[plugin]]\nname = "a"\nsummary = "s"', "plugin 1 ('a'): the key 'distribution' is"),
        (entry("a") + entry("a"), "lists 'a' twice"),
        (entry("a", colour='"red"'), "plugin 1 ('a'): unknown key 'colour'"),
        (entry("a", licence="3"), "licence must be one line of text, not 3"),
        (entry("a", offers='"a/x"'), "offers must be a list"),
        (entry("a", offers='["b/x"]'), "it offers 'b/x', which is not called a/NAME"),
        (entry("A"), "a name is lower-case"),
        (entry("a", "--index-url=x"), "'--index-url=x' is no name of a distribution"),
        (entry("a", requirement='"other>=1"'), "does not begin with ducho-a"),
        (entry("a", homepage='"javascript:x"'), "does not begin with https://"),
    ],
)
def test_what_is_wrong_is_named(ducho, index, text, words):
    result = ducho("plugins", "index", "--index", index(text))
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_files_that_are_no_index(ducho, index, tmp_path):
    nowhere = ducho("plugins", "index", "--index", str(tmp_path / "none.toml"))
    assert (nowhere.exit_code, "there is no plugin index" in nowhere.stderr) == (2, True)
    folder = ducho("plugins", "index", "--index", str(tmp_path))
    assert (folder.exit_code, "cannot be read" in folder.stderr) == (2, True)
    newer = ducho("plugins", "index", "--index", index("", head="format = 2\n"))
    assert (newer.exit_code, "this version reads format = 1" in newer.stderr) == (2, True)
    (tmp_path / "index.toml").write_bytes(b"\xff\xfe")
    binary = ducho("plugins", "index", "--index", str(tmp_path / "index.toml"))
    assert (binary.exit_code, "no UTF-8" in binary.stderr) == (2, True)


def test_an_unknown_plugin_of_the_index_comes_with_its_command(ducho, monkeypatch):
    monkeypatch.setenv("DUCHO_PLUGINS", "core")
    result = ducho("plugins", "show", "tim")
    assert "did you mean 'timm'?" in result.stderr
