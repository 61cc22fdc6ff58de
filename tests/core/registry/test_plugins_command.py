"""``ducho plugins`` and the commands that distributions add."""

from __future__ import annotations

import json

import pytest

COMMAND = """
    import click
    @click.command()
    @click.option("--loud", is_flag=True)
    def hello(loud):
        "Greets."
        click.echo("HELLO" if loud else "hello")
"""


def row(text, name):
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [name])


def test_list_shows_name_distribution_version_and_state(plugin, ducho):
    plugin("good")
    result = ducho("plugins", "list")
    assert result.exit_code == 0
    assert row(result.stdout, "good") == ["good", "ducho-good", "1.0", "installed"]
    assert row(result.stdout, "core")[1] == "ducho-core"


def test_list_as_json(plugin, ducho):
    plugin("good")
    found = {one["name"]: one for one in json.loads(ducho("plugins", "list", "--json").stdout)}
    assert found["good"] == {
        "name": "good",
        "distribution": "ducho-good",
        "version": "1.0",
        "state": "installed",
        "error": None,
    }


def test_list_names_both_distributions_of_a_collision(install, ducho):
    install("ducho-a", plugins={"twin": "a_mod"})
    install("ducho-b", plugins={"twin": "b_mod"})
    result = ducho("plugins", "list")
    assert result.exit_code == 0
    assert [line.split()[-1] for line in result.stdout.splitlines() if "twin" in line] == [
        "collision",
        "collision",
    ]
    assert result.stderr.count("ducho-a 1.0 and ducho-b 1.0") == 1


def test_list_shows_what_is_switched_off(plugin, ducho, monkeypatch):
    plugin("good")
    assert row(ducho("--no-plugins", "plugins", "list").stdout, "good")[-1] == "disabled"
    monkeypatch.setenv("DUCHO_DISABLE_PLUGINS", "good")
    assert row(ducho("plugins", "list").stdout, "good")[-1] == "disabled"


def test_show_explains_a_plugin_with_all_its_options(plugin, ducho):
    plugin("good")
    result = ducho("plugins", "show", "good")
    assert result.exit_code == 0, result.output
    for words in (
        "good/words  extractor, ducho-good 1.0",
        "counts words",
        "takes       text",
        "precision   exact",
        "up to 32 items; chunks of 2048 rows",
        "longest word",
        "int; >= 1, <= 9; default 4; since 1.1",
        "sum or mean; default sum",
        "threads",
        "where the model runs",
        "good/rows  loader",
        "reads       .good",
    ):
        assert words in result.stdout


def test_show_of_one_part_as_json(plugin, ducho):
    plugin("good")
    (view,) = json.loads(ducho("plugins", "show", "good/words", "--json").stdout)
    assert view["name"] == "good/words"
    assert view["inputs"] == ["text"]
    assert view["default_precision"] == "exact"
    assert view["batch_size"] == 32
    length = view["options"][0]
    assert (length["name"], length["type"], length["default"]) == ("length", "int", 4)
    assert (length["bounds"], length["since"]) == (">= 1, <= 9", "1.1")
    assert (length["help"], length["in_spec"]) == ("longest word", True)
    assert view["options"][1]["choices"] == ["sum", "mean"]
    assert {one["name"]: one["in_spec"] for one in view["run_options"]} == {
        "device": False,
        "threads": False,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("godo", "did you mean 'good'?"),
        ("words", "did you mean 'good/words'?"),
        ("good/wrods", "did you mean 'good/words'?"),
    ],
)
def test_show_of_a_mistyped_name_suggests(plugin, ducho, name, words):
    plugin("good")
    result = ducho("plugins", "show", name)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_show_of_options_that_cannot_be_imported(plugin, ducho):
    plugin("good", parts="import absent_backend")
    whole = ducho("plugins", "show", "good")
    assert whole.exit_code == 0
    assert "needs the package 'absent_backend'" in whole.stdout
    assert "good/rows" in whole.stdout
    part = ducho("plugins", "show", "good/words")
    assert part.exit_code == 1
    assert part.stderr.startswith("Error: good/words (ducho-good 1.0) needs the package")


def test_doctor_of_a_sound_plugin(plugin, ducho):
    plugin("good")
    result = ducho("plugins", "doctor", "good")
    assert result.exit_code == 0, result.output
    assert "good (ducho-good 1.0): ok" in result.stdout
    assert "good/rows, good/words, good/good-only" in result.stdout


def test_doctor_shows_traceback_and_remedy_and_fails(plugin, ducho):
    plugin("good")
    plugin("bad", "\ndef inner():\n    raise RuntimeError('boom')\ninner()\n")
    plugin("poor", parts="import absent_backend", requires=["absent-backend>=2"])
    result = ducho("plugins", "doctor")
    assert result.exit_code == 1
    assert "good (ducho-good 1.0): ok" in result.stdout
    assert "bad (ducho-bad 1.0): broken" in result.stdout
    assert "raise RuntimeError('boom')" in result.stdout
    assert "poor (ducho-poor 1.0): broken" in result.stdout
    assert "pip install 'absent-backend>=2'" in result.stdout
    assert "import_module" not in result.stdout


def test_doctor_as_json(plugin, ducho):
    plugin("poor", parts="import absent_backend", requires=["absent-backend>=2"])
    result = ducho("plugins", "doctor", "poor", "--json")
    assert result.exit_code == 1
    (report,) = json.loads(result.stdout)
    assert report["state"] == "broken"
    assert {one["remedy"] for one in report["faults"]} == {"pip install 'absent-backend>=2'"}
    assert all("ModuleNotFoundError" in one["traceback"] for one in report["faults"])


def test_doctor_finds_defaults_that_are_not_allowed(plugin, ducho):
    plugin(
        "good",
        parts="""
    from typing import Annotated
    import msgspec, ducho_core
    from ducho_core import option
    class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        length: Annotated[int, option(help="l")] = "four"
""",
    )
    result = ducho("plugins", "doctor", "good")
    assert result.exit_code == 1
    assert "good/words" in result.stdout


def test_doctor_names_both_distributions_of_a_collision(install, ducho):
    install("ducho-a", plugins={"twin": "a_mod"})
    install("ducho-b", plugins={"twin": "b_mod"})
    result = ducho("plugins", "doctor", "twin")
    assert result.exit_code == 1
    assert result.stdout.count("twin (ducho-") == 2
    assert "ducho-a 1.0 and ducho-b 1.0" in result.stdout


def test_doctor_leaves_out_what_is_switched_off(plugin, ducho, monkeypatch):
    plugin("bad", "raise RuntimeError('boom')")
    monkeypatch.setenv("DUCHO_DISABLE_PLUGINS", "bad")
    result = ducho("plugins", "doctor", "bad")
    assert result.exit_code == 0
    assert "switched off by DUCHO_DISABLE_PLUGINS=bad" in result.stdout


def test_doctor_of_an_unknown_plugin(ducho):
    result = ducho("plugins", "doctor", "cor")
    assert result.exit_code == 2
    assert "did you mean 'core'?" in result.stderr


def test_an_added_command_is_listed_from_metadata_and_imported_when_run(install, ducho):
    install("ducho-hi", commands={"hello": "hi_cli:hello"}, modules={"hi_cli": COMMAND})
    help_text = ducho("--help").stdout
    assert row(help_text, "hello") == ["hello", "from", "ducho-hi"]
    assert ducho("hello", "--loud").stdout == "HELLO\n"
    assert "Greets." in ducho("hello", "--help").stdout


def test_an_added_command_that_cannot_be_imported_is_one_line(install, ducho):
    install(
        "ducho-hi",
        commands={"hello": "hi_cli:hello"},
        modules={"hi_cli": "import absent_backend"},
        requires=["absent-backend>=2"],
    )
    assert "hello" in ducho("--help").stdout
    result = ducho("hello")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: command 'hello' (ducho-hi 1.0) needs the package 'absent_backend', which is not"
        " installed: pip install 'absent-backend>=2'\n"
    )
    assert "ModuleNotFoundError" in ducho("--debug", "hello").stderr
    doctor = ducho("plugins", "doctor")
    assert doctor.exit_code == 1
    assert "command hello (ducho-hi 1.0): broken" in doctor.stdout


def test_an_added_command_that_is_no_command(install, ducho):
    install("ducho-hi", commands={"hello": "hi_cli:x"}, modules={"hi_cli": "x = 1"})
    result = ducho("hello")
    assert result.exit_code == 1
    assert "hi_cli:x is no click command" in result.stderr


def test_a_command_that_two_distributions_add_names_both(install, ducho):
    install("ducho-a", commands={"hello": "a_cli:hello"}, modules={"a_cli": COMMAND})
    install("ducho-b", commands={"hello": "b_cli:hello"}, modules={"b_cli": COMMAND})
    assert "claimed by ducho-a and ducho-b" in ducho("--help").stdout
    result = ducho("hello")
    assert result.exit_code == 1
    assert "ducho-a 1.0 and ducho-b 1.0" in result.stderr


def test_a_built_in_command_cannot_be_replaced(install, ducho):
    install("ducho-a", commands={"plugins": "a_cli:hello"}, modules={"a_cli": COMMAND})
    assert "core" in ducho("plugins", "list").stdout
    assert "ducho-a" not in ducho("--help").stdout


def test_added_commands_go_with_the_plugins_of_their_distribution(install, ducho, monkeypatch):
    install(
        "ducho-hi",
        plugins={"hi": "hi_plugin"},
        commands={"hello": "hi_cli:hello"},
        modules={"hi_cli": COMMAND, "hi_plugin": ""},
    )
    assert ducho("--no-plugins", "hello").exit_code == 2
    assert "hello" not in ducho("--no-plugins", "--help").stdout
    monkeypatch.setenv("DUCHO_DISABLE_PLUGINS", "hi")
    assert ducho("hello").exit_code == 2
    monkeypatch.setenv("DUCHO_DISABLE_PLUGINS", "another")
    assert ducho("hello").exit_code == 0


def test_a_mistyped_command_suggests(ducho):
    result = ducho("plugin")
    assert result.exit_code == 2
    assert "did you mean 'plugins'?" in result.stderr


def test_completion_of_a_command_imports_none(install, ducho, python):
    install("ducho-hi", commands={"hello": "hi_cli:hello"}, modules={"hi_cli": "raise ValueError"})
    result = python(
        "from ducho_core.cli import main; main(prog_name='ducho')",
        _DUCHO_COMPLETE="bash_complete",
        COMP_WORDS="ducho h",
        COMP_CWORD="1",
    )
    assert result.stdout.strip() == "plain,hello"
    assert result.stderr == ""
