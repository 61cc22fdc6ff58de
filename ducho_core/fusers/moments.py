"""Mean and covariance of rows, whatever the batches they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ducho_core.fuser import FuserBatch, FuserContext

Matrix = npt.NDArray[np.float64]
"""Shape (n, m)."""

BLOCK = 512
"""Rows that are added at a time; part of the numbers, since it fixes the order of the sums."""


def complete_rows(batches: Iterable[FuserBatch]) -> Iterator[npt.NDArray[np.float32]]:
    """The vectors of all inputs one after the other, of the keys that every input has."""
    for batch in batches:
        here = np.logical_and.reduce(batch.present)
        yield np.concatenate([values[here] for values in batch.values], axis=1)


class Moments:
    """Number, mean and scatter of rows, merged as by Chan, Golub and LeVeque (1979).

    Rows are added ``BLOCK`` at a time however they come, so that the bits do not depend on how
    they were cut. Memory is that of a block and, with ``joint``, of three matrices (dim, dim).

    Args:
        dim: length of the rows.
        joint: whether products of dimensions are wanted too, else only squares.

    Attributes:
        count: rows that were added.
        mean: (dim,).
        scatter: sums of products of deviations from the mean: (dim, dim), or (dim,).
    """

    def __init__(self, dim: int, *, joint: bool = False) -> None:
        self.count = 0
        self.mean = np.zeros(dim)
        self.scatter = np.zeros((dim, dim) if joint else dim)
        self._joint = joint
        self._block = np.empty((BLOCK, dim))
        self._held = 0

    @classmethod
    def of(cls, batches: Iterable[npt.NDArray[Any]], dim: int, *, joint: bool = False) -> Moments:
        """Of all rows of batches, (n, dim) each."""
        moments = cls(dim, joint=joint)
        for rows in batches:
            moments.add(rows)
        return moments.finish()

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, (n, dim) of any n."""
        start = 0
        while start < len(rows):
            part = rows[start : start + BLOCK - self._held]
            self._block[self._held : self._held + len(part)] = part
            self._held += len(part)
            start += len(part)
            if self._held == BLOCK:
                self.finish()

    def finish(self) -> Moments:
        """Add what is held back for a whole block; to be called after the last rows."""
        if not self._held:
            return self
        rows = self._block[: self._held]
        mean = rows.mean(axis=0)
        rows = rows - mean
        shift, total = mean - self.mean, self.count + len(rows)
        weight = self.count * (len(rows) / total)
        if self._joint:
            self.scatter += rows.T @ rows
            self.scatter += np.outer(shift * weight, shift)
        else:
            self.scatter += np.square(rows).sum(axis=0) + shift**2 * weight
        self.mean += shift * (len(rows) / total)
        self.count, self._held = total, 0
        return self

    def covariance(self) -> Matrix:
        """Scatter over n - 1, (dim, dim) and exactly symmetric, or the variances, (dim,)."""
        found = self.scatter / max(1, self.count - 1)
        return (found + found.T) / 2 if self._joint else found


def joint_moments(batches: Iterable[FuserBatch], context: FuserContext, what: str) -> Moments:
    """Moments of the vectors of all inputs one after the other.

    Raises:
        UsageError: fewer than two keys have a row in every input, so that nothing varies.
    """
    dim = sum(one.dim for one in context.inputs)
    moments = Moments.of(complete_rows(batches), dim, joint=True)
    if moments.count < 2:
        names = " and ".join(one.name for one in context.inputs)
        raise UsageError(
            f"{what} needs two rows at the least, and {names} has {moments.count}: a single row"
            " has no covariance"
        )
    return moments


def principal(covariance: Matrix) -> tuple[Matrix, Matrix]:
    """Variances, falling, and principal axes of a covariance, those that vary at all.

    An axis whose variance is within rounding of nothing is left out. The largest number of an
    axis is positive, as where scikit-learn's PCA settles signs.

    Args:
        covariance: (dim, dim), symmetric.

    Returns:
        Shapes (rank,) and (dim, rank), an axis a column.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    least = max(float(values[0]), 0.0) * len(values) * np.finfo(np.float64).eps
    rank = int(np.count_nonzero(values > least))
    return values[:rank].copy(), settle_signs(vectors[:, :rank])


def settle_signs(columns: Matrix) -> Matrix:
    """Columns with the sign that makes their largest number positive."""
    return columns * signs_of(columns)


def signs_of(columns: Matrix) -> Matrix:
    """1 or -1 for each column, (m,): the sign of its largest number."""
    if not columns.size:
        return np.ones(columns.shape[1])
    largest = np.argmax(np.abs(columns), axis=0)
    return np.where(columns[largest, np.arange(columns.shape[1])] < 0, -1.0, 1.0)
