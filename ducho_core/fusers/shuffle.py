"""``core/shuffle``: rows shuffled among items, a control."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.extractor import Output
from ducho_core.fuser import RelabelFuser

if TYPE_CHECKING:
    import numpy.typing as npt

    from ducho_core.fuser import FuserContext
    from ducho_core.fusers.options import ShuffleOptions

_BLOCK = 65536


class Shuffle(RelabelFuser):
    """Each key gets the vector of a key drawn at random, each vector once.

    The set keeps its distribution and loses what it says about its items. The order follows
    from the seed and the keys alone, not from the order in which they are stored.
    """

    def __init__(self, options: ShuffleOptions, context: FuserContext) -> None:
        self._seed = options.seed
        self.outputs = (Output(name="embedding", dim=context.inputs[0].dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        return cls(options, context)

    def sources(self, digests: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """See ``RelabelFuser.sources``."""
        salt = self._seed.to_bytes(16, "little")
        drawn = np.empty(len(digests), np.uint64)
        for start in range(0, len(digests), _BLOCK):
            content = np.ascontiguousarray(digests[start : start + _BLOCK], "<u8").tobytes()
            numbers = b"".join(
                blake2b(content[at : at + 16], digest_size=8, salt=salt).digest()
                for at in range(0, len(content), 16)
            )
            drawn[start : start + _BLOCK] = np.frombuffer(numbers, "<u8")
        return np.argsort(drawn, kind="stable")
