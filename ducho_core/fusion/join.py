"""Joining feature sets by key, never by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.errors import CorruptionError, UsageError
from ducho_core.extraction.digest_index import DigestIndex, digest_keys
from ducho_core.store.rows import RowReader, Rows
from ducho_core.store.schema import key_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ducho_core.fusion.inputs import SetInput

ABSENT = -1
"""In place of a row number where an input has no row."""

_EXAMPLES = 5
_BLOCK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How the keys of several inputs overlap.

    Attributes:
        names: of the inputs.
        rows: of each input.
        union: keys that any input has.
        intersection: keys that every input has.
        missing: for each input some keys that it lacks.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    union: int
    intersection: int
    missing: tuple[tuple[str, ...], ...]

    def lacking(self, at: int) -> int:
        """Keys that an input lacks and another has."""
        return self.union - self.rows[at]

    def lacks(self) -> str:
        """What each input lacks, in one line."""
        return "; ".join(
            f"{name} lacks {', '.join(self.missing[at])}{self._more(at)}"
            for at, name in enumerate(self.names)
            if self.lacking(at)
        )

    def _more(self, at: int) -> str:
        return ", …" if self.lacking(at) > len(self.missing[at]) else ""

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.names, "in every set"))
        lines = []
        for at, name in enumerate(self.names):
            lacks = self.lacking(at)
            examples = ", ".join(self.missing[at])
            said = f", lacks {lacks} of {self.union} ({examples}{self._more(at)})" if lacks else ""
            lines.append(f"{name:<{width}}  {self.rows[at]} keys{said}")
        lines.append(f"{'in every set':<{width}}  {self.intersection} of {self.union} keys")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "inputs": [
                {"name": name, "rows": rows, "missing": self.lacking(at)}
                for at, (name, rows) in enumerate(zip(self.names, self.rows, strict=True))
            ],
            "union": self.union,
            "intersection": self.intersection,
        }


class Join:
    """The keys of all inputs, each once, in the order in which they are first met.

    Args:
        inputs: the inputs, all with the same key columns.

    Attributes:
        inputs: the inputs.
        keys: their key columns.
        rows: for each input its row of every joined key, ``ABSENT`` where it has none.
        kept: which joined keys take part, (n,) bool; all until a policy says otherwise.
    """

    def __init__(self, inputs: Sequence[SetInput]) -> None:
        self.inputs = tuple(inputs)
        self.keys: tuple[str, ...] = inputs[0].features.keys
        self._index: DigestIndex | None = DigestIndex()
        self.rows: list[Rows] = []
        few = sum(len(one.features) for one in inputs) < 2**31
        self._integer = np.int32 if few else np.int64
        self._starts = [0]
        for one in inputs:
            self._add(one)
        self.kept = np.ones(len(self), np.bool_)
        self._readers: dict[int, RowReader] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def count(self) -> int:
        """How many keys take part."""
        return int(np.count_nonzero(self.kept))

    def coverage(self) -> Coverage:
        """How the inputs overlap, with examples of what each lacks."""
        every = np.ones(len(self), np.bool_)
        missing = []
        for rows in self.rows:
            here = rows != ABSENT
            every &= here
            lacking = np.flatnonzero(~here)[:_EXAMPLES]
            missing.append(tuple(self.named(lacking)))
        return Coverage(
            names=tuple(one.name for one in self.inputs),
            rows=tuple(len(one.features) for one in self.inputs),
            union=len(self),
            intersection=int(np.count_nonzero(every)),
            missing=tuple(missing),
        )

    def settle(self, missing: str, coverage: Coverage, advice: str) -> None:
        """Apply the policy for keys that an input lacks.

        Args:
            missing: ``error``, ``drop``, ``zero``, ``mean``, or ``leave``: all keys take part,
                and nothing is to be filled in.
            coverage: of this join.
            advice: what the user can do where the policy is ``error``.

        Raises:
            UsageError: no key is in every input, or one is missing and the policy is ``error``.
        """
        if coverage.intersection == 0 and missing != "leave":
            examples = "; ".join(
                f"{one.name} has {', '.join(self._first(at))}"
                for at, one in enumerate(self.inputs)
            )
            raise UsageError(
                f"no key is in every set ({examples}): they are not about the same items, or"
                " name them differently"
            )
        if missing == "error" and coverage.intersection < coverage.union:
            raise UsageError(
                f"{coverage.union - coverage.intersection} of {coverage.union} keys are not in"
                f" every set ({coverage.lacks()}). {advice}"
            )
        if missing == "drop":
            for rows in self.rows:
                self.kept &= rows != ABSENT

    @property
    def index(self) -> DigestIndex:
        """Digest of a key to its number in the join; made anew after ``release``."""
        if self._index is None:
            digests = np.empty((len(self), 2), np.uint64)
            for start in range(0, len(self), _BLOCK):
                numbers = np.arange(start, min(start + _BLOCK, len(self)))
                digests[numbers] = digest_keys(self.key_batch(numbers), self.keys)
            self._index = DigestIndex()
            self._index.add_fresh(digests, 0)
        return self._index

    def release(self) -> None:
        """Free the memory of the index until it is needed again."""
        self._index = None

    def blocks(self, size: int) -> Iterator[Rows]:
        """Numbers of the keys that take part, in order, ``size`` at a time."""
        waiting: list[Rows] = []
        held = 0
        for start in range(0, len(self), _BLOCK):
            numbers = np.flatnonzero(self.kept[start : start + _BLOCK]) + start
            waiting.append(numbers)
            held += len(numbers)
            while held >= size:
                whole = np.concatenate(waiting)
                yield whole[:size]
                waiting = [whole[size:]]
                held = len(waiting[0])
        if held:
            whole = np.concatenate(waiting)
            for start in range(0, len(whole), size):
                yield whole[start : start + size]

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        """The keys with these rising numbers."""
        tables = [pa.schema(key_fields(self.keys)).empty_table()]
        for at, (start, end) in enumerate(zip(self._starts[:-1], self._starts[1:], strict=True)):
            inside = numbers[(numbers >= start) & (numbers < end)]
            if len(inside):
                tables.append(self._reader(at).take(self.rows[at][inside]))
        table = pa.concat_tables(tables).combine_chunks()
        batches = table.to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)

    def find(self, keys: pa.RecordBatch | pa.Table) -> Rows:
        """The numbers of keys that take part, -1 for others."""
        found, numbers = self.index.find(digest_keys(keys, self.keys))
        found &= self.kept[numbers] if len(self) else False
        return np.where(found, numbers, -1)

    def named(self, numbers: Rows) -> list[str]:
        """Keys as text for a person, long ones cut."""
        batch = self.key_batch(numbers)
        columns = [batch[name].to_pylist() for name in self.keys]
        return [_short(" / ".join(parts)) for parts in zip(*columns, strict=True)]

    def close(self) -> None:
        """Close the files that are open."""
        for reader in self._readers.values():
            reader.close()

    def _add(self, one: SetInput) -> None:
        rows = np.full(len(self), ABSENT, self._integer)
        count = len(one.features)
        digests = np.empty((count, 2), np.uint64)
        added = np.empty(count, self._integer)
        at = fresh = 0
        for batch in one.features.batches(self.keys):
            here = digest_keys(batch, self.keys)
            found, numbers = self.index.find(here)
            numbers = numbers[found]
            if (rows[numbers] != ABSENT).any() or len(np.unique(numbers)) < len(numbers):
                raise _repeated(one)
            rows[numbers] = np.flatnonzero(found) + at
            unknown = np.flatnonzero(~found)
            digests[fresh : fresh + len(unknown)] = here[unknown]
            added[fresh : fresh + len(unknown)] = unknown + at
            at, fresh = at + batch.num_rows, fresh + len(unknown)
        end = len(self)
        added = added[:fresh].copy()
        if not self.index.add_fresh(digests[:fresh], end):
            raise _repeated(one)
        del digests
        none = np.full(len(added), ABSENT, self._integer)
        self.rows = [np.concatenate([earlier, none]) for earlier in self.rows]
        self.rows.append(np.concatenate([rows, added]))
        self._starts.append(end + len(added))

    def _first(self, at: int) -> list[str]:
        return self.named(np.flatnonzero(self.rows[at] != ABSENT)[:3])

    def _reader(self, at: int) -> RowReader:
        if at not in self._readers:
            self._readers[at] = RowReader(self.inputs[at].features, self.keys)
        return self._readers[at]


def _repeated(one: SetInput) -> CorruptionError:
    return CorruptionError(
        f"{one.name} has a key in more than one row; `ducho store verify {one.name}` says where"
    )


def _short(text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return repr(shown) if not text.isprintable() or not text else shown
