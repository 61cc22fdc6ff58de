"""What a row of a fused set is made of: the rows of a key, or those of another key."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ducho_core.errors import ContractError
from ducho_core.extraction.digest_index import digest_keys
from ducho_core.fusion.texts import text_digests
from ducho_core.fusion.vectors import as_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from ducho_core.extraction.digest_index import Digests
    from ducho_core.fuser import FuserBatch, RelabelFuser, RowFuser, Vectors
    from ducho_core.fusion.joined import JoinedRows
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
        digests = key_digests(features, join.keys)
        taking = None if fuser.takes_only is None else np.flatnonzero(join.kept)
        if taking is not None:
            digests = digests[taking]
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
        if taking is None:
            taken[order] = order[sources]
        else:
            taken[taking[order]] = taking[order[sources]]
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


def key_digests(features: FeatureSet, keys: tuple[str, ...]) -> Digests:
    """Digests of the keys of all rows, in their order."""
    digests = np.empty((len(features), 2), np.uint64)
    at = 0
    for batch in features.batches(keys):
        digests[at : at + batch.num_rows] = digest_keys(batch, keys)
        at += batch.num_rows
    return digests


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
