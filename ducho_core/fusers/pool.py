"""``core/pool``: the slots of an item become one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.extractor import Output
from ducho_core.fuser import GroupFuser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_core.fuser import FuserContext, GroupBatch, Vectors
    from ducho_core.fusers.options import PoolOptions


class Pool(GroupFuser):
    """One vector an item: the mean, maximum or sum over its slots, or that of its first."""

    def __init__(self, options: PoolOptions, context: FuserContext) -> None:
        self._method = options.method
        self.keeps = tuple(name for name in context.inputs[0].keys if name != "slot")
        self.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        one = context.inputs[0]
        if "slot" not in one.keys:
            raise UsageError(
                f"{one.name} has no slots to pool; its key columns are {', '.join(one.keys)}"
            )
        return cls(options, context)

    def pool(self, batch: GroupBatch) -> Mapping[str, Vectors]:
        """See ``GroupFuser.pool``."""
        values, starts = batch.values, batch.starts[:-1]
        if self._method == "first":
            return {"embedding": values[starts]}
        if self._method == "max":
            return {"embedding": np.maximum.reduceat(values, starts, axis=0)}
        sums = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
        if self._method == "mean":
            sums /= np.diff(batch.starts)[:, None]
        with np.errstate(over="ignore"):
            return {"embedding": sums.astype(np.float32)}
