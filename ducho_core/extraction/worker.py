"""A worker: prepare, extract and commit overlapped, within bounds in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ducho_core.extraction.committing import Committer, Finished
from ducho_core.extraction.extracting import Batches, BatchExtractor, OutputBuffer
from ducho_core.extraction.inputs import InputReader
from ducho_core.extraction.job import ChunkResult, Job, Seconds
from ducho_core.extraction.preparing import Chunk, ChunkState, Preparer, Slice, Task
from ducho_core.extraction.recent import RecentOutputs
from ducho_core.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ducho_core.extractor import Extractor

TEXT_SLICE = 1024
MEDIA_SLICE = 8
"""Rows handed to a preparing thread at once."""

ROWS_AHEAD = 512
"""The next chunks are prepared until there are as many rows, and one whole chunk at least."""

_FIRST_GUESS = {"inline": 1024, "path": 256 * 1024, "bytes": 256 * 1024}


@dataclass(slots=True)
class _Submitted:
    future: Future[Slice]
    rows: int
    guess: int


@dataclass(slots=True)
class _Ahead:
    state: ChunkState
    slices: deque[_Submitted] = field(default_factory=deque)
    next_row: int = 0


class Worker:
    """Processes chunks of one job with one loaded extractor.

    Args:
        job: what to do.
        extractor: the loaded extractor.
        stop: set by whoever wants the worker to stop after the batch in hand.
        say: told what the user should know.
        on_items: told after every batch how many items it held.
    """

    def __init__(
        self,
        job: Job,
        extractor: Extractor,
        *,
        stop: threading.Event | None = None,
        say: Callable[[str], None] = lambda _: None,
        on_items: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._job = job
        self._stop = stop or threading.Event()
        self._on_items = on_items
        self._outputs = job.loaded_outputs(extractor)
        self._batches = Batches(job.batch_size, job.batch_budget, padded=job.padded)
        self._recent = RecentOutputs()
        self._preparer = Preparer(
            extractor, InputReader(job.fields, job.root), self._recent, job.plugin
        )
        self._extract = BatchExtractor(extractor, self._outputs, self._batches, job.plugin, say)
        inline = all(one.storage == "inline" for one in job.fields)
        self._slice_rows = TEXT_SLICE if inline else MEDIA_SLICE
        self._row_bytes = float(sum(_FIRST_GUESS[one.storage] for one in job.fields))
        self._outstanding = 0
        self._seconds = Seconds()
        self._held: list[Finished] = []
        self._stored_any = False

    def process(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """Prepare, extract and commit; results as chunks are committed.

        Raises:
            ContractError: the extractor broke its contract.
            StoreError: a chunk could not be written; what was committed stays.
        """
        keys = tuple(str(key) for key in self._job.spec["keys"])  # type: ignore[union-attr]
        writer = Store(self._job.store).create_set(self._job.spec)
        committer = Committer(writer, self._outputs, keys, self._job.run_id)
        source = iter(chunks)
        ahead: deque[_Ahead] = deque()
        pool = ThreadPoolExecutor(self._job.workers, thread_name_prefix="ducho-prepare")
        try:
            while not self._stop.is_set():
                self._top_up(pool, source, ahead)
                if not ahead:
                    break
                finished = self._extract_chunk(pool, source, ahead)
                if finished is None:
                    break
                self._hand_over(committer, finished)
                yield from committer.results()
            for held in self._held:
                committer.put(held)
            self._held = []
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            last = committer.close()
        yield from last

    def _extract_chunk(
        self, pool: ThreadPoolExecutor, source: Iterator[Chunk], ahead: deque[_Ahead]
    ) -> Finished | None:
        """Extract the first chunk; None if told to stop before it is whole."""
        current = ahead[0]
        state = current.state
        buffer = OutputBuffer(self._outputs, state.rows)
        window: list[Task] = []
        sizes: set[int] = set()
        held = held_rows = 0
        while current.slices or current.next_row < state.rows:
            self._top_up(pool, source, ahead)
            submitted = current.slices.popleft()
            begun = time.perf_counter()
            part = submitted.future.result()
            self._seconds["wait"] += time.perf_counter() - begun
            if self._stop.is_set():
                return None
            self._outstanding += part.nbytes - submitted.guess
            held += part.nbytes
            held_rows += submitted.rows - len(part.tasks)
            if submitted.rows:
                seen = part.nbytes / submitted.rows
                self._row_bytes += 0.2 * (seen - self._row_bytes)
            window.extend(part.tasks)
            sizes |= part.sizes
            # Where all samples cost the same there is nothing to sort and no need to wait.
            while len(sizes) == 1 and len(window) >= (full := self._batches.full(*sizes)):
                self._run(window[:full], buffer, state)
                window = window[full:]
                if self._stop.is_set():
                    return None
            if held > self._job.queue_bytes // 2 or not window:
                if not self._flush(window, buffer, state):
                    return None
                window = []
                self._outstanding -= held
                held = 0
        if not self._flush(window, buffer, state):
            return None
        self._outstanding -= held
        ahead.popleft()
        self._on_items(held_rows)
        self._remember(state, buffer)
        seconds, self._seconds = self._seconds, Seconds()
        return Finished(state, buffer, seconds)

    def _flush(self, window: list[Task], buffer: OutputBuffer, state: ChunkState) -> bool:
        for batch in self._batches.cut(window):
            if self._stop.is_set():
                return False
            self._run(batch, buffer, state)
        return True

    def _run(self, batch: list[Task], buffer: OutputBuffer, state: ChunkState) -> None:
        begun = time.perf_counter()
        reason = self._extract.run(batch, buffer, state.failures)
        self._seconds["extract"] += time.perf_counter() - begun
        if reason is not None:
            state.transient = reason
        self._on_items(len(batch))

    def _top_up(
        self, pool: ThreadPoolExecutor, source: Iterator[Chunk], ahead: deque[_Ahead]
    ) -> None:
        while True:
            last = ahead[-1] if ahead else None
            if last is None or last.next_row >= last.state.rows:
                waiting = sum(one.state.rows for one in list(ahead)[1:])
                if len(ahead) > 1 and waiting >= ROWS_AHEAD:
                    return
                chunk = next(source, None)
                if chunk is None:
                    return
                last = _Ahead(ChunkState.of(chunk))
                ahead.append(last)
            guess = int(self._row_bytes * self._slice_rows)
            starving = not ahead[0].slices and last is ahead[0]
            if self._outstanding + guess > self._job.queue_bytes // 2 and not starving:
                return
            start = last.next_row
            stop = min(start + self._slice_rows, last.state.rows)
            if start < stop:
                guess = int(self._row_bytes * (stop - start))
                future = pool.submit(self._preparer.prepare, last.state, start, stop)
                last.slices.append(_Submitted(future, stop - start, guess))
                self._outstanding += guess
            last.next_row = stop

    def _hand_over(self, committer: Committer, finished: Finished) -> None:
        # A plugin that fails on everything must not fill the store with failures first.
        state = finished.state
        failing = any(one.stage == "extract" for one in state.failures.values())
        if not self._stored_any and failing and len(state.failures) == state.rows:
            self._held.append(finished)
            return
        self._stored_any = True
        for held in self._held:
            committer.put(held)
        self._held = []
        committer.put(finished)

    def _remember(self, state: ChunkState, buffer: OutputBuffer) -> None:
        if state.failures or state.transient:
            fresh = {
                digest: row
                for digest, row in state.owners.items()
                if row not in state.failures and row not in state.known
            }
        elif state.known:
            fresh = {d: row for d, row in state.owners.items() if row not in state.known}
        else:
            fresh = state.owners
        if state.transient is None:
            self._recent.add(fresh, buffer.columns, buffer.nbytes)
