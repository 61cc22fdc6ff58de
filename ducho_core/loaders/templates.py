"""Templates: ``{title}. {description}``, and what a null field takes with it.

Only ``{column}`` is substituted; ``{{`` and ``}}`` stand for a brace. There are no format
specifications, indexes or attributes.

A null field goes together with what belongs to it, by these rules:

- To a field belong what is glued to it without white space (``(``, ``"``, ``$`` before it;
  ``)``, ``"``, ``%``, ``'s`` after it), the words that introduce it (``by {brand}``,
  ``Brand: {brand}``) and the words between it and the next comma, full stop, dash or bracket
  (``{price} EUR, {title}``).
- What joins two fields (a space, comma, colon, dash, slash, line end) stays only between two
  fields that are there: the one that introduces the later of them.
- A full stop, exclamation or question mark ends what stands before it. After a null field it
  moves to the text before, unless that has one.
- What stands before the first field (``passage: {title}``) and what follows the last one
  behind a mark (``{title}. In stock.``) stays. Where the text before the first field and the
  words that introduce another both end in a colon, it is a label and goes with its field.
- A pair of brackets around several fields stays while one of them is there.
- White space at both ends goes. Where no field is null the text is as written; where all are
  null there is no text.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_JOINERS = ",;:/|&+-–—~=_•·*\\"  # noqa: RUF001 - dashes are meant
_OPENERS = "([{«“‘\"'"  # noqa: RUF001 - so are quotes
_CLOSERS = ")]}»”’\"'"  # noqa: RUF001
_ENDS = ".!?…。！？"  # noqa: RUF001 - full-width marks are meant
_PAIRS = {"(": ")", "[": "]", "{": "}", "«": "»", "“": "”"}
_BOUNDARY = re.compile(
    rf"[,;|/•·\n]|\s[-–—]+(?=\s)|[{_ENDS}](?=\s|$)|[)\]}}»”](?=\W|$)"  # noqa: RUF001
)
_TRAILING_END = re.compile(rf"[{_ENDS}]+$")


class _Between(NamedTuple):
    """The text between two fields, by what it belongs to."""

    after: str
    joiner: str
    intro: str


class _Group(NamedTuple):
    """A pair of brackets around the fields ``first`` to ``last``."""

    first: int
    last: int
    opener: str
    closer: str


class Template:
    """A parsed template.

    Attributes:
        text: the template as written.
        columns: the column of each field, in order; one may come more than once.
        literals: the text before each field and after the last.
    """

    __slots__ = ("_pieces", "columns", "literals", "text")

    def __init__(self, text: str, columns: tuple[str, ...], literals: tuple[str, ...]) -> None:
        self.text = text
        self.columns = columns
        self.literals = literals
        self._pieces: dict[tuple[bool, ...], tuple[str, ...]] = {}

    @property
    def column(self) -> str | None:
        """The column, where the template is nothing but one column."""
        return self.columns[0] if self.literals == ("", "") else None

    def render(self, values: Sequence[str | None]) -> str | None:
        """Fill in one row's values, in the order of ``columns``; None where all are null."""
        present = tuple([value is not None for value in values])
        pieces = self._pieces.get(present)
        if pieces is None:
            pieces = self._pieces[present] = self.pieces(present)
        if not pieces:
            return None
        parts = [pieces[0]]
        rest = iter(pieces)
        next(rest)
        for value in values:
            if value is not None:
                parts.append(value)
                parts.append(next(rest))
        text = "".join(parts)
        return text if len(pieces) == len(self.literals) else text.strip()

    def pieces(self, present: Sequence[bool]) -> tuple[str, ...]:
        """The texts around the fields that are there, one more than those; () for none."""
        there = [position for position, is_there in enumerate(present) if is_there]
        if not there:
            return ()
        if len(there) == len(self.columns):
            return self.literals
        prefix, between, outro = self._parted()
        groups = _groups(self.literals)
        pieces = [prefix + _opening(between, groups, -1, there[0]).intro]
        for position, following in itertools.pairwise(there):
            if following == position + 1:
                pieces.append(self.literals[following])
                continue
            end = _ending(between, groups, position, following)
            opening = _opening(between, groups, position, following)
            joiner = opening.joiner
            if end.endswith(tuple(_ENDS)):
                joiner = "".join(mark for mark in joiner if mark.isspace()) or " "
            pieces.append(end + joiner + opening.intro)
        if there[-1] == len(self.columns) - 1:
            pieces.append(self.literals[-1])
        else:
            pieces.append(_ending(between, groups, there[-1], len(self.columns)) + outro)
        return tuple(pieces)

    def _parted(self) -> tuple[str, list[_Between], str]:
        """The prefix, what is around each field, what stays at the end.

        Item i of the list parts the literal before field i; the last one, after all fields.
        """
        prefix, intro = _part_start(self.literals[0])
        inner = [_part(literal) for literal in self.literals[1:-1]]
        if _is_label(prefix) and any(_is_label(part.intro) for part in inner):
            prefix, intro = "", prefix + intro
        last, outro = _part_end(self.literals[-1])
        return prefix, [_Between("", "", intro), *inner, _Between(last, "", "")], outro


def parse_template(text: str) -> Template:
    """Parse a template.

    Raises:
        UsageError: a brace without its partner, or an empty field.
    """
    columns: list[str] = []
    literals = [""]
    end = 0
    for token in _TOKEN.finditer(text):
        literals[-1] += text[end : token.start()]
        end = token.end()
        if token[0] in ("{{", "}}"):
            literals[-1] += token[0][0]
        elif token[1]:
            columns.append(token[1])
            literals.append("")
        elif token[0] == "{}":
            raise UsageError(f"the template {text!r} has an empty field: write {{COLUMN}}")
        else:
            raise UsageError(
                f"the template {text!r} has a {token[0]!r} without its partner at character"
                f" {token.start() + 1}; write {token[0] * 2!r} for a brace itself"
            )
    literals[-1] += text[end:]
    return Template(text, tuple(columns), tuple(literals))


def _part(literal: str) -> _Between:
    """Part a literal between two fields."""
    if not any(mark.isspace() for mark in literal):
        return _part_glued(literal)
    head = re.match(r"\S*", literal)[0]  # type: ignore[index]
    tail = re.search(r"\S*$", literal)[0]  # type: ignore[index]
    head = head.rstrip(_JOINERS)
    tail = tail.lstrip(_JOINERS)
    core = literal[len(head) : len(literal) - len(tail)]
    if not any(mark.isalnum() for mark in core):
        return _Between(head, core, tail)
    boundaries = list(_BOUNDARY.finditer(core))
    if boundaries:
        mark = boundaries[-1]
        left, right = core[: mark.start()], core[mark.end() :]
        space = right[: len(right) - len(right.lstrip())]
        if mark[0] in _ENDS or mark[0] in _CLOSERS:
            return _Between(head + left + mark[0], space, right.lstrip() + tail)
        words = left.rstrip()
        return _Between(head + words, left[len(words) :] + mark[0] + space, right.lstrip() + tail)
    if tail.startswith(("(", "[", "{")):
        words = core.rstrip()
        return _Between(head + words, core[len(words) :], tail)
    start = next(index for index, mark in enumerate(core) if mark.isalnum())
    return _Between(head, core[:start], core[start:] + tail)


def _part_glued(literal: str) -> _Between:
    """Part a literal without white space: it touches both fields."""
    joiner = re.search(rf"[{re.escape(_JOINERS)}]+", literal)
    if joiner:
        return _Between(literal[: joiner.start()], joiner[0], literal[joiner.end() :])
    rest = literal.lstrip(_CLOSERS + _ENDS)
    middle = rest.rstrip(_OPENERS)
    return _Between(literal[: len(literal) - len(rest)], middle, rest[len(middle) :])


def _part_start(literal: str) -> tuple[str, str]:
    """Part the text before the first field into what stays and what is glued to the field."""
    glued = re.search(r"[^\w\s:]*$", literal)[0]  # type: ignore[index]
    return literal[: len(literal) - len(glued)], glued


def _part_end(literal: str) -> tuple[str, str]:
    """Part the text after the last field into what belongs to it and what stays."""
    mark = re.match(rf"[{re.escape(_CLOSERS + _ENDS)}]+(?=\s|$)", literal) or _BOUNDARY.search(
        literal
    )
    if not mark:
        return literal, ""
    if mark[0][-1] in _ENDS or mark[0][-1] in _CLOSERS:
        return literal[: mark.end()], literal[mark.end() :]
    return literal[: mark.start()].rstrip(), literal[mark.start() :]


def _groups(literals: Sequence[str]) -> list[_Group]:
    """The pairs of brackets that hold several fields, the outer ones first."""
    groups: list[_Group] = []
    waiting: list[tuple[int, str]] = []
    for position, literal in enumerate(literals):
        for mark in literal:
            if mark in _PAIRS:
                waiting.append((position, mark))
            elif waiting and mark == _PAIRS[waiting[-1][1]]:
                first, opener = waiting.pop()
                if position > first + 1:
                    groups.append(_Group(first, position - 1, opener, mark))
    return sorted(groups, key=lambda group: (group.first, -group.last))


def _opening(
    between: Sequence[_Between], groups: Sequence[_Group], previous: int, field: int
) -> _Between:
    """What introduces a field, with the brackets that open between it and the one before."""
    opened = [group for group in groups if previous < group.first < field <= group.last]
    joiner = between[opened[0].first if opened else field].joiner
    brackets = "".join(group.opener for group in opened)
    return _Between("", joiner, brackets + between[field].intro)


def _ending(
    between: Sequence[_Between], groups: Sequence[_Group], field: int, following: int
) -> str:
    """What follows a field: its own, brackets that close, the end mark of null fields."""
    own = between[field + 1].after
    own += "".join(
        group.closer for group in reversed(groups) if group.first <= field < group.last < following
    )
    if not own.rstrip(_CLOSERS).endswith(tuple(_ENDS)):
        for null in range(field + 1, following):
            end = _TRAILING_END.search(between[null + 1].after.rstrip(_CLOSERS))
            if end:
                return own + end[0]
    return own


def _is_label(text: str) -> bool:
    return text.rstrip().endswith(":")
