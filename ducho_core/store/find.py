"""Finding given keys among rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

Key = str | tuple[str, ...]
"""A key: its item_id where that is the only key column, else a tuple in column order."""


class Finder:
    """Finds wanted keys in tables of keys.

    Args:
        places: each wanted key and its place in the result.
        columns: the key columns.

    Raises:
        UsageError: a wanted key has another number of parts.
    """

    def __init__(self, places: Mapping[Key, int], columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._places = places
        wanted = [key if isinstance(key, tuple) else (key,) for key in places]
        unfit = next((key for key in wanted if len(key) != len(columns)), None)
        if unfit is not None:
            raise UsageError(f"a key has the parts {', '.join(columns)}, not {unfit!r}")
        self._wanted = {
            name: _encodable([key[at] for key in wanted]) for at, name in enumerate(columns)
        }

    def find(self, keys: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows that are wanted, and the place of each in the result."""
        if len(self._columns) == 1:
            values, places = self._wanted[self._columns[0]]
            hit = pc.index_in(keys[self._columns[0]], value_set=values).combine_chunks()
            rows = np.flatnonzero(np.asarray(hit.is_valid()))
            return rows, places[hit.drop_null().to_numpy()]
        mask = None
        for name in self._columns:
            one = pc.is_in(keys[name], value_set=self._wanted[name][0])
            mask = one if mask is None else pc.and_(mask, one)
        candidates = np.flatnonzero(np.asarray(mask))
        picked = keys.take(pa.array(candidates))
        tuples = zip(*(picked[name].to_pylist() for name in self._columns), strict=True)
        pairs = [
            (row, self._places[key])
            for row, key in zip(candidates.tolist(), tuples, strict=True)
            if key in self._places
        ]
        rows, places = np.array(pairs, np.int64).reshape(-1, 2).T
        return rows, places


def is_text(value: str) -> bool:
    """Whether a string can be stored: it has no lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _encodable(values: Sequence[str]) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The distinct values as Arrow strings, and the first position of each."""
    first: dict[str, int] = {}
    for at, value in enumerate(values):
        if is_text(value):
            first.setdefault(value, at)
    return pa.array(list(first), pa.string()), np.fromiter(first.values(), np.int64, len(first))
