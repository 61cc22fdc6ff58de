"""Path templates with a glob: ``images/{item_id}/*``.

Only a ``*`` that the user wrote is a glob; what a column brings into the path is taken
literally, and no folder outside the root is ever listed.
"""

from __future__ import annotations

import bisect
import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.natural import natural_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.loaders.templates import Template

_KEPT_LISTINGS = 16


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path template that holds one glob.

    Attributes:
        template: the whole template; its ``*`` is in the literal number ``literal``.
        literal: which literal holds the glob.
        at: where in that literal it stands.
        ends: whether the glob is the path's end, so that its match has a suffix.
    """

    template: Template
    literal: int
    at: int
    ends: bool

    @classmethod
    def of(cls, template: Template) -> PathTemplate | None:
        """The template's glob; None where it has none.

        Raises:
            UsageError: it has more than one.
        """
        found = [
            (number, at)
            for number, literal in enumerate(template.literals)
            for at, mark in enumerate(literal)
            if mark == "*"
        ]
        if not found:
            return None
        if len(found) > 1:
            raise UsageError(
                f"the path {template.text!r} holds {len(found)} globs; one * is allowed"
            )
        number, at = found[0]
        last = len(template.literals) - 1
        ends = number == last and at == len(template.literals[last]) - 1
        return cls(template, number, at, ends)

    def parts(self, values: Sequence[str]) -> tuple[str, str]:
        """What stands before and after the glob, filled in with one row's values."""
        before: list[str] = []
        after: list[str] = []
        for number, literal in enumerate(self.template.literals):
            if number < self.literal:
                before.append(literal)
            elif number == self.literal:
                before.append(literal[: self.at])
                after.append(literal[self.at + 1 :])
            else:
                after.append(literal)
            if number < len(values):
                (before if number < self.literal else after).append(values[number])
        return "".join(before), "".join(after)


class _Listing(NamedTuple):
    """Names in a folder, sorted by their start and, reversed, by their end."""

    names: list[str]
    backwards: list[str]


class GlobExpander:
    """Expands path templates below a root.

    Args:
        root: absolute path of the folder that nothing outside of is listed.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        real = os.path.realpath(root)
        self._real_root = real.rstrip(os.sep) + os.sep
        self._listings: OrderedDict[tuple[str, bool], _Listing | None] = OrderedDict()

    def expand(self, path: PathTemplate, values: Sequence[str]) -> list[tuple[str, str]]:
        """The (slot, absolute path) pairs of one row, in natural order of the slots.

        A pattern that leads outside the root is given back as one path, unlisted, so that
        whoever opens it says so.

        Raises:
            SourceError: two files have one slot, or a folder cannot be listed.
        """
        if traverses(values):
            return [("", refused(self._root))]
        before, after = path.parts(values)
        folder, start = os.path.split(os.path.join(self._root, before))
        end, slash, rest = after.partition("/")
        listing = self._listing(folder, folders=bool(slash))
        if listing is None:
            return [("", f"{os.path.join(self._root, before)}*{after}")]
        found: dict[str, str] = {}
        for name in _matching(listing, start, end):
            whole = os.path.join(folder, name + slash + rest)
            if slash and not os.path.isfile(whole):
                continue
            slot = name[len(start) : len(name) - len(end)]
            if path.ends and "." in slot:
                slot = slot.rpartition(".")[0]
            other = found.setdefault(slot, whole)
            if other != whole:
                raise SourceError(
                    f"the glob {path.template.text!r} finds two files for slot {slot!r}:"
                    f" {other} and {whole}; keep one, or name the suffix in the template"
                )
        return sorted(found.items(), key=lambda pair: natural_key(pair[0]))

    def _listing(self, folder: str, *, folders: bool) -> _Listing | None:
        """The files or folders in a folder; None where it may not be listed."""
        key = (folder, folders)
        if key in self._listings:
            self._listings.move_to_end(key)
            return self._listings[key]
        listing = self._list(folder, folders=folders)
        self._listings[key] = listing
        if len(self._listings) > _KEPT_LISTINGS:
            self._listings.popitem(last=False)
        return listing

    def _list(self, folder: str, *, folders: bool) -> _Listing | None:
        if "\0" in folder or not self._inside(folder):
            return None
        try:
            with os.scandir(folder) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".")
                    and (entry.is_dir() if folders else entry.is_file())
                ]
        except (FileNotFoundError, NotADirectoryError):
            return _Listing([], [])
        except OSError as error:
            raise SourceError(f"the folder {folder} cannot be listed: {error.strerror}") from error
        return _Listing(sorted(names), sorted(name[::-1] for name in names))

    def _inside(self, folder: str) -> bool:
        real = os.path.realpath(folder).rstrip(os.sep) + os.sep
        return real.startswith(self._real_root)


def traverses(values: Sequence[str]) -> bool:
    """Whether a column's value would climb out of the folder it is put into."""
    return any(".." in value and ".." in value.replace("\\", "/").split("/") for value in values)


def refused(root: str) -> str:
    """The path that stands for one that a column's value would bend.

    It exists and lies outside the root, so that reading it is a failure and never absence.
    """
    return os.path.join(root, os.pardir)


def _matching(listing: _Listing, start: str, end: str) -> list[str]:
    """Names that start and end as given, with something between."""
    if start or not end:
        names = _with_prefix(listing.names, start)
    else:
        names = [name[::-1] for name in _with_prefix(listing.backwards, end[::-1])]
    least = len(start) + len(end)
    return [name for name in names if name.endswith(end) and len(name) > least]


def _with_prefix(names: list[str], prefix: str) -> list[str]:
    if not prefix:
        return names
    first = bisect.bisect_left(names, prefix)
    last = bisect.bisect_left(names, prefix + "\U0010ffff", first)
    return names[first:last]
