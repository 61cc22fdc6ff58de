"""Interactions in memory: numbers for users and items, in bytes a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ducho_recsys.splits.tables import Source

_BLOCK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Interactions, whatever their order.

    Attributes:
        user_ids: users, each once, sorted by their UTF-8 bytes.
        item_ids: items, likewise.
        users: position in ``user_ids`` of each interaction, (n,) int32.
        items: position in ``item_ids``, (n,) int32.
        ratings: (n,) float64, NaN where there is none; None where no interaction has one.
        times: likewise.
        parts: number of the part of each, (n,) int8, where they were split before; else None.
    """

    user_ids: pa.StringArray
    item_ids: pa.StringArray
    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float64] | None
    times: npt.NDArray[np.float64] | None
    parts: npt.NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def pairs(self) -> npt.NDArray[np.int64]:
        """A number for each (user, item), in the order of their ids, (n,)."""
        return self.users.astype(np.int64) * len(self.item_ids) + self.items

    @property
    def user_counts(self) -> npt.NDArray[np.int64]:
        """Interactions of each user."""
        return np.bincount(self.users, minlength=len(self.user_ids))

    @property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """Interactions of each item."""
        return np.bincount(self.items, minlength=len(self.item_ids))

    def take(self, rows: npt.NDArray[Any]) -> Interactions:
        """Some of the interactions, by a mask or by positions."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            ratings=None if self.ratings is None else self.ratings[rows],
            times=None if self.times is None else self.times[rows],
            parts=None if self.parts is None else self.parts[rows],
        )

    def compact(self) -> Interactions:
        """The same without users and items that no interaction is left of."""
        user_ids, users = _compact(self.user_ids, self.users)
        item_ids, items = _compact(self.item_ids, self.items)
        return replace(self, user_ids=user_ids, item_ids=item_ids, users=users, items=items)

    def counts(self) -> tuple[int, int, int]:
        """How many users, items and interactions there are."""
        return (
            int(np.count_nonzero(self.user_counts)),
            int(np.count_nonzero(self.item_counts)),
            len(self),
        )

    def named(self, row: int) -> str:
        """The user and the item of an interaction, for a person."""
        user, item = self.user_ids[int(self.users[row])], self.item_ids[int(self.items[row])]
        return f"user {user.as_py()[:60]!r} and item {item.as_py()[:60]!r}"


class Codes:
    """Texts as positions in the list of those that differ, made block by block."""

    def __init__(self) -> None:
        self._waiting: list[pa.Array] = []
        self._held = 0
        self._encoded: list[pa.DictionaryArray] = []

    def add(self, texts: pa.Array) -> None:
        """Take some more."""
        self._waiting.append(texts)
        self._held += len(texts)
        if self._held >= _BLOCK:
            self._encode()

    def finish(self) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
        """The texts that differ, sorted by their bytes, and the position of each added one."""
        self._encode()
        whole = pa.chunked_array(
            self._encoded or [pa.array([], pa.string()).dictionary_encode()]
        ).unify_dictionaries()
        self._encoded = []
        texts = whole.chunk(0).dictionary
        order = pc.sort_indices(texts)
        rank = np.empty(len(texts), np.int32)
        rank[order.to_numpy()] = np.arange(len(texts), dtype=np.int32)
        positions = [rank[chunk.indices.to_numpy()] for chunk in whole.chunks]
        return texts.take(order), np.concatenate(positions).astype(np.int32, copy=False)

    def _encode(self) -> None:
        if self._waiting:
            self._encoded.append(pa.concat_arrays(self._waiting).dictionary_encode())
        self._waiting, self._held = [], 0


def read_interactions(sources: Sequence[Source]) -> tuple[Interactions, list[int]]:
    """Read tables one after the other.

    Returns:
        All interactions, and how many each table has.

    Raises:
        SourceError: a cell is empty that must not be, or no number; names file and line.
    """
    users, items = Codes(), Codes()
    numbers: dict[str, list[npt.NDArray[np.float64]]] = {"rating": [], "timestamp": []}
    lengths = []
    for source in sources:
        columns, done = source.columns, 0
        for batch in source.batches():
            for codes, role in ((users, "user"), (items, "item")):
                codes.add(_ids(source, batch, role, done))
            for role, parts in numbers.items():
                if role in columns:
                    parts.append(_numbers(source, batch[columns[role]], role, done))
                else:
                    parts.append(np.full(batch.num_rows, np.nan))
            done += batch.num_rows
        lengths.append(done)
    user_ids, user_codes = users.finish()
    item_ids, item_codes = items.finish()
    return (
        Interactions(
            user_ids=user_ids,
            item_ids=item_ids,
            users=user_codes,
            items=item_codes,
            ratings=_joined(numbers.pop("rating")),
            times=_joined(numbers.pop("timestamp")),
        ),
        lengths,
    )


def read_items(source: Source) -> pa.StringArray:
    """The ids of a catalogue, each once, sorted by their bytes."""
    codes, done = Codes(), 0
    for batch in source.batches():
        codes.add(_ids(source, batch, "item", done))
        done += batch.num_rows
    return codes.finish()[0]


def parse_time(text: str) -> float | None:
    """Seconds since 1970 of a date or time in ISO 8601, UTC unless it says otherwise."""
    seconds = _dates(pa.array([text]))
    return None if seconds is None else float(seconds[0])


def _ids(source: Source, batch: pa.RecordBatch, role: str, done: int) -> pa.Array:
    column = batch[source.columns[role]]
    empty = pc.fill_null(pc.equal(column, ""), True)  # noqa: FBT003
    if pc.any(empty).as_py():
        row = int(np.flatnonzero(np.asarray(empty))[0])
        raise SourceError(f"{source.where(done + row)}: the {role} is empty")
    return column


def _numbers(source: Source, column: pa.Array, role: str, done: int) -> npt.NDArray[np.float64]:
    if not pa.types.is_string(column.type):
        raise SourceError(
            f"{source.reader.path}: the column {source.columns[role]!r} holds no numbers"
        )
    trimmed = pc.utf8_trim_whitespace(column)
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    parsed = _parse(trimmed)
    if parsed is None and role == "timestamp":
        parsed = _dates(trimmed)
    if parsed is None or np.isinf(parsed).any() or (np.isnan(parsed) & _valid(trimmed)).any():
        _refuse(source, trimmed, role, done)
        raise AssertionError("the fault was there before")
    return parsed


def _parse(column: pa.Array) -> npt.NDArray[np.float64] | None:
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(pc.fill_null(numbers, np.nan), np.float64)


def _dates(column: pa.Array) -> npt.NDArray[np.float64] | None:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            moments = column.cast(kind)
        except pa.ArrowInvalid:
            continue
        return (
            np.asarray(
                pc.fill_null(moments.cast(pa.int64()).cast(pa.float64(), safe=False), np.nan)
            )
            / 1e6
        )
    return None


def _refuse(source: Source, column: pa.Array, role: str, done: int) -> None:
    dated = role == "timestamp" and _parse(column.slice(0, 1)) is None
    for row in range(len(column)):
        one = column.slice(row, 1)
        parsed = _dates(one) if dated else _parse(one)
        if parsed is None or np.isinf(parsed[0]) or (np.isnan(parsed[0]) and one.is_valid()[0]):
            kind = "a number"
            if role == "timestamp" and (_parse(one) if dated else _dates(one)) is not None:
                kind = f"a {'date' if dated else 'number'}, as those before it are"
            elif role == "timestamp":
                kind = "a number, nor a date in ISO 8601"
            first = not source.header and done + row == 0
            hint = "; if the first line names the columns, leave out --no-header" if first else ""
            raise SourceError(
                f"{source.where(done + row)}: the {role} {one[0].as_py()[:40]!r} is not"
                f" {kind}{hint}"
            )


def _valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.is_valid())


def _joined(parts: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64] | None:
    whole = np.concatenate(parts) if parts else np.empty(0)
    return None if np.isnan(whole).all() else whole


def _compact(
    ids: pa.StringArray, codes: npt.NDArray[np.int32]
) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    used = np.bincount(codes, minlength=len(ids)) > 0
    if used.all():
        return ids, codes
    numbers = (np.cumsum(used) - 1).astype(np.int32)
    return ids.filter(pa.array(used)), numbers[codes]
