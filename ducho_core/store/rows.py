"""Reading rows of a feature set by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ducho_core.store.parquet import DataFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ducho_core.store.reader import FeatureSet

Rows = npt.NDArray[Any]
"""Row numbers, (n,), any integer type."""


class RowReader:
    """Reads rows by their number in the order of ``FeatureSet.batches``, checksums verified.

    Memory is bounded by one row group and the result. Rising numbers read every group once.

    Args:
        features: the set.
        columns: the columns to read.
    """

    def __init__(self, features: FeatureSet, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._schema = pa.schema([features.schema.field(name) for name in columns])
        self._places: list[tuple[Path, int]] = []
        starts, at = [], 0
        for path in features.files:
            with DataFile(path) as file:
                for group, rows in enumerate(file.group_sizes):
                    self._places.append((path, group))
                    starts.append(at)
                    at += rows
        self._starts = np.array(starts, np.int64)
        self._file: DataFile | None = None
        self._held: tuple[int, pa.RecordBatch] | None = None

    def pieces(self, rows: Rows) -> Iterator[tuple[Rows, pa.RecordBatch, Rows]]:
        """Read rows, a row group at a time.

        Yields:
            Positions in ``rows``, a whole row group, and the place in it of each of them.

        Raises:
            CorruptionError: a file is damaged.
        """
        if not len(rows):
            return
        groups = self._groups_of(rows)
        order = np.argsort(groups, kind="stable")
        bounds = np.flatnonzero(np.diff(groups[order])) + 1
        for part in np.split(order, bounds):
            group = int(groups[part[0]])
            yield part, self._group(group), rows[part] - self._starts[group]

    def take(self, rows: Rows) -> pa.Table:
        """Rows as a table, in the order given."""
        order, tables = [], [self._schema.empty_table()]
        for positions, batch, places in self.pieces(rows):
            order.append(positions)
            tables.append(pa.Table.from_batches([batch.take(pa.array(places))]))
        table = pa.concat_tables(tables)
        if not order:
            return table
        positions = np.concatenate(order)
        if (positions[1:] > positions[:-1]).all():
            return table
        return table.take(pa.array(np.argsort(positions)))

    def scattered(self, blocks: Iterable[Rows]) -> bool:
        """Whether reading these blocks of rows would read row groups over and over."""
        loads, held = 0, -1
        for block in blocks:
            groups = np.unique(self._groups_of(block))
            if len(groups):
                loads += len(groups) - int(groups[0] == held)
                held = int(groups[-1])
        return loads > 3 * len(self._places)

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
        self._file = self._held = None

    def _groups_of(self, rows: Rows) -> npt.NDArray[np.intp]:
        return np.searchsorted(self._starts, rows, side="right") - 1

    def _group(self, number: int) -> pa.RecordBatch:
        if self._held is not None and self._held[0] == number:
            return self._held[1]
        self._held = None
        path, group = self._places[number]
        if self._file is None or self._file.path != path:
            self.close()
            self._file = DataFile(path)
        (batch,) = self._file.read_group(group, self._columns).combine_chunks().to_batches()
        self._held = number, batch
        return batch
