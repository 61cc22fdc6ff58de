"""The texts of one input by row number."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ducho_core.store.rows import RowReader, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.fuser import Texts
    from ducho_core.fusion.inputs import SetInput


class TextReader:
    """Texts by row number. Memory is bounded by a row group and the result.

    Args:
        source: the input.
    """

    def __init__(self, source: SetInput) -> None:
        self._reader = RowReader(source.features, [source.output])

    def take(self, rows: Rows) -> Texts:
        """The texts of rows, (n,) ``str`` or None, in the order given.

        Raises:
            CorruptionError: a file of the set is damaged.
        """
        texts = np.full(len(rows), None, np.object_)
        for positions, batch, places in self._reader.pieces(rows):
            found = np.empty(len(places), np.object_)
            found[:] = batch.column(0).take(pa.array(places)).to_pylist()
            texts[positions] = found
        return texts

    def close(self) -> None:
        """Close the file that is open."""
        self._reader.close()


def text_digests(columns: Sequence[Texts]) -> list[bytes]:
    """A digest over the texts of each row, one column an input."""
    digests = []
    for row in zip(*columns, strict=True):
        whole = hashlib.sha256()
        for text in row:
            content = b"" if text is None else text.encode()
            # With its length, so that no two rows of texts look alike when put together.
            whole.update(b"\0" if text is None else b"\1" + len(content).to_bytes(8, "little"))
            whole.update(content)
        digests.append(whole.digest())
    return digests
