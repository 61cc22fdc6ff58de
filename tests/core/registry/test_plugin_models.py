"""``ducho plugins models``: the models that extractors know by name."""

from __future__ import annotations

import json

import pytest

MODELS = """
    def models():
        yield ducho_core.KnownModel(
            name="acme/Small-A", dim=8, megabytes=1.25, licence="MIT", remark="English",
            as_of="2026-01-31",
        )
        yield ducho_core.KnownModel(name="acme/large-b", megabytes=1250.4)
        print("this is no result")
"""


@pytest.fixture
def with_models(plugin, sound):
    """Installs a plugin whose list of models is made by some code."""
    source, parts = sound
    named = source.replace("default=True,", 'default=True, models="NAME_parts:models",')
    return lambda code: plugin("good", named, parts=f"{parts}\n    {code}\n")


@pytest.fixture
def named(with_models):
    with_models(MODELS)


def names(result):
    assert result.exit_code == 0, result.output
    return [one["name"] for one in json.loads(result.stdout)]


def test_all_models_with_what_is_known_of_them(named, ducho):
    result = ducho("plugins", "models", "good")
    assert result.exit_code == 0, result.output
    head, small, large = result.stdout.splitlines()
    assert head.split() == ["model", "dim", "MB", "licence", "as", "of", "remark"]
    assert small.split() == ["acme/Small-A", "8", "1.2", "MIT", "2026-01-31", "English"]
    assert large.split() == ["acme/large-b", "1250"]
    (first, _) = json.loads(ducho("plugins", "models", "good/words", "--json").stdout)
    assert first == {
        "extractor": "good/words",
        "name": "acme/Small-A",
        "dim": 8,
        "megabytes": 1.25,
        "licence": "MIT",
        "remark": "English",
        "as_of": "2026-01-31",
    }


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("small", ["acme/Small-A"]),
        ("acme/*", ["acme/Small-A", "acme/large-b"]),
        ("*-b", ["acme/large-b"]),
        ("large*", []),
        ("acme/large-?", ["acme/large-b"]),
    ],
)
def test_a_pattern_is_a_glob_or_a_part_of_the_name(named, ducho, pattern, kept):
    assert names(ducho("plugins", "models", "good", pattern, "--json")) == kept


def test_a_pattern_that_matches_nothing_says_so(named, ducho):
    result = ducho("plugins", "models", "good", "acme/larg-b")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "none of the 2 models of good matches 'acme/larg-b'; did you mean acme/large-b" in (
        result.stderr
    )


def test_a_plugin_without_models_says_so(plugin, ducho):
    plugin("good")
    result = ducho("plugins", "models", "good")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "good/words lists no models by name" in result.stderr
    assert json.loads(ducho("plugins", "models", "good", "--json").stdout) == []


def test_what_has_no_extractor(plugin, ducho):
    plugin("good")
    result = ducho("plugins", "models", "good/rows")
    assert result.exit_code == 2
    assert "good/rows has no extractor" in result.stderr


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("models = 3", "good_parts:models, is no function"),
        ("def models(): return ['a']", "holds 'a', which is no KnownModel"),
        ("def models(): raise ValueError('boom')", "fails: ValueError: boom"),
        ("def models(): import absent_backend", "needs the package 'absent_backend'"),
        ("", "module good_parts has no 'models'"),
    ],
)
def test_a_broken_list_is_an_error_and_the_doctor_finds_it(with_models, ducho, function, words):
    with_models(function)
    result = ducho("plugins", "models", "good")
    assert result.exit_code == 1
    assert words in result.stderr
    assert words in ducho("plugins", "doctor", "good").stdout


def test_show_says_how_to_list_them(named, ducho):
    assert "`ducho plugins models good/words` lists them" in (
        ducho("plugins", "show", "good").stdout
    )
