"""Values in one spelling: lower case, without ornament, each word as its lemma."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING

import simplemma

from ducho_core import OptionError

if TYPE_CHECKING:
    from ducho_core.extractor import JSON

_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb`'
_APOSTROPHES = "\u2018\u2019"
_ORNAMENT = str.maketrans(
    dict.fromkeys(f"{_QUOTES}()[]{{}}<>*_", " ") | dict.fromkeys(_APOSTROPHES, "'")
)
_ENDS = " .,;:!?'-\u2013\u2014\u2026/\\|"
_LONGEST = 64
_POSSESSIVE = re.compile(r"'s(?!\w)|(?<=s)'(?!\w)")


class Speller:
    """Brings values into one spelling.

    Args:
        language: of the lemmas, a code that simplemma knows; None leaves words as they are.

    Attributes:
        identity: what spells, for the SPEC.

    Raises:
        OptionError: there are no lemmas in this language.
    """

    def __init__(self, language: str | None) -> None:
        self._language = language
        self.identity: dict[str, JSON] = {"language": language}
        if language is None:
            return
        self.identity["lemmas"] = f"simplemma {version('simplemma')}"
        try:
            simplemma.lemmatize("a", lang=language)
        except ValueError as error:
            raise OptionError(
                f"language={language!r}: simplemma has no lemmas in it; give a code such as en,"
                " de or fr, or none for no lemmas"
            ) from error

    def __call__(self, text: str | None) -> str | None:
        """The value in its one spelling; None where nothing is said.

        ``"Wooden Toys."`` becomes ``"wooden toy"``. A text without a letter or digit says
        nothing.
        """
        if text is None:
            return None
        plain = unicodedata.normalize("NFKC", text).translate(_ORNAMENT).lower()
        if self._language == "en":
            plain = _POSSESSIVE.sub("", plain)
        plain = " ".join(plain.split()).strip(_ENDS)
        if not any(_kind(one) in "LN" for one in plain):
            return None
        if self._language is None:
            return plain
        pieces = ("".join(run) for _letters, run in groupby(plain, _is_letter))
        return "".join(
            _lemma(piece, self._language) if _is_letter(piece[0]) else piece for piece in pieces
        )


def _kind(character: str) -> str:
    return unicodedata.category(character)[0]


def _is_letter(character: str) -> bool:
    return character == "'" or _kind(character) in "LM"


def _lemma(word: str, language: str) -> str:
    # Nothing so long is a word, and it would fill the cache.
    return word if len(word) > _LONGEST else _looked_up(word, language)


@lru_cache(maxsize=65_536)
def _looked_up(word: str, language: str) -> str:
    return simplemma.lemmatize(word, lang=language).lower()
