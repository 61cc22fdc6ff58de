"""``recsys/reviews``: the reviews of an item or of a user become one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np
import pyarrow.compute as pc

from ducho_core import GroupFuser, Output, UsageError
from ducho_recsys.splits.folder import read_split

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from ducho_core import FuserContext, GroupBatch
    from ducho_core.fuser import Vectors
    from ducho_recsys.options import ReviewsOptions
    from ducho_recsys.splits.folder import Split


class Reviews(GroupFuser):
    """One vector an item or a user: mean, maximum or sum over its reviews in the train part.

    Reviews of the other parts, and of interactions that the split does not hold, are as if they
    had never been written.
    """

    needs_members = False

    def __init__(self, options: ReviewsOptions, context: FuserContext, split: Split) -> None:
        self._method = options.method
        self.keeps = ("item_id",) if options.into == "items" else ("user_id",)
        self.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)
        self.recorded = msgspec.structs.replace(options, split=split.train_digest)
        self.takes_only = "train interactions of the split"
        self._users, self._items = split.users, split.items
        self._pairs = np.sort(split.pairs("train"))

    @classmethod
    def open(cls, options: ReviewsOptions, context: FuserContext) -> Self:
        """Open the split. See ``Fuser.open``.

        Raises:
            UsageError: the set is not about users and items, or there is no such split.
            DuchoError: the split was changed.
        """
        one = context.inputs[0]
        if not {"user_id", "item_id"} <= set(one.keys):
            raise UsageError(
                f"{one.name} holds no reviews: its key columns are {', '.join(one.keys)}, not"
                " user_id and item_id; extract them with --key user_id=COLUMN --key"
                " item_id=COLUMN"
            )
        return cls(options, context, read_split(options.split))

    def takes(self, keys: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Whether each interaction is in the train part. See ``Fuser.takes``."""
        users = _numbers(keys["user_id"], self._users)
        items = _numbers(keys["item_id"], self._items)
        pairs = users * len(self._items) + items
        at = np.minimum(np.searchsorted(self._pairs, pairs), len(self._pairs) - 1)
        taken: npt.NDArray[np.bool_] = (self._pairs[at] == pairs) & (users >= 0) & (items >= 0)
        return taken

    def pool(self, batch: GroupBatch) -> Mapping[str, Vectors]:
        """See ``GroupFuser.pool``."""
        values, starts = batch.values, batch.starts[:-1]
        if self._method == "max":
            return {"embedding": np.maximum.reduceat(values, starts, axis=0)}
        sums = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
        if self._method == "mean":
            sums /= np.diff(batch.starts)[:, None]
        with np.errstate(over="ignore"):
            return {"embedding": sums.astype(np.float32)}


def _numbers(ids: pa.Array, known: pa.StringArray) -> npt.NDArray[np.int64]:
    """The number of each id, -1 where it has none."""
    return np.asarray(pc.fill_null(pc.index_in(ids, value_set=known), -1), np.int64)
