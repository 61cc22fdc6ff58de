"""The joined rows of several inputs, filled in by the policy, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ducho_core.fuser import FuserBatch
from ducho_core.fusion.join import ABSENT
from ducho_core.fusion.texts import TextReader
from ducho_core.fusion.vectors import VectorReader, block_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pyarrow as pa

    from ducho_core.fuser import Vectors
    from ducho_core.fusion.join import Join
    from ducho_core.store.rows import Rows

_TEXT_DIM = 64
"""A text takes about as much memory as so many numbers."""


class JoinedRows:
    """Vectors, or texts, of all inputs by number in a join.

    Args:
        join: the joined inputs, the policy applied.
        scratch: gives paths of temporary files.
        width: length of what is made of a row, which takes memory too.

    Attributes:
        join: the joined inputs.
        rows: for each input the row that each number's vector is in.
        readers: one for each input; none where they are texts.
        block: rows to take at a time.
        means: for each input what stands in for a missing vector; zeros where there is none.
    """

    def __init__(self, join: Join, scratch: Callable[[], Path], width: int = 0) -> None:
        self.join = join
        self.rows = list(join.rows)
        texts = [one for one in join.inputs if one.kind == "text"]
        self._texts = [TextReader(one) for one in texts]
        self.readers = [] if texts else [VectorReader(one, scratch()) for one in join.inputs]
        self.block = block_rows([*(one.dim or _TEXT_DIM for one in join.inputs), width])
        self.means: dict[int, Vectors] = {}

    def prepare(self, blocks: Iterable[Rows]) -> None:
        """Settle how to read, given the blocks that will be asked for."""
        if self._texts:
            return
        listed = list(blocks)
        for reader, every in zip(self.readers, self.rows, strict=True):
            found = (_rows_of(every, block) for block in listed)
            reader.prepare(rows[rows != ABSENT] for rows in found)

    def batch(self, numbers: Rows, keys: pa.RecordBatch) -> FuserBatch:
        """The rows with these numbers, whose keys these are; no input has row ``ABSENT``."""
        if self._texts:
            return self._text_batch(numbers, keys)
        values, presents = [], []
        for at, (reader, every) in enumerate(zip(self.readers, self.rows, strict=True)):
            rows = _rows_of(every, numbers)
            present = rows != ABSENT
            if present.all():
                vectors = reader.take(rows)
            else:
                vectors = np.zeros((len(rows), self.join.inputs[at].dim), np.float32)
                vectors[present] = reader.take(rows[present])
                if at in self.means:
                    vectors[~present] = self.means[at]
            vectors.flags.writeable = present.flags.writeable = False
            values.append(vectors)
            presents.append(present)
        return FuserBatch(keys=keys, values=tuple(values), present=tuple(presents))

    def close(self) -> None:
        """Remove temporary files and close the others."""
        for reader in self.readers:
            reader.close()
        for column in self._texts:
            column.close()
        self.join.close()

    def _text_batch(self, numbers: Rows, keys: pa.RecordBatch) -> FuserBatch:
        texts, presents = [], []
        for reader, every in zip(self._texts, self.rows, strict=True):
            rows = every[numbers]
            present = rows != ABSENT
            column = np.full(len(rows), None, np.object_)
            column[present] = reader.take(rows[present])
            column.flags.writeable = present.flags.writeable = False
            texts.append(column)
            presents.append(present)
        return FuserBatch(keys=keys, values=(), present=tuple(presents), texts=tuple(texts))


def _rows_of(every: Rows, numbers: Rows) -> Rows:
    rows = every[numbers]
    return np.where(numbers == ABSENT, ABSENT, rows) if (numbers == ABSENT).any() else rows
