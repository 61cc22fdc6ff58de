"""The write stage: a chunk's rows back in plan order, committed by a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.extraction.job import ChunkResult, Seconds
from ducho_core.extraction.preparing import (
    MAX_MESSAGE,
    ChunkState,
    Failure,
    withdrawn_positions,
)
from ducho_core.store.schema import embedding_array, scale_name, to_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.extraction.extracting import OutputBuffer
    from ducho_core.extractor import Output
    from ducho_core.store.writer import SetWriter

_EXAMPLES = 5


@dataclass(slots=True)
class Finished:
    """A chunk that is extracted and waits to be written."""

    state: ChunkState
    buffer: OutputBuffer
    seconds: Seconds


class Committer:
    """Writes finished chunks in a thread of its own.

    Args:
        writer: the feature set.
        outputs: its outputs, every ``dim`` known.
        keys: its key columns.
        run_id: names the run.
    """

    def __init__(
        self, writer: SetWriter, outputs: Sequence[Output], keys: tuple[str, ...], run_id: str
    ) -> None:
        self._writer = writer
        self._outputs = tuple(outputs)
        self._keys = keys
        self._run_id = run_id
        self._stored_dtype = str(writer.spec["stored_dtype"])
        self._schema = writer.schema(
            {one.name: one.dim for one in outputs if one.kind == "embedding" and one.dim}
        )
        self._waiting: queue.Queue[Finished | None] = queue.Queue(maxsize=2)
        self._done: deque[ChunkResult] = deque()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ducho-write", daemon=True)
        self._thread.start()

    def put(self, finished: Finished) -> None:
        """Hand over a chunk; blocks while two others wait.

        Raises:
            StoreError: an earlier chunk could not be written.
        """
        while True:
            self._raise()
            try:
                self._waiting.put(finished, timeout=0.2)
            except queue.Full:
                continue
            return

    def results(self) -> list[ChunkResult]:
        """What has been committed since the last call.

        Raises:
            StoreError: a chunk could not be written.
        """
        self._raise()
        taken = []
        while self._done:
            taken.append(self._done.popleft())
        return taken

    def close(self) -> list[ChunkResult]:
        """Wait for everything handed over; the last results.

        Raises:
            StoreError: a chunk could not be written.
        """
        while self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=0.2)
            except queue.Full:
                continue
            break
        self._thread.join()
        return self.results()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            finished = self._waiting.get()
            if finished is None:
                return
            try:
                self._done.append(self._commit(finished))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self._error = error
                return

    def _commit(self, finished: Finished) -> ChunkResult:
        begun = time.perf_counter()
        state = finished.state
        chunk = state.chunk
        result = ChunkResult(plan=chunk.plan, index=chunk.index, seconds=finished.seconds)
        result.seconds["prepare"] += state.seconds
        if state.transient is not None:
            result.committed = False
            result.reason = state.transient
            return result
        failures = self._row_failures(state)
        result.notes = state.notes
        read = state.rows - state.digests.count(None)
        result.repeated = read - len(state.owners) + len(state.known)
        rows = self._rows(state, finished.buffer, failures, result)
        failed = self._failure_table(state, failures)
        result.stored = rows.num_rows
        result.committed = self._writer.commit_chunk(
            chunk.plan, chunk.index, rows, failed, self._run_id
        )
        if not result.committed:
            result.elsewhere = chunk.planned
        self._count(result, chunk.inputs, failures)
        result.withdrawn = chunk.planned - state.rows
        result.seconds["write"] += time.perf_counter() - begun
        return result

    def _row_failures(self, state: ChunkState) -> dict[int, Failure]:
        if not state.failures:
            return {}
        return {
            row: state.failures[owner]
            for row, owner in enumerate(state.owner)
            if owner in state.failures
        }

    def _rows(
        self,
        state: ChunkState,
        buffer: OutputBuffer,
        failures: dict[int, Failure],
        result: ChunkResult,
    ) -> pa.Table:
        for row, values in state.known.items():
            buffer.put([row], {name: [value] for name, value in values.items()})
        embeddings = self._stored_embeddings(buffer, state, failures)
        kept = np.arange(state.rows, dtype=np.int64)
        if failures:
            kept = np.delete(kept, list(failures))
        owners = np.asarray(state.owner, np.int64)[kept]
        if not buffer.filled[owners].all():
            raise AssertionError("a row without outputs is about to be committed")
        whole = len(kept) == state.rows and bool((owners == kept).all())
        columns: dict[str, pa.Array] = {}
        for name in self._keys:
            column = state.chunk.inputs.column(name)
            columns[name] = column if whole else column.take(pa.array(kept))
        for output in self._outputs:
            values = buffer.columns[output.name]
            if isinstance(values, list):
                listed = [values[owner] for owner in owners.tolist()]
                columns[output.name] = pa.array(listed, self._schema.field(output.name).type)
                if output.kind == "scalar":
                    result.scalars[output.name] = _summed(columns[output.name])
                continue
            self._note_zeros(values, owners, result)
            stored, scale = embeddings[output.name]
            columns[output.name] = embedding_array(stored if whole else stored[owners])
            if scale is not None:
                columns[scale_name(output.name)] = pa.array(scale if whole else scale[owners])
        digests = state.digests
        columns["input_sha256"] = pa.array(
            digests if whole else [digests[row] for row in kept.tolist()], pa.binary(32)
        )
        return pa.table(columns)

    def _stored_embeddings(
        self, buffer: OutputBuffer, state: ChunkState, failures: dict[int, Failure]
    ) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None]]:
        stored = {}
        for output in self._outputs:
            array = buffer.columns[output.name]
            if isinstance(array, list):
                continue
            values, scale, unfit = to_stored(array, self._stored_dtype)
            stored[output.name] = (values, scale)
            if not unfit.any():
                continue
            why = Failure(
                "failed", "check", "overflow", f"a value is too large for {self._stored_dtype}"
            )
            for row, owner in enumerate(state.owner):
                if unfit[owner]:
                    failures.setdefault(row, why)
        return stored

    def _note_zeros(self, array: Any, owners: npt.NDArray[np.int64], result: ChunkResult) -> None:
        begins_with_zero = owners[array[owners, 0] == 0]
        count = int((~array[begins_with_zero].any(axis=1)).sum())
        if count:
            result.notes["zero_vector"] += count

    def _failure_table(self, state: ChunkState, failures: dict[int, Failure]) -> pa.Table | None:
        chunk = state.chunk
        gone = withdrawn_positions(chunk)
        if not failures and not len(gone):
            return None
        rows = sorted(failures)
        columns: dict[str, Any] = {}
        for name in self._keys:
            keys = chunk.inputs.column(name).take(pa.array(rows, pa.int64())).to_pylist()
            columns[name] = keys
        listed = [failures[row] for row in rows]
        digests = [state.digests[row] for row in rows]
        if len(gone):
            plan = self._writer.read_plan(chunk.plan)
            chunks = plan.column("chunk").to_numpy()
            start = int(np.searchsorted(chunks, chunk.index, side="left"))
            for name in self._keys:
                columns[name] += plan.column(name).take(pa.array(start + gone)).to_pylist()
            why = Failure("withdrawn", "source", "withdrawn", "the key has left the source")
            listed += [why] * len(gone)
            digests += [None] * len(gone)
        table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
        for name in ("status", "stage", "code", "message"):
            table[name] = pa.array([_clip(getattr(one, name)) for one in listed], pa.string())
        table["input_sha256"] = pa.array(digests, pa.binary(32))
        table["run_id"] = pa.array([self._run_id] * len(listed), pa.string())
        return pa.table(table)

    def _count(
        self, result: ChunkResult, inputs: pa.RecordBatch, failures: dict[int, Failure]
    ) -> None:
        for row, one in failures.items():
            if one.status == "absent":
                result.absent += 1
                continue
            result.failed[one.code] += 1
            if len(result.examples) < _EXAMPLES:
                key = "/".join(str(inputs.column(name)[row].as_py()) for name in self._keys)
                result.examples.append((key, one.code, one.message))


def _summed(scalars: pa.Array) -> tuple[int, float]:
    """How many have a value, and their sum; a flag counts as 0 or 1."""
    total = pc.sum(scalars.cast(pa.float64(), safe=False)).as_py()
    return len(scalars) - scalars.null_count, total or 0.0


def _clip(text: str) -> str:
    # A decoder may quote bytes of the file that are no text.
    return text[:MAX_MESSAGE].encode("utf-8", "replace").decode()
