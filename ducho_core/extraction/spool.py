"""The inputs of pending chunks, kept on disk between the planning pass and the extraction.

The source is read once. What is pending goes into a temporary Arrow file, so that memory does
not grow with the catalogue and a chunk can be had as a whole, in plan order, whatever the
order of the source.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa

from ducho_core.store.atomic import explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

POSITION = "_position"
"""Column with a row's position within its chunk."""


class Spool:
    """Record batches of input rows, filed by chunk.

    Args:
        path: the temporary file; removed by ``close``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sink: pa.OSFile | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._count = 0
        self._pieces: dict[tuple[int, int], list[int]] = {}
        self._map: pa.MemoryMappedFile | None = None
        self._reader: pa.RecordBatchFileReader | None = None

    def add(
        self, chunk: tuple[int, int], rows: pa.RecordBatch, positions: npt.NDArray[np.int32]
    ) -> None:
        """File rows under a chunk, each with its position in it.

        Raises:
            StoreError: the temporary file cannot be written, for example on a full disk.
        """
        batch = rows.append_column(POSITION, pa.array(positions, pa.int32()))
        try:
            if self._writer is None:
                self._sink = pa.OSFile(str(self._path), "wb")
                self._writer = pa.ipc.new_file(self._sink, batch.schema)
            self._writer.write_batch(batch)
        except OSError as error:
            raise explain(error, self._path, batch.nbytes) from error
        self._pieces.setdefault(chunk, []).append(self._count)
        self._count += 1

    def chunks(self) -> Iterator[tuple[int, int]]:
        """The chunks that have rows, in order."""
        yield from sorted(self._pieces)

    def rename(self, chunks: dict[tuple[int, int], tuple[int, int]]) -> None:
        """File rows under other chunks, once the numbers of their plans are known."""
        self._pieces = {chunks.get(key, key): value for key, value in self._pieces.items()}

    def read(self, chunk: tuple[int, int]) -> pa.RecordBatch:
        """The rows of a chunk in plan order; gaps where keys have left the source."""
        if self._reader is None:
            self._finish()
            self._map = pa.memory_map(str(self._path))
            self._reader = pa.ipc.open_file(self._map)
        batches = [self._reader.get_batch(at) for at in self._pieces[chunk]]
        if len(batches) == 1:
            return batches[0]
        table = pa.Table.from_batches(batches).sort_by(POSITION).combine_chunks()
        (batch,) = table.to_batches()
        return batch

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._finish()
        self._reader = None
        if self._map is not None:
            self._map.close()
            self._map = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
