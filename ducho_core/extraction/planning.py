"""The planning pass: what of a source is new, pending, changed or gone."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.catalogue import arrow_type
from ducho_core.errors import (
    ChangedInputError,
    ItemError,
    SourceError,
    StoreError,
    TransientError,
    UsageError,
)
from ducho_core.extraction.digest_index import DigestIndex
from ducho_core.extraction.inputs import AbsentInput, InputReader
from ducho_core.extraction.known import KnownKeys, Status
from ducho_core.extraction.spool import POSITION, Spool
from ducho_core.extraction.windows import Window, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ducho_core.catalogue import InputField
    from ducho_core.loader import Loader
    from ducho_core.store.writer import SetWriter

ALL_ABSENT_AFTER = 1000
"""If so many first items have no input at all, the template is wrong."""

RAMP = (8, 32, 128, 512)
"""Rows of the first chunks of a run, so that its first rows are stored soon."""

_SHOWN = 10


@dataclass(slots=True)
class Plan:
    """What a planning pass found.

    Attributes:
        pending: the chunks to extract, in order; those that nobody's source row is for last.
        rows: how many items of the source are in them.
        new: of these, how many were planned now.
        stored, failed, absent: items that earlier runs dealt with and this one skips.
        duplicates: rows of the source that repeat a key with the same content.
        withdrawn: planned keys that left the source.
    """

    pending: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0
    new: int = 0
    stored: int = 0
    failed: int = 0
    absent: int = 0
    duplicates: int = 0
    withdrawn: int = 0


class LostPlanError(Exception):
    """Another process put a plan first; the pass starts over and finds its keys planned."""


class Planner:
    """One planning pass over a source for one feature set.

    Args:
        loader: the opened source.
        fields: the inputs that the set requires.
        writer: the set, or None where it does not exist yet (dry run).
        spool: takes the inputs of what is pending.
        plans: path of a temporary file for the new plans.
        chunk_size: rows a chunk.
        ramp: whether the first chunks of the run are smaller.
        retry_failed: plan failed items again.
        rehash: hash every input again instead of trusting validators.
        on_rows: told how many rows have been read.
    """

    def __init__(
        self,
        *,
        loader: Loader,
        fields: Sequence[InputField],
        writer: SetWriter | None,
        spool: Spool,
        plans: Path,
        chunk_size: int,
        ramp: bool,
        retry_failed: bool = False,
        rehash: bool = False,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._loader = loader
        self._fields = tuple(fields)
        self._keys = loader.keys
        self._writer = writer
        self._spool = spool
        self._new_plans = Spool(plans)
        self._sizes = list(RAMP) if ramp else []
        self._chunk_size = chunk_size
        self._retry_failed = retry_failed
        self._rehash = rehash
        self._on_rows = on_rows
        self._reader = InputReader(self._fields, loader.root)
        self._known = KnownKeys(writer, self._keys, [one.name for one in self._fields])
        self._seen = DigestIndex()
        self._changed: list[str] = []
        self._changed_count = 0
        self._windows_planned = 0
        self._plan = Plan()

    def run(self) -> Plan:
        """Read the source once, commit the new plans, and say what is pending.

        Raises:
            SourceError: the source has no rows, or a key repeats with other content.
            UsageError: no item has the input; with the path or column looked at.
            ChangedInputError: stored items have other content now.
            LostPlanError: another process planned meanwhile.
        """
        try:
            self._read_source()
            self._commit_plans()
            return self._settle()
        finally:
            self._new_plans.close()

    def dry_run(self) -> Plan:
        """Read the source once and say what is pending; commit nothing.

        Raises:
            DuchoError: as ``run`` does.
        """
        try:
            self._read_source()
            return self._settle()
        finally:
            self._new_plans.close()

    @property
    def plan(self) -> Plan:
        """What has been found."""
        return self._plan

    def empty_inputs(self) -> pa.RecordBatch:
        """The inputs of a chunk that no row of the source is for."""
        columns = {name: pa.array([], pa.string()) for name in self._keys}
        columns |= {one.name: pa.array([], arrow_type(one)) for one in self._fields}
        columns[POSITION] = pa.array([], pa.int32())
        return pa.RecordBatch.from_pydict(columns)

    def _read_source(self) -> None:
        rows = present = 0
        first: Window | None = None
        for window in windows(self._loader, self._keys, self._fields, self._chunk_size):
            first = first or window
            rows += window.rows.num_rows
            present += int(window.present.sum())
            self._on_rows(window.rows.num_rows)
            if present == 0 and rows >= ALL_ABSENT_AFTER:
                self._refuse_all_absent(first, rows)
            self._classify(self._without_duplicates(window))
        if first is None:
            raise SourceError("the source has no rows: nothing to extract")
        if present == 0:
            self._refuse_all_absent(first, rows)
        if self._changed_count:
            self._refuse_changed()

    def _without_duplicates(self, window: Window) -> Window:
        found, content = self._seen.find(window.digests)
        mine = window.content.view(np.int64)
        repeated = found.copy()
        if len(np.unique(window.digests[:, 0])) < len(found):
            _, first, inverse = np.unique(
                window.digests, axis=0, return_index=True, return_inverse=True
            )
            earlier = first[inverse.reshape(-1)]
            inside = (earlier != np.arange(len(found))) & ~found
            content = np.where(inside, mine[earlier], content)
            repeated |= inside
        if not repeated.any():
            self._seen.add(window.digests, mine)
            return window
        different = np.flatnonzero(repeated & (content != mine))
        if len(different):
            self._refuse_duplicates(window, different)
        self._plan.duplicates += int(repeated.sum())
        window = window.take(np.flatnonzero(~repeated))
        self._seen.add(window.digests, window.content.view(np.int64))
        return window

    def _classify(self, window: Window) -> None:
        found, rows = self._known.index.find(window.digests)
        replan = ~found
        if found.any():
            replan |= self._classify_known(window, np.flatnonzero(found), rows)
        fresh = np.flatnonzero(replan)
        if len(fresh):
            self._plan_window(window.take(fresh) if len(fresh) < len(found) else window)

    def _classify_known(
        self, window: Window, at: npt.NDArray[np.int64], all_rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        rows = all_rows[at]
        self._known.seen[rows] = True
        status = self._known.status[rows]
        present = window.present[at]
        replan = np.zeros(len(all_rows), dtype=bool)

        self._file_pending(window, at[status == Status.PENDING], all_rows)

        stored = status == Status.STORED
        self._plan.stored += int(stored.sum())
        settled = stored | (status == Status.FAILED)
        differs = np.zeros(len(at), dtype=bool)
        if settled.any():
            differs[settled] = self._validators_differ(window, at[settled], rows[settled])
        check = stored & present & (differs | self._rehash)
        if check.any():
            self._compare_stored(window, at[check], rows[check])

        failed = status == Status.FAILED
        again = failed & present & (differs | self._retry_failed)
        self._plan.failed += int((failed & ~again).sum())
        gone = (status == Status.ABSENT) | (status == Status.WITHDRAWN)
        self._plan.absent += int((gone & ~present).sum())
        replan[at[again | (gone & present)]] = True
        return replan

    def _validators_differ(
        self, window: Window, at: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        differs = np.zeros(len(at), dtype=bool)
        for name, values in window.validators.items():
            mine = pa.array(values, pa.binary()).take(pa.array(at))
            same = pc.equal(mine, self._known.validators(name, rows))
            differs |= ~pc.fill_null(same, False).to_numpy(zero_copy_only=False)  # noqa: FBT003
        return differs

    def _compare_stored(
        self, window: Window, at: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> None:
        stored = self._known.input_digests(rows, window.digests[at])
        columns = [window.rows.column(one.name) for one in self._fields]
        for place, expected in zip(at.tolist(), stored, strict=True):
            try:
                _, digest = self._reader.read([column[place].as_py() for column in columns])
            except AbsentInput:
                continue
            except (ItemError, TransientError):
                digest = b""
            if digest != expected:
                self._changed_count += 1
                if len(self._changed) < _SHOWN:
                    self._changed.append(_key_words(window.rows, self._keys, place))

    def _file_pending(
        self, window: Window, at: npt.NDArray[np.int64], all_rows: npt.NDArray[np.int64]
    ) -> None:
        if not len(at):
            return
        rows = all_rows[at]
        order = np.argsort(rows, kind="stable")
        at, rows = at[order], rows[order]
        places = np.stack([self._known.plan[rows], self._known.chunk[rows]], axis=1)
        starts = np.flatnonzero(np.r_[True, (places[1:] != places[:-1]).any(axis=1)])
        for start, end in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
            chunk = (int(places[start, 0]), int(places[start, 1]))
            part = slice(int(start), int(end))
            self._spool.add(
                chunk, window.rows.take(pa.array(at[part])), self._known.position[rows[part]]
            )
        self._plan.rows += len(rows)

    def _plan_window(self, window: Window) -> None:
        _, first, inverse = np.unique(window.content, return_index=True, return_inverse=True)
        group = first[inverse.reshape(-1)]
        order = np.argsort(group, kind="stable")
        if len(first) < len(group):
            window = window.take(order)
        group = group[order]
        chunks = np.empty(len(group), dtype=np.int32)
        self._windows_planned += 1
        provisional = -self._windows_planned
        start = number = 0
        while start < len(group):
            end = self._chunk_end(group, start)
            chunks[start:end] = number
            part = window.rows.slice(start, end - start)
            self._spool.add((provisional, number), part, np.arange(end - start, dtype=np.int32))
            start, number = end, number + 1
        table = {name: window.rows.column(name) for name in self._keys}
        table["chunk"] = pa.array(chunks)
        for name, values in window.validators.items():
            table[f"validator_{name}"] = pa.array(values, pa.binary())
        self._new_plans.add(
            (provisional, 0),
            pa.RecordBatch.from_pydict(table),
            np.arange(len(chunks), dtype=np.int32),
        )
        self._plan.new += len(chunks)
        self._plan.rows += len(chunks)

    def _chunk_end(self, group: npt.NDArray[np.int64], start: int) -> int:
        size = self._sizes.pop(0) if self._sizes else self._chunk_size
        size = min(size, self._chunk_size)
        end = min(start + size, len(group))
        if end < len(group) and group[end] == group[end - 1]:
            whole = int(np.searchsorted(group[start:end], group[end])) + start
            if whole > start:
                return whole
            # The group alone is larger: it stays together as far as a full chunk goes.
            after = int(np.searchsorted(group, group[end], side="right"))
            return min(after, start + self._chunk_size)
        return end

    def _commit_plans(self) -> None:
        assert self._writer is not None
        number = max(self._known.plan_numbers, default=-1) + 1
        names: dict[int, int] = {}
        for window in range(1, self._windows_planned + 1):
            batch = self._new_plans.read((-window, 0))
            table = pa.Table.from_batches([batch.drop_columns([POSITION])])
            if not self._writer.commit_plan(number, table):
                raise LostPlanError
            names[-window] = number
            counts = np.bincount(batch.column("chunk").to_numpy())
            for chunk, count in enumerate(counts):
                self._known.chunk_rows[number, chunk] = int(count)
            number += 1
        self._spool.rename(
            {
                (plan, chunk): (names[plan], chunk)
                for plan, chunk in self._spool.chunks()
                if plan in names
            }
        )

    def _settle(self) -> Plan:
        with_rows = list(self._spool.chunks())
        if not self._plan.new and with_rows:
            # Somebody else may be at work on these: two processes should not walk in step.
            start = random.randrange(len(with_rows))  # noqa: S311 - no secret
            with_rows = with_rows[start:] + with_rows[:start]
        filed = set(with_rows)
        left = [chunk for chunk in self._known.pending_chunks() if chunk not in filed]
        pending = self._known.status == Status.PENDING
        self._plan.withdrawn = int((pending & ~self._known.seen).sum())
        self._plan.pending = [*with_rows, *left]
        return self._plan

    @property
    def chunk_rows(self) -> dict[tuple[int, int], int]:
        """Planned rows of every chunk, after ``run``."""
        return self._known.chunk_rows

    def _refuse_all_absent(self, window: Window, rows: int) -> None:
        lines = []
        for one in self._fields:
            if window.validators[one.name][0] is not None:
                continue
            where = window.rows.column(one.name)[0].as_py()
            if isinstance(where, list):
                where = ", ".join(map(str, where))
            if not where:
                columns = ", ".join(one.columns)
                where = f"empty: {columns}" if columns else "empty"
            lines.append(f"  {one.name}: {where}")
        looked = "\n".join(lines)
        raise UsageError(
            f"none of the first {rows} items has what this extractor needs, so the template or"
            f" column must be wrong. The first one lacks\n{looked}"
        )

    def _refuse_duplicates(self, window: Window, at: npt.NDArray[np.int64]) -> None:
        words = [_key_words(window.rows, self._keys, int(one)) for one in at]
        shown = list(dict.fromkeys(words))
        hint = ""
        if self._keys == ("item_id",):
            hint = (
                ". If a row is a review, give both keys: --key USER_COLUMN --key ITEM_COLUMN;"
                " if an item has several rows, --key item_id=COLUMN --key slot=COLUMN"
            )
        raise SourceError(
            f"{len(shown)} key(s) stand in several rows with different content, first"
            f" {', '.join(shown[:_SHOWN])}: a key must name one row{hint}"
        )

    def _refuse_changed(self) -> None:
        raise ChangedInputError(
            f"{self._changed_count} stored item(s) have other content now, first"
            f" {', '.join(self._changed)}. Stored vectors are never overwritten: bring the old"
            " content back, or extract the new catalogue under another --catalogue name"
        )


def _key_words(rows: pa.RecordBatch, keys: Sequence[str], at: int) -> str:
    return "/".join(repr(rows.column(name)[at].as_py()) for name in keys)


def plan_until_won(make: Callable[[], Planner], tries: int = 100) -> tuple[Plan, Planner]:
    """Run planning passes until no other process plans in between.

    Raises:
        StoreError: others kept planning.
    """
    for _ in range(tries):
        planner = make()
        try:
            return planner.run(), planner
        except LostPlanError:
            continue
    raise StoreError(f"other processes kept planning this set through {tries} tries: try again")
