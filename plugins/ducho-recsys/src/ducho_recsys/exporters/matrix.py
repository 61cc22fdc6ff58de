"""Feature rows on their way to a framework: what is missing, its stand-in, and the arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ducho_core import UsageError, npy_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ducho_core import ExportFolder, ExportInput, ExportRows

    Rows = npt.NDArray[np.int64]
    Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over one input's rows finds.

    Attributes:
        absent: rows without a vector of their own, ascending.
        zero: rows whose vector has length 0, ascending.
        mean: the mean of all other rows, float32 (dim,).
        digest: sha256 over the vectors and which of them are there.
    """

    absent: Rows
    zero: Rows
    mean: Vectors
    digest: bytes

    @property
    def filled(self) -> Rows:
        """The rows that the mean stands in for, ascending."""
        return np.union1d(self.absent, self.zero)

    def remark(self, one: ExportInput, listed: str) -> tuple[str, ...]:
        """What the user should know of them.

        Args:
            one: the input.
            listed: where they are listed.
        """
        if not len(self.filled):
            return ()
        told = (
            f"{one.label}: the mean of the other rows stands in for {len(self.absent)} that have"
            f" no vector and {len(self.zero)} of length 0, which this framework would divide by;"
            f" listed in {listed}"
        )
        return (told,)


def survey(rows: ExportRows) -> tuple[Survey, ...]:
    """Read all rows once.

    Raises:
        UsageError: an input has no row with a vector that could stand in for those without one.
    """
    inputs = rows.inputs
    sums = [np.zeros(one.dim, np.float64) for one in inputs]
    counts = [0 for _ in inputs]
    absent: list[list[Rows]] = [[] for _ in inputs]
    zero: list[list[Rows]] = [[] for _ in inputs]
    digests = [hashlib.sha256() for _ in inputs]
    for batch in rows.batches():
        for at, (values, present) in enumerate(zip(batch.values, batch.present, strict=True)):
            there = present & values.any(axis=1)
            sums[at] += values[there].sum(axis=0, dtype=np.float64)
            counts[at] += int(there.sum())
            absent[at].append(batch.start + np.flatnonzero(~present))
            zero[at].append(batch.start + np.flatnonzero(present & ~there))
            digests[at].update(np.ascontiguousarray(present).tobytes())
            digests[at].update(np.ascontiguousarray(values[present], "<f4").tobytes())
    found = []
    for at, one in enumerate(inputs):
        gone, none = (np.concatenate([*parts[at], _NO_ROWS]) for parts in (absent, zero))
        mean = (sums[at] / max(counts[at], 1)).astype(np.float32)
        if (len(gone) or len(none)) and not mean.any():
            raise UsageError(
                f"{one.name} has nothing to put in the place of the {len(gone) + len(none)} rows"
                " that have no vector, or one of length 0: the mean of its other rows is 0"
            )
        found.append(Survey(gone, none, mean, digests[at].digest()))
    return tuple(found)


def filled_rows(
    rows: ExportRows, surveys: Sequence[Survey]
) -> Iterator[tuple[int, tuple[Vectors, ...]]]:
    """All rows once, with the mean in the place of those that need a stand-in.

    Yields:
        The position of the first row, and of each input the vectors, float32 (n, dim).
    """
    marks = [one.filled for one in surveys]
    for batch in rows.batches():
        whole = []
        for at, values in enumerate(batch.values):
            low, high = np.searchsorted(marks[at], (batch.start, batch.start + len(batch)))
            vectors: Vectors = np.ascontiguousarray(values, "<f4")
            if high > low:
                vectors = vectors.copy()
                vectors[marks[at][low:high] - batch.start] = surveys[at].mean
            whole.append(vectors)
        yield batch.start, tuple(whole)


def write_matrices(
    rows: ExportRows,
    surveys: Sequence[Survey],
    folder: ExportFolder,
    names: Sequence[str],
    count: int,
) -> None:
    """Write each input as a .npy of the first rows, float32 (count, dim).

    Args:
        rows: all rows.
        surveys: what the first pass found.
        folder: where to.
        names: the file of each input.
        count: how many rows.
    """
    from contextlib import ExitStack

    with ExitStack() as stack:
        files = [stack.enter_context(folder.open(name)) for name in names]
        for file, one in zip(files, rows.inputs, strict=True):
            file.write(npy_header("<f4", (count, one.dim)))
        for start, vectors in filled_rows(rows, surveys):
            for file, some in zip(files, vectors, strict=True):
                file.write(some[: max(0, count - start)].data)


_NO_ROWS = np.empty(0, np.int64)
