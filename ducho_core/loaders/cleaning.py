"""Cleaning of texts before an extractor sees them. Every name here may stand in a SPEC."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_COMMENT = re.compile(r"<!--.*?-->|<![a-z][^<>]*>", re.DOTALL | re.IGNORECASE)
_UNREAD = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?([a-z][a-z0-9-]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INLINE = re.compile(
    r"a|abbr|acronym|b|bd[io]|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span"
    r"|strike|strong|su[bp]|tt|u|var|wbr",
    re.IGNORECASE,
)


def clean_html(text: str) -> str:
    """Take the markup out of a text.

    Comments, scripts and style sheets go; inline tags (``<b>``) vanish and all others become
    a space, so that words stay apart; then entities become the characters they stand for,
    once; then control characters other than tab and line ends are removed.
    """
    if "<" in text:
        text = _UNREAD.sub(" ", _COMMENT.sub("", text))
        text = _TAG.sub(lambda tag: "" if _INLINE.fullmatch(tag[1]) else " ", text)
    if "&" in text:
        text = html.unescape(text)
    return _CONTROL.sub("", text)


def clean_whitespace(text: str) -> str:
    """Turn every run of white space, of any kind, into one space and strip both ends."""
    return " ".join(text.split())


_NOT_KEPT = re.compile(r"[^A-Za-z0-9',.!;?()]")
_SPACED = re.compile(r"!+|[.,;?()]")
_RUN_OF_SPACE = re.compile(r"\s{2,}")
_LONG_PAUSE = re.compile(r"[.\s]{7,}")
_INITIALS = re.compile(r"(?<= )(?:\w \. )+\w \.")
_CLITIC = re.compile(r"n't|'(?:s|ve|re|d|m|ll)")
_LONE_APOSTROPHE = re.compile(r"'(?!(?:s|ve|re|d|m|ll)\b)(?!(?<=n')t\b)")
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def clean_ducho2(text: str) -> str:
    """What Ducho 2.0 does under ``clear_text: True``.

    Source: ``TextualDataset._pre_processing`` in sisinflab/Ducho, tags v2.0 to v2.0.2, the
    same in all of them. Only unaccented Latin letters, digits and ``',.!;?()`` are kept;
    punctuation gets a space on both sides; long pauses become ``...``, spelt initials close
    up, English clitics are set apart, other apostrophes go, lone digits become words.
    Neither case nor the space at both ends changes: Ducho 2.0 computes a stripped,
    lower-case text and drops it.
    """
    text = _NOT_KEPT.sub(" ", text)
    text = _SPACED.sub(lambda mark: f" {mark[0][0]} ", text)
    text = _RUN_OF_SPACE.sub(" ", text)
    text = _LONG_PAUSE.sub(" ... ", text)
    text = _INITIALS.sub(lambda letters: letters[0].replace(" ", ""), text)
    text = _CLITIC.sub(r" \g<0>", text)
    text = _LONE_APOSTROPHE.sub(" ", text)
    for digit, word in enumerate(_DIGITS):
        text = text.replace(f" {digit} ", f" {word} ")
    return _RUN_OF_SPACE.sub(" ", text)


CLEANINGS: dict[str, Callable[[str], str]] = {
    "html": clean_html,
    "whitespace": clean_whitespace,
    "ducho2": clean_ducho2,
}
"""Name to function, each from text to text."""


def check_cleaning(names: Iterable[str]) -> None:
    """Say no to a cleaning that does not exist.

    Raises:
        UsageError: naming it and those that exist.
    """
    for name in names:
        if name not in CLEANINGS:
            raise UsageError(
                f"no text cleaning is called {name!r}{did_you_mean(name, CLEANINGS)};"
                f" there are {', '.join(CLEANINGS)}"
            )


def clean(text: str, names: Sequence[str]) -> str:
    """Apply cleanings in the order given. An empty result means that the text is absent.

    Raises:
        UsageError: a cleaning does not exist.
    """
    for name in names:
        cleaning = CLEANINGS.get(name)
        if cleaning is None:
            check_cleaning([name])
            raise AssertionError("unreachable")
        text = cleaning(text)
    return text
