"""A fuser under test: inputs drawn for it, rows and groups cut in any way."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.fuser import (
    FuserBatch,
    FuserContext,
    FuserInput,
    GroupBatch,
    GroupFuser,
    RowFuser,
)
from ducho_core.store import tensors
from ducho_core.testing.part_case import PartCase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.fuser import Fuser, Missing, Texts, Vectors
    from ducho_core.registry import Registry
    from ducho_core.specs import FuserSpec

ROWS = 101
TOLERANCE = 1e-6

_WORDS = (
    *("red", "dark red", "Cotton", "wooden toys", "a {curly} text", "", " spaces ", "né", "日本"),
    *("0-6 months", "Red.", "for outdoor use, all day", "x" * 300, "red", "<|im_end|>", "blue"),
)


class FuserCase(PartCase):
    """One fuser with options, on embeddings or texts drawn at random.

    Args:
        plugin: PLUGIN/NAME, or NAME where one plugin has it.
        options: as ``-o`` would give them.
        dims: length of the vectors of each input; two of 8 for a row fuser, else one, unless
            its spec wants more or fewer, where not given.
        keys: the key columns; ``item_id``, and ``slot`` for a group fuser, where not given.
        missing: the policy for missing rows; with ``zero`` and ``mean`` some are filled in.
        tolerance: how far a row may lie from itself in another batch, relative to its length.
        registry: where to find the plugin.
    """

    kind = "fuser"

    def __init__(
        self,
        plugin: str,
        options: Mapping[str, Any] | None = None,
        *,
        dims: Sequence[int] | None = None,
        keys: Sequence[str] | None = None,
        missing: Missing = "error",
        tolerance: float = TOLERANCE,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(plugin, options, registry=registry)
        self.missing = missing
        self.tolerance = tolerance
        self._dims = dims
        self._keys = keys

    @cached_property
    def implementation(self) -> type[Fuser]:
        """The fuser's class."""
        return self.found.import_implementation()

    @property
    def dims(self) -> tuple[int, ...]:
        """Length of the vectors of each input."""
        if self._dims is not None:
            return tuple(self._dims)
        count = 2 if issubclass(self.implementation, RowFuser) else 1
        spec: FuserSpec = self.found.spec
        return (0 if self.texted else 8,) * max(spec.fewest, min(count, spec.most or count))

    @property
    def texted(self) -> bool:
        """Whether it takes texts."""
        spec: FuserSpec = self.found.spec
        return spec.takes == "text"

    @property
    def keys(self) -> tuple[str, ...]:
        """The key columns."""
        if self._keys is not None:
            return tuple(self._keys)
        grouped = issubclass(self.implementation, GroupFuser)
        return ("item_id", "slot") if grouped else ("item_id",)

    @cached_property
    def context(self) -> FuserContext:
        """What the fuser is opened on."""
        inputs = tuple(
            FuserInput(
                name=f"set-{at}",
                label=f"model-{at}",
                dim=dim,
                keys=self.keys,
                fingerprint=sha256(f"input {at}".encode()).hexdigest(),
                output=f"text_{at}" if self.texted else "embedding",
            )
            for at, dim in enumerate(self.dims)
        )
        return FuserContext(inputs=inputs, missing=self.missing)

    def open(self) -> Any:
        """Open the fuser anew."""
        return self.implementation.open(self.options, self.context)

    def fitted(self) -> Any:
        """Open the fuser, and fit it on all rows where it needs that."""
        fuser = self.open()
        if isinstance(fuser, RowFuser) and fuser.fitted:
            fuser.restore(kept(fuser.fit(self.row_batches(ROWS))))
        return fuser

    @cached_property
    def values(self) -> tuple[Vectors, ...]:
        """The vectors of each input, (n, dim)."""
        found = []
        for at, dim in enumerate(self.dims):
            random = np.random.default_rng(at)
            rows = random.normal(1 + at, 1 + np.arange(dim) / 4, (ROWS, dim)).astype(np.float32)
            if self.missing in ("zero", "mean"):
                there = self.present[at]
                rows[~there] = 0 if self.missing == "zero" else rows[there].mean(axis=0)
            found.append(rows)
        return tuple(found)

    @cached_property
    def texts(self) -> tuple[Texts, ...]:
        """The texts of each input, (n,): some often, some once, some in other words, some None."""
        found = []
        for at in range(len(self.dims)):
            random = np.random.default_rng(at)
            column = np.full(ROWS, None, np.object_)
            for row in np.flatnonzero(self.present[at]).tolist():
                rank = int(random.geometric(0.15))
                if rank > 1:
                    column[row] = _WORDS[(rank + at) % len(_WORDS)]
            found.append(column)
        return tuple(found)

    @cached_property
    def present(self) -> tuple[Any, ...]:
        """For each input which rows it has, (n,)."""
        filled = self.missing in ("zero", "mean")
        places = np.arange(ROWS)
        return tuple(
            (places + at) % 10 != 0 if filled else np.ones(ROWS, np.bool_)
            for at in range(len(self.dims))
        )

    @cached_property
    def key_columns(self) -> pa.RecordBatch:
        """The full key of every row; a group has one to four rows."""
        numbers = np.arange(ROWS)
        items = np.repeat(numbers, 1 + numbers % 4)[:ROWS] if len(self.keys) > 1 else numbers
        slots = [int(np.sum(items[:at] == items[at])) for at in range(ROWS)]
        columns = {
            "user_id": [f"u{slot}" for slot in slots],
            "item_id": [f"{item:04}" for item in items],
            "slot": [str(slot) for slot in slots],
        }
        return pa.record_batch({name: pa.array(columns[name]) for name in self.keys})

    def rows(self, places: Sequence[int]) -> FuserBatch:
        """A batch of some rows; its arrays cannot be written to."""
        at = np.asarray(places)
        return FuserBatch(
            keys=self.key_columns.take(pa.array(at)),
            values=() if self.texted else tuple(_frozen(one[at]) for one in self.values),
            present=tuple(_frozen(one[at]) for one in self.present),
            texts=tuple(_frozen(one[at]) for one in self.texts) if self.texted else (),
        )

    def row_batches(self, size: int) -> list[FuserBatch]:
        """All rows, so many at a time."""
        return [self.rows(range(start, min(start + size, ROWS))) for start in range(0, ROWS, size)]

    def groups(self, keeps: Sequence[str]) -> list[list[int]]:
        """The rows of each group, in order."""
        found: dict[tuple[str, ...], list[int]] = {}
        columns = [self.key_columns.column(name).to_pylist() for name in keeps]
        for row, key in enumerate(zip(*columns, strict=True)):
            found.setdefault(key, []).append(row)
        return list(found.values())

    def group_batch(self, keeps: Sequence[str], groups: Sequence[Sequence[int]]) -> GroupBatch:
        """A batch of some groups."""
        members = [row for group in groups for row in group]
        starts = np.cumsum([0, *(len(group) for group in groups)])
        firsts = self.key_columns.take(pa.array([group[0] for group in groups]))
        return GroupBatch(
            keys=firsts.select(list(keeps)),
            members=self.key_columns.take(pa.array(members)),
            values=_frozen(self.values[0][members]),
            starts=_frozen(starts.astype(np.int64)),
        )

    def compute(
        self, fuser: Any, size: int = ROWS, *, backwards: bool = False
    ) -> dict[str, Vectors]:
        """The new rows of a row or group fuser, in the order of the rows or groups.

        Args:
            fuser: opened, and fitted where it needs that.
            size: rows or groups in a batch.
            backwards: hand them over in the opposite order.
        """
        if isinstance(fuser, RowFuser):
            count = ROWS
        else:
            groups = self.groups(fuser.keeps)
            count = len(groups)
        places = list(range(count))[:: -1 if backwards else 1]
        parts: list[Mapping[str, Any]] = []
        for start in range(0, count, size):
            at = places[start : start + size]
            if isinstance(fuser, RowFuser):
                parts.append(fuser.transform(self.rows(at)))
            else:
                batch = self.group_batch(fuser.keeps, [groups[one] for one in at])
                parts.append(fuser.pool(batch))
        back = np.argsort(places)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def kept(state: Mapping[str, Any]) -> dict[str, Any]:
    """A fit as it comes back from its file."""
    return dict(tensors.load(tensors.dump(state)))


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array
