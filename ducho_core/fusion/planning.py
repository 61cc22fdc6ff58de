"""Which rows of a fused set are not stored yet."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ducho_core.fusion.layouts import Layout
    from ducho_core.store.rows import Rows
    from ducho_core.store.writer import SetWriter


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A planned chunk that is not committed.

    Attributes:
        plan: number of its plan.
        chunk: its number in the plan.
        keys: its keys, in plan order.
        numbers: number of each in the layout, -1 where it takes no part any more.
    """

    plan: int
    chunk: int
    keys: pa.RecordBatch
    numbers: Rows


def plan_new(writer: SetWriter, layout: Layout) -> None:
    """Plan the keys that are in no plan yet; of several processes one does it."""
    while True:
        numbers = writer.plan_numbers()
        wanted = layout.kept.copy()
        for number in numbers:
            for batch in writer.plan_batches(number, list(layout.keys)):
                known = layout.find(batch)
                wanted[known[known >= 0]] = False
        if not wanted.any() and numbers:
            return
        if writer.commit_plan(max(numbers, default=-1) + 1, _plan(layout, wanted)):
            return


def pending_chunks(writer: SetWriter, layout: Layout) -> Iterator[PendingChunk]:
    """The chunks that are planned and not committed, in order."""
    done = writer.committed()
    for number in writer.plan_numbers():
        held: list[pa.RecordBatch] = []
        for batch in writer.plan_batches(number, [*layout.keys, "chunk"]):
            chunks = batch["chunk"].to_numpy()
            bounds = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(chunks)]
            for first, last in itertools.pairwise(bounds):
                if first == last:
                    continue
                part = batch.slice(first, last - first)
                if held and held[0]["chunk"][0] != part["chunk"][0]:
                    yield from _chunk(number, held, layout, done)
                    held = []
                held.append(part)
        if held:
            yield from _chunk(number, held, layout, done)


def _chunk(
    plan: int, parts: list[pa.RecordBatch], layout: Layout, done: set[tuple[int, int]]
) -> Iterator[PendingChunk]:
    chunk = parts[0]["chunk"][0].as_py()
    if (plan, chunk) in done:
        return
    table = pa.Table.from_batches(parts).select(list(layout.keys)).combine_chunks()
    (keys,) = table.to_batches()
    yield PendingChunk(plan, chunk, keys, layout.find(keys))


def _plan(layout: Layout, wanted: npt.NDArray[np.bool_]) -> pa.Table:
    parts = []
    for chunk, numbers in enumerate(layout.chunks(wanted)):
        keys = layout.key_batch(numbers)
        column = pa.array(np.full(len(numbers), chunk, np.int32))
        parts.append(keys.append_column("chunk", column))
    return pa.Table.from_batches(parts)
