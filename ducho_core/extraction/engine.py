"""Engines: what carries chunks to workers. The built-in one is this process, with threads."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from ducho_core.extraction.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ducho_core.extraction.job import ChunkResult, Job
    from ducho_core.extraction.preparing import Chunk
    from ducho_core.extractor import JSON, Extractor


class Engine(ABC):
    """Distributes chunks; the job does the work, so that engines stay small.

    Args:
        stop: set when the user wants to stop; no further chunk is begun then.
        say: told what the user should know.
        on_items: told how many items have been dealt with since it was told last.

    Attributes:
        load_seconds: spent loading extractors so far.
        circumstances: what the loaded extractor says of its device; recorded, never hashed.
    """

    def __init__(
        self,
        *,
        stop: threading.Event,
        say: Callable[[str], None],
        on_items: Callable[[int], None],
    ) -> None:
        self.stop = stop
        self.say = say
        self.on_items = on_items
        self.load_seconds = 0.0
        self.circumstances: Mapping[str, JSON] = {}

    @abstractmethod
    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """Process chunks in any order, each once; results as they are committed."""

    def close(self) -> None:  # noqa: B027 - an engine may have nothing to free
        """Free what was loaded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


class LocalEngine(Engine):
    """This process, with threads. A loaded extractor serves all jobs that resolve alike."""

    _extractor: Extractor | None = None
    _loaded_for: object = None

    def run(self, job: Job, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        if self._extractor is None or self._loaded_for is not job.resolved:
            self.close()
            begun = time.perf_counter()
            self._extractor = job.load()
            self._loaded_for = job.resolved
            self.circumstances = dict(self._extractor.circumstances)
            self.load_seconds += time.perf_counter() - begun
        worker = Worker(job, self._extractor, stop=self.stop, say=self.say, on_items=self.on_items)
        yield from worker.process(chunks)

    def close(self) -> None:
        if self._extractor is not None:
            self._extractor.close()
            self._extractor = None
            self._loaded_for = None
