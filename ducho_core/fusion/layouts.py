"""What each kind of fuser makes a row of: one key, another key, or a group of keys."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ducho_core.errors import ContractError
from ducho_core.extraction.digest_index import DigestIndex, digest_keys
from ducho_core.fuser import GroupBatch, GroupFuser, RelabelFuser, RowFuser
from ducho_core.fusion.joined import JoinedRows
from ducho_core.fusion.texts import text_digests
from ducho_core.fusion.vectors import as_bytes
from ducho_core.loaders.natural import natural_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.extraction.digest_index import Digests
    from ducho_core.fuser import Fuser, FuserBatch, Vectors
    from ducho_core.fusion.join import Join
    from ducho_core.store import FeatureSet
    from ducho_core.store.rows import Rows

Made: TypeAlias = "tuple[Mapping[str, Vectors], list[bytes]]"
"""Outputs by name, and a digest over what each row was made of."""


class Layout(ABC):
    """The rows of a fused set, by number, in their order.

    Attributes:
        rows: the joined inputs' rows, the policy applied.
        keys: the key columns of the new set.
        kept: which numbers take part, (n,) bool.
    """

    rows: JoinedRows
    keys: tuple[str, ...]
    kept: npt.NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Rows of the whole set."""
        return int(np.count_nonzero(self.kept))

    def chunks(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Rows]:
        """The numbers that are wanted, cut into what should be one chunk each."""
        numbers = np.flatnonzero(wanted)
        for start in range(0, len(numbers), self.rows.block):
            yield numbers[start : start + self.rows.block]

    @abstractmethod
    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        """The keys with these rising numbers."""

    @abstractmethod
    def find(self, keys: pa.RecordBatch) -> Rows:
        """The numbers of keys, -1 where they take no part."""

    @abstractmethod
    def prepare(self, blocks: Iterable[Rows]) -> None:
        """Settle how to read the inputs, given the blocks that will be made."""

    @abstractmethod
    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        """New rows: outputs by name, and a digest over what each was made of."""


class RowLayout(Layout):
    """A row a key."""

    def __init__(self, fuser: RowFuser, rows: JoinedRows) -> None:
        self._fuser = fuser
        self.rows, self.keys, self.kept = rows, rows.join.keys, rows.join.kept

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        return self.rows.join.key_batch(numbers)

    def find(self, keys: pa.RecordBatch) -> Rows:
        return self.rows.join.find(keys)

    def prepare(self, blocks: Iterable[Rows]) -> None:
        self.rows.prepare(blocks)

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        batch = self.rows.batch(numbers, keys)
        return self._fuser.transform(batch), _digests(batch)


class RelabelLayout(Layout):
    """A row a key, made of another key's."""

    def __init__(self, fuser: RelabelFuser, rows: JoinedRows, who: str) -> None:
        join = rows.join
        self.rows, self.keys, self.kept = rows, join.keys, join.kept
        self._name = fuser.outputs[0].name
        features = join.inputs[0].features
        join.release()
        digests = _key_digests(features, join.keys)
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        digests = digests[order]
        sources = np.asarray(fuser.sources(digests))
        if sources.shape != order.shape or sources.dtype.kind not in "iu":
            raise ContractError(
                f"{who}: sources must be {len(order)} whole numbers, not {sources.dtype}"
                f" {sources.shape}"
            )
        if len(order) and not 0 <= sources.min() <= sources.max() < len(order):
            raise ContractError(f"{who}: sources must be from 0 to {len(order) - 1}")
        taken = np.empty_like(join.rows[0])
        taken[order] = order[sources]
        rows.rows[0] = taken

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        return self.rows.join.key_batch(numbers)

    def find(self, keys: pa.RecordBatch) -> Rows:
        return self.rows.join.find(keys)

    def prepare(self, blocks: Iterable[Rows]) -> None:
        self.rows.prepare(blocks)

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        batch = self.rows.batch(numbers, keys)
        return {self._name: batch.values[0]}, _digests(batch)


class GroupLayout(Layout):
    """A row a group of keys, in the order in which groups are first met."""

    def __init__(self, fuser: GroupFuser, rows: JoinedRows) -> None:
        self.rows = rows
        self._fuser = fuser
        self.keys = tuple(fuser.keeps)
        features = rows.join.inputs[0].features
        rows.join.release()
        digests = _key_digests(features, self.keys)
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        ordered = digests[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        firsts = order[fresh]  # lexsort is stable, so each group's first row comes first
        rank = np.argsort(np.argsort(firsts))
        group = np.empty(len(order), np.int64)
        group[order] = rank[np.cumsum(fresh) - 1]
        self._members = np.argsort(group, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(group))])
        self._index = DigestIndex()
        self._index.add(ordered[fresh], rank.astype(np.int64))
        self.kept = np.ones(len(firsts), np.bool_)

    def chunks(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Rows]:
        """The numbers that are wanted, by how many rows their groups have together."""
        numbers = np.flatnonzero(wanted)
        sizes = self._starts[numbers + 1] - self._starts[numbers]
        part = (np.cumsum(sizes) - sizes) // self.rows.block
        bounds = np.flatnonzero(np.diff(part)) + 1
        yield from (one for one in np.split(numbers, bounds) if len(one))

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
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

    def _rows_of(self, numbers: Rows) -> Rows:
        if not len(numbers):
            return self._members[:0]
        return np.concatenate(
            [self._members[self._starts[one] : self._starts[one + 1]] for one in numbers]
        )


def make_layout(fuser: Fuser, join: Join, scratch: Callable[[], Path], who: str) -> Layout:
    """The layout that a fuser's kind asks for.

    Raises:
        ContractError: it is of no kind, or its outputs are not what they must be.
    """
    rows = JoinedRows(join, scratch, _check_outputs(fuser, who))
    if isinstance(fuser, RowFuser):
        return RowLayout(fuser, rows)
    if not isinstance(fuser, RelabelFuser | GroupFuser):
        raise ContractError(f"{who} is neither a RowFuser nor a RelabelFuser nor a GroupFuser")
    if join.inputs[0].kind != "embedding":
        raise ContractError(f"{who} takes texts, so it must be a RowFuser")
    if len(join.inputs) != 1:
        raise ContractError(f"{who} takes one input; its spec must say most=1")
    if isinstance(fuser, GroupFuser):
        left = set(fuser.keeps) - set(join.keys)
        if left or "item_id" not in fuser.keeps:
            raise ContractError(
                f"{who} keeps {', '.join(fuser.keeps)}: it must keep item_id and other key columns"
                f" of {', '.join(join.keys)}"
            )
        return GroupLayout(fuser, rows)
    if [one.dim for one in fuser.outputs] != [join.inputs[0].dim]:
        raise ContractError(
            f"{who} relabels, so it has one output, as long as its input's vectors"
        )
    return RelabelLayout(fuser, rows, who)


def check_made(
    made: Mapping[str, Any], outputs: Mapping[str, int], count: int, who: str
) -> npt.NDArray[np.bool_]:
    """Hold what a fuser returned against the contract.

    Returns:
        Which rows are finite, (n,).

    Raises:
        ContractError: an output is missing, unknown, or of another shape or type.
    """
    if set(made) != set(outputs):
        raise ContractError(f"{who} made {sorted(made)}, its outputs are {sorted(outputs)}")
    good = np.ones(count, np.bool_)
    for name, dim in outputs.items():
        array = made[name]
        if not isinstance(array, np.ndarray) or array.shape != (count, dim):
            shape = getattr(array, "shape", type(array).__name__)
            raise ContractError(f"{who}: output {name!r} is {shape}, must be {(count, dim)}")
        if array.dtype != np.float32:
            raise ContractError(f"{who}: output {name!r} is {array.dtype}, must be float32")
        good &= np.isfinite(array).all(axis=1)
    return good


def _key_digests(features: FeatureSet, keys: tuple[str, ...]) -> Digests:
    digests = np.empty((len(features), 2), np.uint64)
    at = 0
    for batch in features.batches(keys):
        digests[at : at + batch.num_rows] = digest_keys(batch, keys)
        at += batch.num_rows
    return digests


def _check_outputs(fuser: Fuser, who: str) -> int:
    outputs: Sequence[Any] = fuser.outputs
    names = [one.name for one in outputs]
    if not names or len(set(names)) != len(names):
        raise ContractError(f"{who}: its outputs must have different names, got {names or 'none'}")
    later = isinstance(fuser, RowFuser) and fuser.fitted
    for one in outputs:
        dim = int(later) if one.dim is None else one.dim
        if one.kind != "embedding" or dim < 1:
            raise ContractError(f"{who}: output {one.name!r} must be an embedding of known length")
    return sum(one.dim or 0 for one in outputs)


def _digests(batch: FuserBatch) -> list[bytes]:
    views = [as_bytes(values) for values in batch.values]
    widths = [values.shape[1] * 4 for values in batch.values]
    marks = [present.tolist() for present in batch.present]
    if batch.texts:
        return text_digests(batch.texts)
    digests = []
    for row in range(batch.keys.num_rows):
        whole = hashlib.sha256()
        for view, width, mark in zip(views, widths, marks, strict=True):
            whole.update(b"\1" if mark[row] else b"\0")
            whole.update(view[row * width : (row + 1) * width])
        digests.append(whole.digest())
    return digests
