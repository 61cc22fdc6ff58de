"""The vectors of one input by row number, in any order and in bounded memory."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import StoreError
from ducho_core.store.atomic import explain
from ducho_core.store.rows import RowReader, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.fuser import Vectors
    from ducho_core.fusion.inputs import SetInput


class VectorReader:
    """Vectors by row number.

    Where the rows are wanted in about the order in which the set stores them, it is streamed.
    Where they are not, it is first written to a temporary file in which every row can be found
    at once, so that no row group is read again and again.

    Args:
        source: the input.
        scratch: path of the temporary file; created only where it is needed.
    """

    def __init__(self, source: SetInput, scratch: Path) -> None:
        self._source = source
        features = source.features
        self._reader = RowReader(features, features.value_columns(source.output))
        self._scratch = scratch
        self._descriptor = -1
        self._width = source.dim * 4

    def prepare(self, blocks: Iterable[Rows]) -> None:
        """Settle how to read, given the rows that each later ``take`` will ask for."""
        if self._descriptor < 0 and self._reader.scattered(blocks):
            self._spool()

    def take(self, rows: Rows) -> Vectors:
        """The vectors of rows, (n, dim) float32, in the order given.

        Raises:
            CorruptionError: a file of the set is damaged.
        """
        values = np.empty((len(rows), self._source.dim), np.float32)
        if self._descriptor >= 0:
            self._read(rows, values)
            return values
        for positions, batch, places in self._reader.pieces(rows):
            values[positions] = self._source.values(batch)[places]
        return values

    def close(self) -> None:
        """Remove the temporary file."""
        self._reader.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):
                os.unlink(self._scratch)

    def _spool(self) -> None:
        features = self._source.features
        try:
            self._descriptor = os.open(self._scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            for batch in features.batches(features.value_columns(self._source.output)):
                rest = as_bytes(self._source.values(batch))
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.close()
            raise explain(error, self._scratch, len(features) * self._width) from error

    def _read(self, rows: Rows, values: Vectors) -> None:
        order = np.argsort(rows, kind="stable")
        rising = rows[order]
        bounds = np.flatnonzero(np.diff(rising) != 1) + 1
        starts = [0, *bounds.tolist(), len(rows)]
        width = self._width
        for first, last in itertools.pairwise(starts):
            if first == last:
                continue
            size = (last - first) * width
            content = os.pread(self._descriptor, size, int(rising[first]) * width)
            if len(content) != size:
                raise StoreError(f"{self._scratch} was cut short by somebody else; run it again")
            values[order[first:last]] = np.frombuffer(content, np.float32).reshape(-1, width // 4)


def as_bytes(array: npt.NDArray[Any]) -> memoryview:
    """The memory of an array, row by row; copied where it does not lie so."""
    view: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return view


def block_rows(dims: Sequence[int], *, budget: int = 16 * 2**20, most: int = 8192) -> int:
    """Rows of a block whose vectors, of these lengths together, take about ``budget`` bytes."""
    return max(64, min(most, budget // (4 * max(1, sum(dims)))))
