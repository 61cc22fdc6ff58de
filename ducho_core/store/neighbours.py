"""The nearest rows of a feature set, by exact cosine, in one pass over it."""

from __future__ import annotations

import difflib
import heapq
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.errors import SetNotFoundError, UsageError
from ducho_core.store.find import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ducho_core.store.reader import FeatureSet

Parts = tuple[str, ...]
_COMPARED_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One row near another.

    Attributes:
        key: its key, a part per key column.
        cosine: similarity, -1 to 1.
    """

    key: Parts
    cosine: float


def neighbours(
    features: FeatureSet, keys: Sequence[Parts], count: int, output: str | None = None
) -> list[list[Neighbour]]:
    """The rows nearest to each of some rows, nearest first, itself left out.

    Memory is bounded by the keys and a row group, not by the set. Rows of zeros have no
    direction and are near to nothing.

    Args:
        features: the set.
        keys: the rows asked about, a part per key column.
        count: how many neighbours each gets, at least 1.
        output: which embedding, where the set has several.

    Raises:
        SetNotFoundError: there is no such row.
        UsageError: a row asked about is all zeros, or the output is not one embedding.
    """
    wanted = [key[0] if len(features.keys) == 1 else key for key in keys]
    directions, norms = _directions(features.select(wanted, output))
    for key, norm in zip(keys, norms, strict=True):
        if norm == 0:
            raise UsageError(f"the vector of {' / '.join(key)} is all zeros: nothing is near it")
    best: list[list[tuple[float, int, Parts]]] = [[] for _ in keys]
    order = itertools.count(0, -1)
    for names, values in _vectors(features, output):
        rows, lengths = _directions(values)
        scores = rows @ directions.T
        scores[lengths == 0] = -np.inf
        take = min(count + 1, len(rows))
        for at, heap in enumerate(best):
            column = scores[:, at]
            nearest = np.argpartition(column, len(column) - take)[-take:]
            for row in np.sort(nearest):
                key = tuple(names[name][int(row)].as_py() for name in features.keys)
                if key == tuple(keys[at]) or column[row] == -np.inf:
                    continue
                heapq.heappush(heap, (float(column[row]), next(order), key))
                if len(heap) > count:
                    heapq.heappop(heap)
    return [
        [Neighbour(key, min(1.0, max(-1.0, score))) for score, _at, key in sorted(heap)[::-1]]
        for heap in best
    ]


def rows_of_item(features: FeatureSet, item_id: str) -> list[Parts]:
    """All keys with this item_id, or of a set about users this user_id, in the set's order.

    Raises:
        SetNotFoundError: there is none; the message proposes similar ones.
    """
    found: list[Parts] = []
    if not is_text(item_id):
        raise SetNotFoundError(f"{features.name} has no row for {item_id!r}: it is no valid text")
    for batch in features.batches(features.keys):
        column = batch[_subject(features)]
        rows = batch.filter(pc.equal(column, pa.scalar(item_id, pa.string())))
        found.extend(zip(*(rows[name].to_pylist() for name in features.keys), strict=True))
    if not found:
        raise unknown_key(features, item_id)
    return found


def unknown_key(features: FeatureSet, item_id: str) -> SetNotFoundError:
    """The error for an item, or a user, that has no row, with similar ones that have."""
    similar = _similar(features, item_id)
    hint = f" Did you mean {' or '.join(map(repr, similar))}?" if similar else ""
    failed = features.failures()
    column = failed[_subject(features)]
    reasons = failed.filter(pc.equal(column, pa.scalar(item_id, pa.string())))
    if reasons.num_rows:
        why = reasons.slice(0, 1).to_pylist()[0]
        return SetNotFoundError(
            f"{features.name} has no row for {item_id!r}: it is {why['status']}"
            f" ({why['code']}: {why['message'][:100]})"
        )
    if len(features.keys) > 1:
        row = json.dumps([f"<{name}>" for name in features.keys], ensure_ascii=False)
        hint += f" KEY is one {_subject(features)}, or a whole key as a JSON list: '{row}'."
    return SetNotFoundError(f"{features.name} has no row for {item_id!r}.{hint}")


def _subject(features: FeatureSet) -> str:
    """The key column that a set is looked up by: the item's, or else the user's."""
    return "item_id" if "item_id" in features.keys else "user_id"


def _similar(features: FeatureSet, item_id: str) -> list[str]:
    compared: list[str] = []
    if not item_id:
        return compared
    for batch in features.batches([_subject(features)]):
        column = batch.column(0)
        same = column.filter(pc.match_substring(column, item_id, ignore_case=True))
        if len(same):
            return list(dict.fromkeys(same.slice(0, 20).to_pylist()))[:3]
        compared.extend(column.slice(0, _COMPARED_KEYS - len(compared)).to_pylist())
    return difflib.get_close_matches(item_id, dict.fromkeys(compared), 3)


def _vectors(
    features: FeatureSet, output: str | None
) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[Any]]]:
    name = features.embedding(output)
    for batch in features.batches([*features.keys, *features.value_columns(name)]):
        if batch.num_rows:
            yield batch, features.values(batch, name)


def _directions(
    values: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Rows scaled to length 1, and the lengths they had."""
    norms = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
    safe = np.where(norms == 0, 1.0, norms)
    return (values / safe[:, None]).astype(np.float32), norms
