"""The prepare stage: slices of a chunk read, de-duplicated and turned into samples."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ducho_core.errors import ContractError, ItemError, TransientError, UsageError
from ducho_core.extraction.inputs import AbsentInput, InputReader, Reference
from ducho_core.extraction.spool import POSITION
from ducho_core.media import Media

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from ducho_core.extraction.recent import RecentOutputs
    from ducho_core.extractor import Extractor, Sample

Inputs = dict[str, Any]
"""Input name to ``InputValue``, or to ``JointValue`` for an extractor that takes several."""

MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of work: a plan's number, the chunk's number in it, its inputs.

    Attributes:
        inputs: keys, one column of references per input, and ``_position``; in plan order.
        planned: the rows that the plan has; of those missing here the source has no row.
    """

    plan: int
    index: int
    inputs: pa.RecordBatch
    planned: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a row has no vector.

    Attributes:
        status: ``failed``, ``absent`` or ``withdrawn``.
    """

    status: str
    stage: str = ""
    code: str = ""
    message: str = ""


ABSENT = Failure("absent", "source", "absent", "the item has no such input")


@dataclass(slots=True)
class Task:
    """A sample on its way through ``extract``, with the row that it stands for."""

    row: int
    sample: Sample
    size: int


@dataclass(slots=True)
class Slice:
    """A prepared part of a chunk.

    Attributes:
        tasks: the samples.
        nbytes: their size, estimated from some of them.
        sizes: the different costs among them.
    """

    tasks: list[Task]
    nbytes: int
    sizes: set[int]


@dataclass(slots=True)
class ChunkState:
    """A chunk in the pipeline.

    Attributes:
        owner: for each row the row whose sample stands for it; itself unless content repeats.
        digests: ``input_sha256`` of each row read so far.
        failures: by owner row.
        known: outputs taken over from recent chunks, by owner row.
        notes: what prepare noted.
        transient: why the chunk cannot be committed this time, where it cannot.
        seconds: spent preparing, summed over threads.
    """

    chunk: Chunk
    rows: int
    owner: list[int]
    digests: list[bytes | None]
    failures: dict[int, Failure] = field(default_factory=dict)
    known: dict[int, Any] = field(default_factory=dict)
    owners: dict[bytes, int] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    transient: str | None = None
    seconds: float = 0.0
    slices_left: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, chunk: Chunk) -> ChunkState:
        rows = chunk.inputs.num_rows
        return cls(chunk, rows, list(range(rows)), [None] * rows)


class Preparer:
    """Prepares slices of chunks, from several threads at once.

    Args:
        extractor: the loaded extractor.
        reader: reads the inputs.
        recent: outputs of contents met a short while ago.
        plugin: the extractor's canonical name, for messages.
    """

    def __init__(
        self, extractor: Extractor, reader: InputReader, recent: RecentOutputs, plugin: str
    ) -> None:
        self._extractor = extractor
        self._reader = reader
        self._recent = recent
        self._plugin = plugin
        self._names = [one.name for one in reader.fields]
        self._serial = None if extractor.threadsafe_prepare else threading.Lock()

    def references(self, chunk: Chunk, start: int, stop: int) -> list[list[Reference]]:
        """The references of some rows, a list a row."""
        part = chunk.inputs.slice(start, stop - start)
        columns = [part.column(name).to_pylist() for name in self._names]
        return [list(row) for row in zip(*columns, strict=True)]

    def prepare(self, state: ChunkState, start: int, stop: int) -> Slice:
        """Read and prepare the rows from ``start`` to ``stop``."""
        begun = time.perf_counter()
        inputs: list[Inputs] = []
        rows: list[int] = []
        if self._reader.single_inline_text:
            self._take_texts(state, start, stop, inputs, rows)
        else:
            self._read_inputs(state, start, stop, inputs, rows)
        tasks = self._prepare_inputs(state, inputs, rows)
        probes = tasks[:: max(1, len(tasks) // 8)]
        nbytes = sum(_nbytes(task.sample.data) for task in probes)
        nbytes = nbytes * len(tasks) // max(1, len(probes))
        with state.lock:
            state.seconds += time.perf_counter() - begun
        return Slice(tasks, nbytes, {task.size for task in tasks})

    def _take_texts(
        self,
        state: ChunkState,
        start: int,
        stop: int,
        inputs: list[Inputs],
        rows: list[int],
    ) -> None:
        (name,) = self._names
        part = state.chunk.inputs.slice(start, stop - start).column(name).to_pylist()
        digests = [None if text is None else sha256(text.encode()).digest() for text in part]
        state.digests[start:stop] = digests
        for row, (text, digest) in enumerate(zip(part, digests, strict=True), start):
            if digest is None:
                state.failures[row] = ABSENT
            elif self._owns(state, row, digest):
                inputs.append({name: text})
                rows.append(row)

    def _read_inputs(
        self,
        state: ChunkState,
        start: int,
        stop: int,
        inputs: list[Inputs],
        rows: list[int],
    ) -> None:
        for row, references in enumerate(self.references(state.chunk, start, stop), start):
            try:
                values, digest = self._reader.read(references)
            except AbsentInput:
                state.failures[row] = ABSENT
            except ItemError as error:
                state.failures[row] = failure("read", error)
            except TransientError as error:
                state.transient = str(error)
            else:
                state.digests[row] = digest
                if self._owns(state, row, digest):
                    inputs.append(values)
                    rows.append(row)

    def _owns(self, state: ChunkState, row: int, digest: bytes) -> bool:
        owner = state.owners.setdefault(digest, row)
        if owner != row:
            state.owner[row] = owner
            return False
        known = self._recent.get(digest)
        if known is not None:
            state.known[row] = known
            return False
        return True

    def _prepare_inputs(
        self, state: ChunkState, inputs: list[Inputs], rows: list[int]
    ) -> list[Task]:
        if not inputs:
            return []
        if self._serial is not None:
            with self._serial:
                prepared = self._samples(inputs)
        else:
            prepared = self._samples(inputs)
        tasks = []
        notes: Counter[str] = Counter()
        size = self._extractor.size
        for row, values, sample in zip(rows, inputs, prepared, strict=True):
            if isinstance(sample, Failure):
                state.failures[row] = sample
                continue
            if isinstance(sample, TransientError):
                state.transient = str(sample)
                continue
            tasks.append(Task(row, sample, size(sample)))
            # A sample may repeat what its media noted: a word counts once an item.
            noted = set(sample.notes)
            for value in values.values():
                for part in value if isinstance(value, tuple) else (value,):
                    if isinstance(part, Media):
                        noted.update(part.notes)
            if noted:
                notes.update(noted)
        if notes:
            with state.lock:
                state.notes.update(notes)
        return tasks

    def _samples(self, inputs: Sequence[Inputs]) -> Sequence[Sample | Failure | TransientError]:
        try:
            samples = self._extractor.prepare_many(inputs)
        except (UsageError, ContractError):
            raise
        except Exception:  # noqa: BLE001 - found out one by one below
            return [self._sample(one) for one in inputs]
        if len(samples) != len(inputs):
            raise ContractError(
                f"{self._plugin}: prepare_many was given {len(inputs)} items and returned"
                f" {len(samples)} samples"
            )
        return samples

    def _sample(self, values: Inputs) -> Sample | Failure | TransientError:
        try:
            return self._extractor.prepare(values)
        except (UsageError, ContractError):
            raise
        except ItemError as error:
            return failure("prepare", error)
        except TransientError as error:
            return error
        except (MemoryError, ConnectionError, TimeoutError) as error:
            return TransientError(f"{self._plugin} prepare: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a bad item leads a plugin to
            return failure("prepare", error)


def failure(stage: str, error: Exception) -> Failure:
    """The failure row of an exception."""
    if isinstance(error, ItemError):
        return Failure("failed", stage, error.code, error.message[:MAX_MESSAGE])
    message = f"{type(error).__name__}: {error}"
    return Failure("failed", stage, f"{stage}_error", message[:MAX_MESSAGE])


def withdrawn_positions(chunk: Chunk) -> npt.NDArray[np.int64]:
    """Positions of the plan's rows that the source no longer has."""
    mask = np.ones(chunk.planned, dtype=bool)
    mask[chunk.inputs.column(POSITION).to_numpy()] = False
    return np.flatnonzero(mask)


def _nbytes(data: Any) -> int:
    if isinstance(data, bytes | str):
        return len(data)
    nbytes = getattr(data, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    if isinstance(data, dict):
        return 64 + sum(_nbytes(value) for value in data.values())
    if isinstance(data, list | tuple):
        if data and isinstance(data[0], int | float):
            return 32 * len(data)
        return 64 + sum(_nbytes(value) for value in data)
    return 64
