"""Values in one spelling."""

from __future__ import annotations

import pytest
import simplemma
from ducho_lvlm.slots.words import Speller

from ducho_core import OptionError

ENGLISH = {
    "Toys": "toy",
    "wooden toys.": "wooden toy",
    "  Men's   Shoes ": "man shoe",
    "men\u2019s shoes": "man shoe",
    "Dogs' bowls": "dog bowl",
    "T-Shirts": "t-shirt",
    "0-6 months": "0-6 month",
    "plastic/rubber": "plastic/rubber",
    "Cotton (organic)": "cotton organic",
    '"Red"': "red",
    "\u201cred\u201d\u2026": "red",
    "*red*": "red",
    "CAFÉ": "café",
    "cafe\u0301": "café",
    "\uff52\uff45\uff44": "red",
    "women, children": "woman, child",
    "Feeding & Bathing": "feeding & bath",
    "日本": "日本",
    "100% cotton": "100% cotton",
}


@pytest.mark.parametrize("text", ENGLISH)
def test_english(text):
    assert Speller("en")(text) == ENGLISH[text]


@pytest.mark.parametrize("text", ENGLISH)
def test_a_spelling_is_its_own_spelling(text):
    assert Speller("en")(ENGLISH[text]) == ENGLISH[text]


@pytest.mark.parametrize("text", [None, "", " ", ".", "-", "…", "()", "{}", "'", "\u200b"])
def test_a_text_that_says_nothing_is_no_value(text):
    assert Speller("en")(text) is None
    assert Speller(None)(text) is None


@pytest.mark.parametrize("word", ["babies", "glasses", "pants", "indoors", "women", "mice"])
def test_lemmas_are_simplemmas(word):
    assert Speller("en")(word.upper()) == simplemma.lemmatize(word, lang="en").lower()


def test_other_languages_and_none():
    assert Speller("fr")("Chaussures noires") == "chaussure noir"
    assert Speller(None)("Wooden Toys'.") == "wooden toys"
    with pytest.raises(OptionError, match="language='xx': simplemma has no lemmas"):
        Speller("xx")


def test_what_spells_is_told():
    from importlib.metadata import version

    assert Speller("en").identity == {
        "language": "en",
        "lemmas": f"simplemma {version('simplemma')}",
    }
    assert Speller(None).identity == {"language": None}


def test_a_word_of_100000_letters_takes_no_time():
    import time

    begun = time.perf_counter()
    assert Speller("en")("X" * 100_000 + " toys") == "x" * 100_000 + " toy"
    assert Speller("en")("(" * 100_000) is None
    assert time.perf_counter() - begun < 5
