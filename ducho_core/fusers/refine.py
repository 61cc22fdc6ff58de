"""Fusers that refine the vectors of one input: pca, whiten, project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.extractor import Output
from ducho_core.fuser import RowFuser
from ducho_core.fusers.moments import joint_moments, principal
from ducho_core.fusers.products import RowProduct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ducho_core.fuser import FuserBatch, FuserContext, State, Vectors
    from ducho_core.fusers.moments import Matrix
    from ducho_core.fusers.options import PcaOptions, ProjectOptions, WhitenOptions


class Affine(RowFuser):
    """New vectors are (vector - mean) x matrix, both from a fit.

    Covariances are over n - 1 rows, as scikit-learn's, and exact: all rows are seen, ``BLOCK``
    at a time, so that memory is dim x dim. scikit-learn's IncrementalPCA needs no more, but
    what it finds depends on its batches.
    """

    fitted = True

    def __init__(self, context: FuserContext, width: int) -> None:
        self._context = context
        self._shape = context.inputs[0].dim, width
        self._product: RowProduct | None = None
        self._mean = np.zeros(0)
        self.outputs = (Output(name="embedding", dim=width),)

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``."""
        mean, matrix = state.get("mean"), state.get("matrix")
        if (
            mean is None
            or matrix is None
            or mean.shape != self._shape[:1]
            or matrix.shape != self._shape
        ):
            raise UsageError(
                f"this is no fit that makes vectors of {self._shape[1]} numbers of those of"
                f" {self._shape[0]}"
            )
        self._mean, self._product = mean, RowProduct(matrix)

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        assert self._product is not None
        product = self._product(batch.values[0] - self._mean)
        with np.errstate(over="ignore"):
            return {"embedding": product.astype(np.float32)}


class Pca(Affine):
    """The first principal components, as scikit-learn's PCA gives them.

    A component beyond those that vary is 0. ``whiten`` divides each by its deviation.
    """

    def __init__(self, options: PcaOptions, context: FuserContext) -> None:
        super().__init__(context, options.dim)
        self._whiten = options.whiten

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        one = context.inputs[0]
        if options.dim > one.dim:
            raise UsageError(
                f"the vectors of {one.name} have {one.dim} numbers, so there are at most as many"
                f" components, not {options.dim}"
            )
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """Mean and principal axes of all rows.

        Raises:
            UsageError: there are no more rows than components, or only one row.
        """
        moments = joint_moments(batches, self._context, "pca")
        dim, width = self._shape
        if moments.count <= width:
            raise UsageError(
                f"{moments.count} rows vary in {moments.count - 1} directions at most, so they"
                f" have no {width} components: choose a lower dim"
            )
        variances, axes = principal(moments.covariance())
        variances, axes = variances[:width], axes[:, :width]
        matrix = np.zeros((dim, width))
        matrix[:, : len(variances)] = axes / np.sqrt(variances) if self._whiten else axes
        shares = np.zeros(width)
        shares[: len(variances)] = variances
        return {"mean": moments.mean, "matrix": matrix, "variance": shares}


class Whiten(Affine):
    """Vectors without correlation, each dimension with variance 1.

    Directions in which no row differs become 0. With ZCA the new vectors have the old
    dimensions and lie as near to the old ones as whitening allows (Kessy, Lewin and Strimmer,
    2018); with PCA the dimensions are the principal components.
    """

    def __init__(self, options: WhitenOptions, context: FuserContext) -> None:
        super().__init__(context, context.inputs[0].dim)
        self._zca = options.method == "zca"
        self._eps = options.eps

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """Mean of all rows and the whitening matrix.

        Raises:
            UsageError: there is only one row.
        """
        moments = joint_moments(batches, self._context, "whitening")
        variances, axes = principal(moments.covariance())
        scaled: Matrix = axes / np.sqrt(variances + self._eps)
        matrix = np.zeros(self._shape)
        if self._zca:
            matrix = scaled @ axes.T
        else:
            matrix[:, : len(variances)] = scaled
        return {"mean": moments.mean, "matrix": matrix}


class Project(RowFuser):
    """Vectors times a random matrix, which about keeps their distances.

    The lemma of Johnson and Lindenstrauss; gaussian: each number normal with variance 1 / dim,
    the very matrix of scikit-learn's GaussianRandomProjection with the same seed; sparse: as
    Li, Hastie and Church (2006), a share ``density`` of the numbers plus or minus
    1 / sqrt(density * dim), the others 0. Nothing is fitted, so each row stands alone.
    """

    def __init__(self, options: ProjectOptions, context: FuserContext) -> None:
        self._options = options
        self._dim = context.inputs[0].dim
        self._product: RowProduct | None = None
        self.outputs = (Output(name="embedding", dim=options.dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        if options.density and options.method != "sparse":
            raise UsageError("density is of a sparse matrix: add -o method=sparse")
        return cls(options, context)

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        if self._product is None:
            self._product = RowProduct(self._matrix())
        product = self._product(batch.values[0])
        with np.errstate(over="ignore"):
            return {"embedding": product.astype(np.float32)}

    def _matrix(self) -> Matrix:
        # Of NumPy's random numbers only RandomState's never change (NEP 19).
        random = np.random.RandomState(self._options.seed)
        shape = self._options.dim, self._dim
        if self._options.method == "gaussian":
            return random.normal(0.0, 1 / np.sqrt(shape[0]), shape).T
        density = self._options.density or 1 / np.sqrt(self._dim)
        drawn = random.random_sample(shape).T
        signs = (drawn < density / 2).astype(np.float64)
        signs -= (drawn >= density / 2) & (drawn < density)
        scaled: Matrix = signs / np.sqrt(density * shape[0])
        return scaled
