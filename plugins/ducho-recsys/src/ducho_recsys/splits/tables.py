"""Opening tables of interactions and of items, and finding the columns in them."""

from __future__ import annotations

import csv
import difflib
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ducho_core import DelimitedReader, SourceError, TableLoader, TableOptions, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from ducho_core import TableReader
    from ducho_recsys.splits.request import SplitRequest

ROLES = ("user", "item", "rating", "timestamp")

_KNOWN = {
    "user": "user_id userId user uid reviewerID reviewer customer_id",
    "item": "item_id itemId item iid asin parent_asin product_id movieId business_id track_id",
    "rating": "rating overall stars score",
    "timestamp": "timestamp time ts unixReviewTime",
}
_SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


@dataclass(frozen=True, slots=True)
class Source:
    """An opened table of interactions.

    Attributes:
        reader: reads it.
        columns: role (``user``, ``item``, ``rating``, ``timestamp``) to column; without the
            roles that it has no column for.
        remarks: what was found without being told.
        header: whether it names its columns itself.
    """

    reader: TableReader
    columns: dict[str, str]
    remarks: tuple[str, ...]
    header: bool = True

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The columns, batch by batch.

        Raises:
            SourceError: a row cannot be read.
        """
        with _own_flags():
            yield from self.reader.read(list(self.columns.values()))

    def where(self, row: int) -> str:
        """How a person finds a row, counted from 0."""
        return f"{self.reader.path}, {self.reader.where(row)}"


def open_interactions(path: str, request: SplitRequest) -> Source:
    """Open a table and find its columns.

    Raises:
        SourceError: it cannot be read.
        UsageError: there is no such column, or it cannot be told which one is meant.
    """
    _refuse_colons(path, request)
    with _own_flags():
        reader = _open(path, request)
    names = [one.name for one in reader.columns]
    asked = {role: getattr(request, role) for role in ROLES}
    found: dict[str, str] = {}
    if not request.header:
        for at, role in enumerate(ROLES):
            if asked[role] is None and at < len(names) and not any(asked.values()):
                found[role] = names[at]
    guessed = {}
    for role in ROLES:
        name = asked[role]
        if name == "none" and role in ("rating", "timestamp"):
            continue
        if name is not None:
            found[role] = _named(reader, names, role, name)
        elif request.header:
            guess = _guess(reader, names, role)
            if guess is not None:
                found[role] = guessed[role] = guess
    for role in ("user", "item"):
        if role not in found:
            what = "column" if request.header else "position"
            raise UsageError(
                f"{reader.name} has no column that is called like {_article(role)}; say which:"
                f" --{role} {what.upper()}. Its columns: {_listing(names)}{_headless(reader)}"
            )
    twice = [role for role in found if list(found.values()).count(found[role]) > 1]
    if twice:
        raise UsageError(
            f"{' and '.join(twice)} would both be read from the column {found[twice[0]]!r} of"
            f" {reader.name}"
        )
    _check_ids(reader, found)
    said = ", ".join(f"{role} {name!r}" for role, name in guessed.items())
    remarks = (*reader.remarks, *([f"{reader.name}: columns {said}"] if said else []))
    columns = {role: found[role] for role in ROLES if role in found}
    return Source(reader, columns, remarks, request.header)


def open_items(path: str, request: SplitRequest) -> Source:
    """Open a catalogue; ``item`` is the column of its ids.

    Raises:
        SourceError: it cannot be read.
        UsageError: there is no such column.
    """
    with _own_flags():
        reader = _open_by_suffix(path, TableOptions())
    names = [one.name for one in reader.columns]
    if request.catalogue_item is not None:
        name = _named(reader, names, "catalogue-item", request.catalogue_item)
        remarks: tuple[str, ...] = ()
    else:
        name = "item_id" if "item_id" in names else names[0]
        remarks = (f"{reader.name}: items by the column {name!r}",)
    _check_ids(reader, {"item": name})
    return Source(reader, {"item": name}, (*reader.remarks, *remarks))


def _open(path: str, request: SplitRequest) -> TableReader:
    columns: tuple[str, ...] = ()
    if not request.header:
        columns = tuple(str(at + 1) for at in range(_width(path, request)))
    options = TableOptions(
        separator=request.separator,
        quoting=request.quoting,
        encoding=request.encoding,
        header=columns,
    )
    if columns and os.path.splitext(path)[1].lower() in (".parquet", ".jsonl", ".ndjson"):
        raise UsageError(f"{path} names its columns itself: leave out --no-header")
    return _open_by_suffix(path, options)


def _open_by_suffix(path: str, options: TableOptions) -> TableReader:
    if os.path.splitext(path)[1].lower() in _SUFFIXES:
        return TableLoader.open_reader(path, options)
    # ``u.data``, ``ml-1m.inter`` and their kin: tabs between the fields.
    return DelimitedReader(path, "\t", options)


def _refuse_colons(path: str, request: SplitRequest) -> None:
    """Say what to do with ``::`` between the fields, as MovieLens 1M and 10M have it.

    Raises:
        UsageError: the first line has it, or it is asked for.
    """
    asked = request.separator == "::"
    if not asked and (request.separator or os.path.splitext(path)[1].lower() in _SUFFIXES):
        return
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return  # the reader itself says what is wrong
    if asked or (b"::" in line and b"\t" not in line):
        name = os.path.basename(path)
        made = f"{os.path.splitext(name)[0]}.tsv"
        raise UsageError(
            f"{name} has :: between its fields, and a separator is one character; make tabs of"
            f" them first: sed 's/::/\\t/g' {name} > {made}"
        )


def _width(path: str, request: SplitRequest) -> int:
    """How many fields the first line has."""
    separator = request.separator or ("comma" if path.lower().endswith(".csv") else "tab")
    try:
        with open(path, encoding=request.encoding.replace("utf-8", "utf-8-sig"), newline="") as f:
            mark = _SEPARATORS.get(separator.lower(), separator)
            first = next((row for row in csv.reader(f, delimiter=mark) if row), [])
    except (OSError, UnicodeError, LookupError, csv.Error, TypeError):
        return 1  # the reader itself says what is wrong
    return max(1, len(first))


def _named(reader: TableReader, names: Sequence[str], role: str, name: str) -> str:
    if name in names:
        return name
    bare = [one for one in names if one.partition(":")[0] == name]
    if len(bare) == 1:
        return bare[0]
    folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    hint = f"; did you mean --{role} {folded[near[0]]}?" if near else "."
    raise UsageError(
        f"{reader.name} has no column {name!r}{hint} Its columns:"
        f" {_listing(names)}{_headless(reader)}"
    )


def _guess(reader: TableReader, names: Sequence[str], role: str) -> str | None:
    known = [_folded(word) for word in _KNOWN[role].split()]
    found = [name for name in names if _folded(name) in known]
    if not found:
        return None
    # The first words of each list say it outright; further ones may stand beside one another.
    plain = [name for name in found if _folded(name) in known[:1]]
    chosen = plain or found
    if len(chosen) > 1:
        raise UsageError(
            f"{reader.name}: {_article(role)} may be {' or '.join(map(repr, chosen))}; say which:"
            f" --{role} {chosen[0]}"
        )
    return chosen[0]


def _folded(name: str) -> str:
    """A column's name without RecBole's ``:type``, case, ``_`` and ``-``."""
    return name.partition(":")[0].casefold().replace("_", "").replace("-", "")


def _check_ids(reader: TableReader, found: dict[str, str]) -> None:
    kinds = {one.name: one for one in reader.columns}
    for role in ("user", "item"):
        column = kinds.get(found.get(role, ""))
        if column is not None and (column.kind != "text" or not column.key):
            raise SourceError(
                f"{reader.name}: the column {column.name!r} holds {column.type or column.kind};"
                f" the id of {_article(role)} is a text or a whole number"
            )


def _article(role: str) -> str:
    return {"user": "a user", "item": "an item"}.get(role, f"the {role}")


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"


def _headless(reader: TableReader) -> str:
    return "; if the first line names no columns: --no-header" if reader.hint else ""


@contextmanager
def _own_flags() -> Iterator[None]:
    """What readers say about options of a loader, in flags of ``ducho split``."""
    try:
        yield
    except (SourceError, UsageError) as error:
        told = re.sub(r"--loader-option '?(separator|quoting|encoding)=", r"--\1 ", str(error))
        if told == str(error):
            raise
        raise type(error)(told) from error
