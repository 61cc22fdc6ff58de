"""Which vectors an index can compare, and the list of those that it cannot."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO

    import numpy.typing as npt

    from ducho_core import ExportBatch, ExportFolder, ExportRows

FILE = "left-out.jsonl"

_ZERO = "length 0, which has no cosine"
_RANGE = "a length whose square is too small or too large for float32"
_INFINITE = "numbers that are not finite"


class Usable:
    """Chooses the vectors that an index can compare, and lists the others in a file.

    A vector with a number that is not finite is never chosen. By cosine a vector of length 0 is
    not either, and where lengths are not made 1 before, none whose squared length float32
    cannot hold.

    Args:
        rows: what is exported.
        folder: where ``left-out.jsonl`` is written, if there is anything to list.
        metric: ``cosine``, ``ip`` or ``l2``.
        unit: whether vectors are scaled to length 1 where the metric is cosine.
    """

    def __init__(
        self, rows: ExportRows, folder: ExportFolder, metric: str, *, unit: bool = True
    ) -> None:
        self._inputs = rows.inputs
        self._keys = rows.keys
        self._folder = folder
        self._cosine = metric == "cosine"
        self._unit = unit
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        self._counts: dict[tuple[int, str], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def choose(
        self, batch: ExportBatch, at: int, *, listed: bool = True
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The usable vectors of one input.

        Args:
            batch: rows.
            at: which input.
            listed: whether those left out are listed; to be True once a batch and input.

        Returns:
            Positions in the batch, (m,), and their vectors, (m, dim), C-contiguous; of length 1
            where they are compared by cosine and ``unit`` was set.
        """
        values = batch.values[at]
        lengths = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
        finite = np.isfinite(lengths)
        reasons = [(_INFINITE, ~finite)]
        if self._cosine:
            reasons.append((_ZERO, lengths == 0))
        if self._cosine and not self._unit:
            outside = finite & (lengths > 0) & ((lengths < 1e-18) | (lengths > 1e18))
            reasons.append((_RANGE, outside))
        good = batch.present[at].copy()
        for reason, found in reasons:
            wrong = np.flatnonzero(found & batch.present[at])
            good[wrong] = False
            if listed and len(wrong):
                self._list(batch, at, wrong, reason)
        positions = np.flatnonzero(good)
        if self._cosine and self._unit:
            chosen = (values[positions] / lengths[positions, None]).astype(np.float32)
        else:
            chosen = np.ascontiguousarray(values[positions], np.float32)
        return positions, chosen

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out, a sentence for each input and reason."""
        return tuple(
            f"{count} {'vector' if count == 1 else 'vectors'} of {self._inputs[at].name}"
            f" {'has' if count == 1 else 'have'} {reason}: left out, and listed in {FILE}"
            for (at, reason), count in sorted(self._counts.items())
        )

    def _list(self, batch: ExportBatch, at: int, rows: npt.NDArray[np.int64], reason: str) -> None:
        if self._file is None:
            self._file = self._stack.enter_context(self._folder.open(FILE))
        for row in rows.tolist():
            key = {name: batch.keys[name][row].as_py() for name in self._keys}
            line = {"set": self._inputs[at].name, **key, "reason": reason}
            self._file.write(json.dumps(line).encode() + b"\n")
        self._counts[at, reason] = self._counts.get((at, reason), 0) + len(rows)
