"""A row of a group of keys: slots of an item, reviews of an item or a user."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ducho_core.extraction.digest_index import DigestIndex, digest_keys
from ducho_core.fuser import GroupBatch
from ducho_core.fusion.layouts import Layout, key_digests
from ducho_core.fusion.vectors import as_bytes
from ducho_core.loaders.natural import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from ducho_core.fuser import GroupFuser
    from ducho_core.fusion.joined import JoinedRows
    from ducho_core.fusion.layouts import Made
    from ducho_core.store import FeatureSet
    from ducho_core.store.rows import Rows

_BLOCK = 65536


class GroupLayout(Layout):
    """A row a group of keys, in the order in which groups are first met.

    Where a fuser does not take all rows, the order follows from the keys alone: how rows are
    stored depends on the others, too.
    """

    def __init__(self, fuser: GroupFuser, rows: JoinedRows) -> None:
        self.rows = rows
        self._fuser = fuser
        self.keys = tuple(fuser.keeps)
        features = rows.join.inputs[0].features
        rows.join.release()
        digests = key_digests(features, self.keys)
        taking = None if fuser.takes_only is None else self._by_key(features)
        if taking is not None:
            digests = digests[taking]
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        ordered = digests[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        firsts = order[fresh]  # lexsort is stable, so each group's first row comes first
        rank = np.argsort(np.argsort(firsts)) if taking is None else np.arange(len(firsts))
        group = np.empty(len(order), np.int64)
        group[order] = rank[np.cumsum(fresh) - 1]
        self._members = np.argsort(group, kind="stable")
        if taking is not None:
            self._members = taking[self._members]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(group))])
        self._index = DigestIndex()
        self._index.add(ordered[fresh], rank.astype(np.int64))
        self.kept = np.ones(len(firsts), np.bool_)
        self._group_keys = None if taking is None else self._keys_in_memory()

    def chunks(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Rows]:
        """The numbers that are wanted, by how many rows their groups have together."""
        numbers = np.flatnonzero(wanted)
        sizes = self._starts[numbers + 1] - self._starts[numbers]
        part = (np.cumsum(sizes) - sizes) // self.rows.block
        bounds = np.flatnonzero(np.diff(part)) + 1
        yield from (one for one in np.split(numbers, bounds) if len(one))

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        if self._group_keys is not None:
            return self._group_keys.take(pa.array(numbers))
        return self.rows.join.key_batch(self._members[self._starts[numbers]]).select(
            list(self.keys)
        )

    def find(self, keys: pa.RecordBatch) -> Rows:
        found, numbers = self._index.find(digest_keys(keys, self.keys))
        return np.where(found, numbers, -1)

    def prepare(self, blocks: Iterable[Rows]) -> None:
        self.rows.readers[0].prepare(self._rows_of(block) for block in blocks)

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        rows = self._rows_of(numbers)
        members = keys.select([])
        if self._fuser.needs_members:
            rising = np.argsort(rows, kind="stable")
            back = np.argsort(rising)
            members = self.rows.join.key_batch(rows[rising]).take(pa.array(back))
        sizes = self._starts[numbers + 1] - self._starts[numbers]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        if "slot" in members.schema.names:
            slots = members["slot"].to_pylist()
            owner = np.repeat(np.arange(len(numbers)), sizes).tolist()
            order = sorted(range(len(slots)), key=lambda at: (owner[at], natural_key(slots[at])))
            members, rows = members.take(pa.array(order)), rows[order]
        values = self.rows.readers[0].take(rows)
        values.flags.writeable = False
        made = self._fuser.pool(
            GroupBatch(keys=keys, members=members, values=values, starts=starts)
        )
        view = as_bytes(values)
        width = values.shape[1] * 4
        digests = [
            hashlib.sha256(view[first * width : last * width]).digest()
            for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]
        return made, digests

    def _by_key(self, features: FeatureSet) -> Rows:
        """The rows that are taken, in an order that follows from their keys."""
        taking = np.flatnonzero(self.rows.join.kept)
        digests = key_digests(features, self.rows.join.keys)[taking]
        return taking[np.lexsort((digests[:, 1], digests[:, 0]))]

    def _keys_in_memory(self) -> pa.RecordBatch:
        """The keys of all groups: they lie anywhere in the set, so it is read once for all."""
        firsts = self._members[self._starts[:-1]]
        rising = np.argsort(firsts, kind="stable")
        parts = [
            self.rows.join.key_batch(firsts[rising[start : start + _BLOCK]]).select(
                list(self.keys)
            )
            for start in range(0, len(firsts), _BLOCK)
        ]
        table = pa.Table.from_batches(parts).combine_chunks()
        (batch,) = table.to_batches()
        back = np.empty_like(rising)
        back[rising] = np.arange(len(rising))
        return batch.take(pa.array(back))

    def _rows_of(self, numbers: Rows) -> Rows:
        if not len(numbers):
            return self._members[:0]
        return np.concatenate(
            [self._members[self._starts[one] : self._starts[one + 1]] for one in numbers]
        )
