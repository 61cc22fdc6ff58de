"""What each kind of fuser makes a row of: one key, another key, or a group of keys."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ducho_core.errors import ContractError
from ducho_core.extraction.digest_index import DigestIndex, digest_keys
from ducho_core.fuser import FuserBatch, GroupBatch, GroupFuser, RelabelFuser, RowFuser
from ducho_core.fusion.join import ABSENT
from ducho_core.fusion.vectors import VectorReader, block_rows
from ducho_core.loaders.natural import natural_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.extraction.digest_index import Digests
    from ducho_core.fuser import Fuser, Vectors
    from ducho_core.fusion.join import Join
    from ducho_core.store import FeatureSet
    from ducho_core.store.rows import Rows

Made: TypeAlias = "tuple[Mapping[str, Vectors], list[bytes]]"
"""Outputs by name, and a digest over what each row was made of."""


class Layout(ABC):
    """The rows of a fused set, by number, in their order.

    Args:
        join: the joined inputs, the policy applied.
        scratch: gives paths of temporary files.
        width: length of the vectors that a row makes.

    Attributes:
        keys: the key columns of the new set.
        kept: which numbers take part, (n,) bool.
    """

    keys: tuple[str, ...]
    kept: npt.NDArray[np.bool_]

    def __init__(self, join: Join, scratch: Callable[[], Path], width: int) -> None:
        self.join = join
        self.readers = [VectorReader(one, scratch()) for one in join.inputs]
        self.block = block_rows([*(one.dim for one in join.inputs), width])

    @property
    def count(self) -> int:
        """Rows of the whole set."""
        return int(np.count_nonzero(self.kept))

    def chunks(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Rows]:
        """The numbers that are wanted, cut into what should be one chunk each."""
        numbers = np.flatnonzero(wanted)
        for start in range(0, len(numbers), self.block):
            yield numbers[start : start + self.block]

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

    def close(self) -> None:
        """Remove temporary files and close the others."""
        for reader in self.readers:
            reader.close()
        self.join.close()


class RowLayout(Layout):
    """A row a key.

    Attributes:
        means: for each input what stands in for a missing vector under the policy ``mean``.
    """

    def __init__(
        self, fuser: RowFuser, join: Join, scratch: Callable[[], Path], width: int
    ) -> None:
        super().__init__(join, scratch, width)
        self._fuser = fuser
        self.keys = join.keys
        self.kept = join.kept
        self.means: dict[int, Vectors] = {}

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        return self.join.key_batch(numbers)

    def find(self, keys: pa.RecordBatch) -> Rows:
        return self.join.find(keys)

    def prepare(self, blocks: Iterable[Rows]) -> None:
        listed = list(blocks)
        for reader, rows in zip(self.readers, self.join.rows, strict=True):
            reader.prepare(rows[block][rows[block] != ABSENT] for block in listed)

    def batch(self, numbers: Rows, keys: pa.RecordBatch) -> FuserBatch:
        """The joined and filled rows with these numbers."""
        values, presents = [], []
        for at, (reader, every) in enumerate(zip(self.readers, self.join.rows, strict=True)):
            rows = every[numbers]
            present = rows != ABSENT
            if present.all():
                vectors = reader.take(rows)
            else:
                vectors = np.zeros((len(rows), self.join.inputs[at].dim), np.float32)
                vectors[present] = reader.take(rows[present])
                if at in self.means:
                    vectors[~present] = self.means[at]
            vectors.flags.writeable = present.flags.writeable = False
            values.append(vectors)
            presents.append(present)
        return FuserBatch(keys=keys, values=tuple(values), present=tuple(presents))

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        batch = self.batch(numbers, keys)
        return self._fuser.transform(batch), _digests(batch)


class RelabelLayout(RowLayout):
    """A row a key, made of another key's."""

    def __init__(
        self, fuser: RelabelFuser, join: Join, scratch: Callable[[], Path], who: str
    ) -> None:
        Layout.__init__(self, join, scratch, 0)
        self.keys, self.kept, self.means = join.keys, join.kept, {}
        self._name = fuser.outputs[0].name
        features = join.inputs[0].features
        digests = np.concatenate(
            [digest_keys(one, join.keys) for one in features.batches(join.keys)]
        )
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        sources = np.asarray(fuser.sources(digests[order]))
        if sources.shape != order.shape or sources.dtype.kind not in "iu":
            raise ContractError(
                f"{who}: sources must be {len(order)} whole numbers, not {sources.dtype}"
                f" {sources.shape}"
            )
        if len(order) and not 0 <= sources.min() <= sources.max() < len(order):
            raise ContractError(f"{who}: sources must be from 0 to {len(order) - 1}")
        join.rows[0][order] = order[sources]

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        batch = self.batch(numbers, keys)
        return {self._name: batch.values[0]}, _digests(batch)


class GroupLayout(Layout):
    """A row a group of keys, in the order in which groups are first met."""

    def __init__(
        self, fuser: GroupFuser, join: Join, scratch: Callable[[], Path], width: int
    ) -> None:
        super().__init__(join, scratch, width)
        self._fuser = fuser
        self.keys = tuple(fuser.keeps)
        features = join.inputs[0].features
        digests = np.concatenate(
            [digest_keys(one, self.keys) for one in features.batches(self.keys)]
        )
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
        part = (np.cumsum(sizes) - sizes) // self.block
        bounds = np.flatnonzero(np.diff(part)) + 1
        yield from (one for one in np.split(numbers, bounds) if len(one))

    def key_batch(self, numbers: Rows) -> pa.RecordBatch:
        return self.join.key_batch(self._members[self._starts[numbers]]).select(list(self.keys))

    def find(self, keys: pa.RecordBatch) -> Rows:
        found, numbers = self._index.find(digest_keys(keys, self.keys))
        return np.where(found, numbers, -1)

    def prepare(self, blocks: Iterable[Rows]) -> None:
        self.readers[0].prepare(self._rows_of(block) for block in blocks)

    def make(self, numbers: Rows, keys: pa.RecordBatch) -> Made:
        rows = self._rows_of(numbers)
        rising = np.argsort(rows, kind="stable")
        back = np.argsort(rising)
        members = self.join.key_batch(rows[rising]).take(pa.array(back))
        sizes = self._starts[numbers + 1] - self._starts[numbers]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        if "slot" in members.schema.names:
            slots = members["slot"].to_pylist()
            owner = np.repeat(np.arange(len(numbers)), sizes).tolist()
            order = sorted(range(len(slots)), key=lambda at: (owner[at], natural_key(slots[at])))
            members, rows = members.take(pa.array(order)), rows[order]
        values = self.readers[0].take(rows)
        values.flags.writeable = False
        made = self._fuser.pool(
            GroupBatch(keys=keys, members=members, values=values, starts=starts)
        )
        view = memoryview(values).cast("B")
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


def make_layout(
    fuser: Fuser, join: Join, scratch: Callable[[], Path], who: str
) -> RowLayout | GroupLayout:
    """The layout that a fuser's kind asks for.

    Raises:
        ContractError: it is of no kind, or its outputs are not what they must be.
    """
    width = _check_outputs(fuser, who)
    if isinstance(fuser, RowFuser):
        return RowLayout(fuser, join, scratch, width)
    if not isinstance(fuser, RelabelFuser | GroupFuser):
        raise ContractError(f"{who} is neither a RowFuser nor a RelabelFuser nor a GroupFuser")
    if len(join.inputs) != 1:
        raise ContractError(f"{who} takes one input; its spec must say most=1")
    if isinstance(fuser, GroupFuser):
        left = set(fuser.keeps) - set(join.keys)
        if left or "item_id" not in fuser.keeps:
            raise ContractError(
                f"{who} keeps {', '.join(fuser.keeps)}: it must keep item_id and other key columns"
                f" of {', '.join(join.keys)}"
            )
        return GroupLayout(fuser, join, scratch, width)
    (output,) = fuser.outputs
    if output.dim != join.inputs[0].dim:
        raise ContractError(f"{who} relabels vectors of another length than its input's")
    return RelabelLayout(fuser, join, scratch, who)


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
    return np.concatenate([digest_keys(one, keys) for one in features.batches(keys)])


def _check_outputs(fuser: Fuser, who: str) -> int:
    outputs: Sequence[Any] = fuser.outputs
    names = [one.name for one in outputs]
    if not names or len(set(names)) != len(names):
        raise ContractError(f"{who}: its outputs must have different names, got {names or 'none'}")
    for one in outputs:
        if one.kind != "embedding" or one.dim is None or one.dim < 1:
            raise ContractError(f"{who}: output {one.name!r} must be an embedding of known length")
    return sum(one.dim for one in outputs)


def _digests(batch: FuserBatch) -> list[bytes]:
    views = [memoryview(values).cast("B") for values in batch.values]
    widths = [values.shape[1] * 4 for values in batch.values]
    marks = [present.tolist() for present in batch.present]
    digests = []
    for row in range(batch.keys.num_rows):
        whole = hashlib.sha256()
        for view, width, mark in zip(views, widths, marks, strict=True):
            whole.update(b"\1" if mark[row] else b"\0")
            whole.update(view[row * width : (row + 1) * width])
        digests.append(whole.digest())
    return digests
