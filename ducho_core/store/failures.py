"""Failures: of one chunk over all attempts, and of a set as they stand now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.store import layout
from ducho_core.store.parquet import DataFile
from ducho_core.store.schema import failures_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Chunk = tuple[int, int]


def attempts(folder: Path) -> dict[Chunk, list[Path]]:
    """Failures files of a set by (plan, chunk), attempts in order."""
    found: dict[Chunk, list[tuple[int, str]]] = {}
    for name in os.listdir(folder / "failures"):
        parsed = layout.parse_failures(name)
        if parsed is not None:
            found.setdefault(parsed[:2], []).append((parsed[2], name))
    return {
        chunk: [folder / "failures" / name for _attempt, name in sorted(names)]
        for chunk, names in found.items()
    }


def _attempts_of(folder: Path, plan: int, chunk: int) -> list[Path]:
    found: list[Path] = []
    while True:
        path = folder / "failures" / layout.failures_file(plan, chunk, len(found))
        if not path.exists():
            return found
        found.append(path)


def failures_of_chunk(
    folder: Path,
    keys: Sequence[str],
    plan: int,
    chunk: int,
    files: Sequence[Path] | None = None,
) -> pa.Table | None:
    """Failures of a chunk, one row a key; None where no attempt left any.

    Where attempts disagree, the one of the run that committed the chunk counts, else the last.
    """
    if files is None:
        files = _attempts_of(folder, plan, chunk)
    if not files:
        return None
    tables = []
    for path in files:
        with DataFile(path) as file:
            tables.append(file.read())
    if len(tables) == 1:
        return tables[0]
    union = pa.concat_tables(tables)
    data = folder / "data" / layout.chunk_file(plan, chunk)
    if data.exists():
        with DataFile(data) as file:
            winner = file.footer().get("run_id")
        order = pc.equal(union["run_id"], pa.scalar(str(winner)))
        ranked = union.append_column("rank", order.cast(pa.int8()))
        union = ranked.sort_by("rank").drop_columns("rank")
    return last_of_each(union, keys)


def current_failures(folder: Path, keys: Sequence[str], committed: Iterable[Chunk]) -> pa.Table:
    """Failures that stand: the latest plan of each key counts, keys with a row are left out.

    Args:
        folder: the set's folder.
        keys: its key columns.
        committed: the chunks that count; failures of others belong to unfinished work.
    """
    done = sorted(committed)
    by_chunk = attempts(folder)
    tables = []
    for chunk in done:
        if chunk in by_chunk:
            table = failures_of_chunk(folder, keys, *chunk, by_chunk[chunk])
            if table is not None:
                tables.append(table)
    if not tables:
        return failures_schema(keys).empty_table()
    union = last_of_each(pa.concat_tables(tables), keys)
    first = min(chunk for chunk in done if chunk in by_chunk)
    for chunk in done:
        # Only the chunk itself (another writer may have won it) and later plans can hold a
        # row for a key that failed.
        if chunk in by_chunk or chunk[0] > first[0]:
            with DataFile(folder / "data" / layout.chunk_file(*chunk)) as file:
                rows = file.read(keys)
            union = without_keys(union, rows, keys)
    return union


def last_of_each(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The last row of each key, in the table's order."""
    at = pa.array(range(table.num_rows), pa.int64())
    numbered = table.select(list(keys)).append_column("at", at)
    kept = numbered.group_by(list(keys)).aggregate([("at", "max")])["at_max"]
    if len(kept) == table.num_rows:
        return table
    return table.take(kept.combine_chunks().sort())


def without_keys(table: pa.Table, other: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows of ``table`` whose key is not in ``other``, in the table's order."""
    if not table.num_rows or not other.num_rows:
        return table
    if len(keys) == 1:
        column = keys[0]
        return table.filter(pc.invert(pc.is_in(table[column], other[column].combine_chunks())))
    gone = set(zip(*(other[name].to_pylist() for name in keys), strict=True))
    rows = zip(*(table[name].to_pylist() for name in keys), strict=True)
    return table.filter(pa.array([row not in gone for row in rows], pa.bool_()))
