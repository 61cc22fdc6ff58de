"""Products with a matrix whose rows do not depend on one another, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ducho_core.fusers.moments import Matrix

_HALF = 13
_EXACT = 53
_ROWS = 1024


class RowProduct:
    """Multiplies rows by a matrix, so that each product follows from its own row alone.

    A matrix product sums in an order that depends on how many rows there are, where they lie and
    which library it is; the last bits follow. Here rows are split into two parts of 13 bits below
    their largest number, and the matrix is rounded to some 30 bits below the largest of each
    column, so that every sum of products is exact in float64 and its order without effect (as
    in Ozaki, Ogita, Oishi and Rump, 2012). The result is as precise as float32 rows are.

    Args:
        matrix: (dim, width), finite.
    """

    def __init__(self, matrix: Matrix) -> None:
        bits = _EXACT - _HALF - max(1, int(matrix.shape[0]).bit_length())
        _, self._exponents = np.frexp(np.abs(matrix).max(axis=0, initial=0))
        self._matrix = np.ldexp(np.rint(np.ldexp(matrix, bits - self._exponents)), -bits)

    def __call__(self, rows: npt.NDArray[Any]) -> Matrix:
        """The products, (n, width) float64, of rows (n, dim)."""
        product = np.empty((len(rows), self._matrix.shape[1]))
        for start in range(0, len(rows), _ROWS):
            product[start : start + _ROWS] = self._some(rows[start : start + _ROWS])
        return product

    def _some(self, rows: npt.NDArray[Any]) -> Matrix:
        rows = rows.astype(np.float64, copy=False)
        _, exponents = np.frexp(np.abs(rows).max(axis=1, initial=0))
        scaled = np.ldexp(rows, -exponents[:, None])
        high = np.ldexp(np.rint(np.ldexp(scaled, _HALF)), -_HALF)
        low = np.ldexp(np.rint(np.ldexp(scaled - high, 2 * _HALF)), -2 * _HALF)
        product: Matrix = high @ self._matrix
        product += low @ self._matrix
        np.ldexp(product, exponents[:, None] + self._exponents, out=product)
        return product
