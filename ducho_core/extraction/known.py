"""What a feature set already knows: every planned key and what became of it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ducho_core.extraction.digest_index import DigestIndex, Digests, digest_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.store.writer import SetWriter


T = TypeVar("T", np.int32, np.uint8)


class Status(IntEnum):
    """What became of a planned key."""

    PENDING = 0
    STORED = 1
    FAILED = 2
    ABSENT = 3
    WITHDRAWN = 4


_STATUS_OF = {
    "failed": Status.FAILED,
    "absent": Status.ABSENT,
    "withdrawn": Status.WITHDRAWN,
}


class KnownKeys:
    """The planned keys of a set, one row each, in the order of plans.

    Attributes:
        index: key digest to row; where a key is in several plans, its row in the latest.
        plan, chunk, position: where each row stands, shape (n,).
        status: a ``Status`` a row, shape (n,).
        seen: whether the planning pass met the row's key in the source, shape (n,).
    """

    def __init__(
        self, writer: SetWriter | None, keys: Sequence[str], inputs: Sequence[str]
    ) -> None:
        self._writer = writer
        self._keys = tuple(keys)
        self.index = DigestIndex()
        self.plan_numbers = [] if writer is None else sorted(writer.plan_numbers())
        self.chunk_rows: dict[tuple[int, int], int] = {}
        columns: dict[str, list[npt.NDArray[np.int32]]] = {"plan": [], "chunk": [], "at": []}
        status: list[npt.NDArray[np.uint8]] = []
        validators: dict[str, list[pa.ChunkedArray]] = {name: [] for name in inputs}
        committed = writer.committed() if writer is not None else set()
        rows = 0
        for number in self.plan_numbers:
            assert writer is not None
            table = writer.read_plan(number)
            digests = digest_keys(table, self._keys)
            chunks = table.column("chunk").to_numpy().astype(np.int32)
            starts = np.searchsorted(chunks, chunks, side="left")
            self.index.add(digests, np.arange(rows, rows + len(chunks), dtype=np.int64))
            columns["plan"].append(np.full(len(chunks), number, np.int32))
            columns["chunk"].append(chunks)
            columns["at"].append((np.arange(len(chunks)) - starts).astype(np.int32))
            status.append(self._statuses(number, digests, chunks, committed))
            for name in inputs:
                validators[name].append(table.column(f"validator_{name}"))
            rows += len(chunks)
        self.plan = _joined(columns["plan"], np.int32)
        self.chunk = _joined(columns["chunk"], np.int32)
        self.position = _joined(columns["at"], np.int32)
        self.status = _joined(status, np.uint8)
        self.seen = np.zeros(rows, dtype=bool)
        self._validators = {
            name: pa.chunked_array(
                [piece for column in parts for piece in column.chunks], pa.binary()
            )
            for name, parts in validators.items()
        }

    def _statuses(
        self,
        number: int,
        digests: Digests,
        chunks: npt.NDArray[np.int32],
        committed: set[tuple[int, int]],
    ) -> npt.NDArray[np.uint8]:
        assert self._writer is not None
        status = np.full(len(chunks), Status.PENDING, np.uint8)
        values, starts, counts = np.unique(chunks, return_index=True, return_counts=True)
        for value, start, count in zip(values, starts, counts, strict=True):
            chunk = (number, int(value))
            self.chunk_rows[chunk] = int(count)
            if chunk not in committed:
                continue
            part = slice(int(start), int(start + count))
            if self._writer.chunk_row_count(*chunk) == count:
                status[part] = Status.STORED
                continue
            status[part] = Status.ABSENT
            failures = self._writer.read_failures(*chunk)
            if failures is not None and failures.num_rows:
                found, at = _lookup(failures, self._keys, digests[part])
                words = failures.column("status").to_pylist()
                codes = np.array([_STATUS_OF[word] for word in words], np.uint8)
                status[part] = np.where(found, codes[at], status[part])
            stored = self._writer.read_chunk(*chunk, columns=list(self._keys))
            found, _ = _lookup(stored, self._keys, digests[part])
            status[part] = np.where(found, np.uint8(Status.STORED), status[part])
        return status

    def validators(self, name: str, rows: npt.NDArray[np.int64]) -> pa.Array:
        """The planned validators of one input for some rows."""
        return self._validators[name].take(pa.array(rows)).combine_chunks()

    def input_digests(self, rows: npt.NDArray[np.int64], digests: Digests) -> list[bytes | None]:
        """The stored ``input_sha256`` of some rows, None where there is none."""
        assert self._writer is not None
        result: list[bytes | None] = [None] * len(rows)
        places: dict[tuple[int, int], list[int]] = {}
        for at, row in enumerate(rows):
            places.setdefault((int(self.plan[row]), int(self.chunk[row])), []).append(at)
        wanted = [*self._keys, "input_sha256"]
        for chunk, positions in places.items():
            tables = [self._writer.read_chunk(*chunk, columns=wanted)]
            failures = self._writer.read_failures(*chunk)
            if failures is not None:
                tables.append(failures.select(wanted))
            for table in tables:
                found, at_table = _lookup(table, self._keys, digests[positions])
                values = table.column("input_sha256").to_pylist()
                for position, hit, at in zip(positions, found, at_table, strict=True):
                    if hit and result[position] is None:
                        result[position] = values[at]
        return result

    def pending_chunks(self) -> list[tuple[int, int]]:
        """The chunks that are planned and not committed, in order."""
        pending = self.status == Status.PENDING
        pairs = np.unique(np.stack([self.plan[pending], self.chunk[pending]], axis=1), axis=0)
        return [(int(plan), int(chunk)) for plan, chunk in pairs]


def _lookup(
    table: pa.Table, keys: tuple[str, ...], digests: Digests
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    index = DigestIndex()
    index.add(digest_keys(table, keys), np.arange(table.num_rows, dtype=np.int64))
    return index.find(digests)


def _joined(parts: Sequence[npt.NDArray[T]], dtype: type[T]) -> npt.NDArray[T]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
