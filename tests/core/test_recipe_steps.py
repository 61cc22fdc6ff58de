"""Lists that distributions add to recipes, and options that are paths."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from ducho_core import ContractError, RecipeStep, StepReport, UsageError, option
from ducho_core import recipe_steps as added
from ducho_core.distributions import STEP_GROUP, Claim
from ducho_core.errors import PluginCollisionError, PluginLoadError
from ducho_core.options import place_paths, spec_options
from ducho_core.recipe import read_recipe


class Notes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of an entry."""

    text: str
    out: str


class Note(RecipeStep):
    """Writes a text."""

    fields = Notes
    paths = frozenset({"out"})

    def check(self):
        if not self.entry.text:
            raise UsageError("there is nothing to note")

    def plan(self):
        return f"note {self.entry.text}"

    def run(self):
        with open(self.entry.out, "w", encoding="utf-8") as file:
            file.write(self.entry.text)
        return StepReport(text="noted", record={"noted": self.entry.text})


class NoStep:
    pass


@pytest.fixture
def claim(monkeypatch):
    """Let distributions claim the list ``notes``."""

    def put(*attributes):
        claims = [
            Claim(STEP_GROUP, "notes", __name__, attribute, f"ducho-{at}", "1.0")
            for at, attribute in enumerate(attributes)
        ]
        monkeypatch.setattr(added, "claims", lambda group: claims if group == STEP_GROUP else [])
        monkeypatch.setattr(
            added, "import_attribute", lambda claim, *_, **__: globals()[claim.attribute]
        )

    return put


def test_entries_of_an_added_list_are_steps_in_their_order(tmp_path, claim):
    claim("Note")
    path = tmp_path / "recipe.yaml"
    path.write_text("notes: [{text: one, out: a.txt}, {text: two, out: b.txt}]\n")
    steps = read_recipe(str(path)).steps
    assert [step.entry.text for step in steps] == ["one", "two"]
    assert [step.run().record for step in steps] == [{"noted": "one"}, {"noted": "two"}]
    assert (tmp_path / "b.txt").read_text() == "two"
    with pytest.raises(UsageError, match=r"unknown key 'notes'"):
        read_recipe(str(path), no_plugins=True)


def test_an_added_list_that_is_claimed_twice_or_is_no_step_is_an_error(tmp_path, claim):
    path = tmp_path / "recipe.yaml"
    path.write_text("notes: [{text: one, out: a.txt}]\n")
    claim("Note", "Note")
    with pytest.raises(PluginCollisionError, match=r"2 distributions claim the list 'notes'"):
        read_recipe(str(path))
    claim("NoStep")
    with pytest.raises(ContractError, match=r"NoStep is no RecipeStep"):
        read_recipe(str(path))


def test_a_list_whose_module_cannot_be_imported_names_its_distribution(tmp_path, monkeypatch):
    broken = Claim(STEP_GROUP, "notes", "not_there_at_all", "Note", "ducho-notes", "1.0")
    monkeypatch.setattr(added, "claims", lambda group: [broken])
    path = tmp_path / "recipe.yaml"
    path.write_text("notes: [{text: one, out: a.txt}]\n")
    with pytest.raises(PluginLoadError, match=r"list 'notes' of recipes.*ducho-notes"):
        read_recipe(str(path))


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Options of which one is a path."""

    folder: Annotated[str | None, option(help="a folder", path=True)] = None
    word: Annotated[str, option(help="a word")] = "a/b"


def test_options_that_are_paths_are_relative_to_the_recipe_and_never_recorded_whole():
    given = Places(folder="here/split")
    assert place_paths(given, "/recipes") == Places(folder="/recipes/here/split")
    assert place_paths(given, None) is given
    assert place_paths(Places(folder="/x"), "/recipes").folder == "/x"
    assert place_paths(Places(), "/recipes") == Places()
    assert spec_options(place_paths(given, "/home/me/")) == {"folder": "split", "word": "a/b"}
    assert spec_options(Places()) == {"folder": None, "word": "a/b"}
