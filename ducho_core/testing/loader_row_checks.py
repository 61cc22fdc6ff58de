"""Checks of a loader's rows: types, nulls, paths, and that they are all there, every time."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ducho_core.catalogue import arrow_type
from ducho_core.testing.checks import NotApplicable, check, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ducho_core.testing.loader_case import LoaderCase


@check("keys are strings and never null", "loader")
def keys_are_strings(case: LoaderCase) -> None:
    """Of every row."""
    loader = case.open()
    for batch in case.read(loader):
        for name in loader.keys:
            expect(name in batch.schema.names, f"a batch has no column {name!r}, which is a key")
            column = batch.column(name)
            expect(column.type == pa.string(), f"key {name!r} is {column.type}; keys are strings")
            expect(not column.null_count, f"key {name!r} is null in {column.null_count} rows")


@check(
    "each batch has the keys and inputs that are declared, each of its type, and no more", "loader"
)
def columns_are_declared(case: LoaderCase) -> None:
    """The schema of every batch."""
    loader = case.open()
    wanted = [*loader.keys, *(one.name for one in loader.inputs)]
    for batch in case.read(loader):
        expect(
            batch.schema.names == wanted,
            f"a batch has the columns {', '.join(batch.schema.names)}; declared are"
            f" {', '.join(wanted)}",
        )
        for one in loader.inputs:
            kind = batch.column(one.name).type
            right = arrow_type(one)
            expect(
                kind == right, f"input {one.name!r} is {kind}; with storage {one.storage} {right}"
            )


@check("what is absent is null, not an empty text", "loader")
def absent_is_null(case: LoaderCase) -> None:
    """Of every text and path."""
    loader = case.open()
    for batch in case.read(loader):
        for one in loader.inputs:
            empty = sum(value in ("", b"") for value in _parts(batch.column(one.name)))
            expect(
                not empty or one.storage == "bytes",
                f"input {one.name!r} is an empty text in {empty} rows; null means absent",
            )


@check("paths are absolute, and there is a folder that they must stay in", "loader")
def paths_are_absolute(case: LoaderCase) -> None:
    """Of every input that is stored as a path."""
    loader = case.open()
    by_path = [one.name for one in loader.inputs if one.storage == "path"]
    if not by_path:
        raise NotApplicable("no input is stored as a path")
    expect(
        loader.root is not None and os.path.isabs(loader.root),
        f"its root is {loader.root}; it must be the absolute path of the folder that every path"
        " must lie in",
    )
    for batch in case.read(loader):
        for name in by_path:
            for path in _parts(batch.column(name)):
                expect(
                    path is None or os.path.isabs(path),
                    f"input {name!r} holds {path!r}, which is relative: to what?",
                )


@check("no row is dropped or made up, repeated keys included", "loader")
def every_row_is_there(case: LoaderCase) -> None:
    """As many rows as the source is known to have."""
    if case.rows is None:
        raise NotApplicable("how many rows the source has was not said")
    found = sum(batch.num_rows for batch in case.read())
    expect(found == case.rows, f"it gives {found} rows of a source that has {case.rows}")


@check("a source that is read again gives the same rows, also while it is being read", "loader")
def reading_again_is_the_same(case: LoaderCase) -> None:
    """From the same opened source, in turns, and from one opened anew."""
    loader = case.open()
    first = _rows(case.read(loader))
    expect(_rows(case.read(loader)) == first, "batches() gives other rows when it is called again")
    pairs = list(itertools.zip_longest(loader.batches(), loader.batches()))
    for which in (0, 1):
        expect(
            _rows([pair[which] for pair in pairs if pair[which] is not None]) == first,
            "two iterators of one opened source disturb each other",
        )
    expect(_rows(case.read()) == first, "the source opened anew gives other rows")


def _parts(column: pa.Array) -> Iterator[Any]:
    """The values of a column; of a joint input's those in its lists."""
    for value in column.to_pylist():
        yield from value if isinstance(value, list) else [value]


def _rows(batches: list[pa.RecordBatch]) -> list[dict[str, object]]:
    return [row for batch in batches for row in batch.to_pylist()]
