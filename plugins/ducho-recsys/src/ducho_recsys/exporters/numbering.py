"""Users, items and interactions as the numbers that frameworks count by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ducho_core import ExportRows
    from ducho_recsys import Split

    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

PARTS = ("train", "validation", "test")
_BLOCK = 65_536


def seen_first(ids: pa.Array, trained: pa.ChunkedArray) -> pa.Array:
    """The ids with those that are trained on first, each half in its own order.

    Frameworks that take the highest number for the count of users or items are then right where
    somebody or something occurs in no row, and cold items come last.
    """
    known = pc.is_in(ids, value_set=_flat(trained))
    return pa.concat_arrays([ids.filter(known), ids.filter(pc.invert(known))])


def add_new(previous: Sequence[str] | None, ids: pa.Array) -> pa.Array:
    """Earlier ids where they were, new ones after them."""
    if previous is None:
        return ids
    earlier = pa.array(previous, pa.string())
    new = ids.filter(pc.invert(pc.is_in(ids, value_set=earlier)))
    return pa.concat_arrays([earlier, new])


def row_ids(rows: ExportRows) -> pa.Array:
    """The ids of all rows, in order."""
    parts = [batch["item_id"] for batch in rows.key_batches()]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


@dataclass(frozen=True, slots=True)
class Part:
    """The interactions of one part of a split, n of them.

    Attributes:
        users: their numbers, int64 (n,).
        items: their numbers, int64 (n,).
        ratings: float64 (n,), or None where some interaction has none.
        times: seconds, float64 (n,), or None where some interaction has none.
    """

    users: Numbers
    items: Numbers
    ratings: Floats | None
    times: Floats | None

    def __len__(self) -> int:
        return len(self.users)

    def lines(self, *further: str, ratings: bool = True) -> Iterator[bytes]:
        """Its rows as lines with tabs: user, item, rating and time where there are any.

        Args:
            further: what stands at the end of each line.
            ratings: write a 1 where there are no ratings.
        """
        for start in range(0, len(self), _BLOCK):
            some = slice(start, start + _BLOCK)
            columns = [self.users[some].astype(str), self.items[some].astype(str)]
            if self.ratings is not None:
                columns.append(self.ratings[some].astype(str))
            elif ratings:
                columns.append(np.full(len(columns[0]), "1"))
            if self.times is not None:
                columns.append(self.times[some].astype(str))
            columns += [np.full(len(columns[0]), text) for text in further]
            rows = zip(*(column.tolist() for column in columns), strict=True)
            yield "".join("\t".join(row) + "\n" for row in rows).encode()

    def where(self, kept: npt.NDArray[np.bool_]) -> Part:
        """Only these interactions."""
        return Part(
            self.users[kept],
            self.items[kept],
            None if self.ratings is None else self.ratings[kept],
            None if self.times is None else self.times[kept],
        )


@dataclass(frozen=True, slots=True)
class Numbered:
    """A split in numbers.

    Attributes:
        items: the id of each row of the export.
        users: the id of each user's number.
        parts: the interactions: all of ``train``; of ``validation`` and ``test`` those that are
            relevant, for frameworks take whatever stands there for something to be found.
        irrelevant: how many of ``validation`` and ``test`` are not.
    """

    items: pa.Array
    users: pa.Array
    parts: dict[str, Part]
    irrelevant: int

    @classmethod
    def of(cls, split: Split, rows: ExportRows, users: pa.Array) -> Numbered:
        """Number the interactions of a split.

        Args:
            split: the split.
            rows: all rows of the export; every item of the split has one.
            users: the id of each user's number.

        Raises:
            UsageError: an interaction is with an item that has no row.
        """
        items = row_ids(rows)
        tables = {name: getattr(split, name) for name in PARTS}
        relevant = {
            name: table if name == "train" else table.filter(table["relevant"])
            for name, table in tables.items()
        }
        rated, timed = (
            all(not table[column].null_count for table in relevant.values())
            for column in ("rating", "timestamp")
        )
        parts = {
            name: Part(
                _numbers(table["user_id"], users, "user"),
                _numbers(table["item_id"], items, "item"),
                _floats(table["rating"]) if rated else None,
                _floats(table["timestamp"]) if timed else None,
            )
            for name, table in relevant.items()
        }
        left = sum(len(table) for table in tables.values())
        left -= sum(len(part) for part in parts.values())
        return cls(items, users, parts, left)

    @property
    def counted_items(self) -> int:
        """One more than the highest number of an item in any interaction."""
        return _count(part.items for part in self.parts.values())

    @property
    def trained_items(self) -> Numbers:
        """The numbers of the items that are trained on, ascending."""
        return np.unique(self.parts["train"].items)

    def of_trained_users(self) -> tuple[Numbered, int]:
        """Without validation and test rows of users who have no row to train on.

        Returns:
            The rest, and how many rows that leaves out.
        """
        trained = np.zeros(len(self.users), np.bool_)
        trained[self.parts["train"].users] = True
        parts = {name: part.where(trained[part.users]) for name, part in self.parts.items()}
        left = sum(len(part) for part in self.parts.values())
        left -= sum(len(part) for part in parts.values())
        return Numbered(self.items, self.users, parts, self.irrelevant), left

    def remarks(self) -> tuple[str, ...]:
        """What the user should know of the interactions."""
        if not self.irrelevant:
            return ()
        told = (
            f"{self.irrelevant} interactions to validate and test on are below the split's"
            " threshold of relevance and left out: the framework would take them for hits"
        )
        return (told,)


def _count(numbers: Any) -> int:
    return max((int(some.max()) + 1 for some in numbers if len(some)), default=0)


def _numbers(column: pa.ChunkedArray, ids: pa.Array, what: str) -> Numbers:
    found = pc.index_in(_flat(column), value_set=ids)
    if found.null_count:
        lost = _flat(column)[int(pc.index(pc.is_null(found), True).as_py())]
        raise UsageError(
            f"the split has an interaction with the {what} {str(lost.as_py())[:80]!r}, which is"
            f" not among its {what}s: make the split anew"
        )
    return np.asarray(found, np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(_flat(column), np.float64)


def _flat(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
