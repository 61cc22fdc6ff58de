"""``core/cca``: what two inputs have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.extractor import Output
from ducho_core.fuser import RowFuser
from ducho_core.fusers.moments import joint_moments, principal, signs_of
from ducho_core.fusers.products import RowProduct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ducho_core.fuser import FuserBatch, FuserContext, State, Vectors
    from ducho_core.fusers.moments import Matrix
    from ducho_core.fusers.options import CcaOptions


class Cca(RowFuser):
    """Canonical correlation analysis (Hotelling, 1936) of two inputs.

    Each is projected to ``dim`` canonical variates of variance 1, those that correlate most
    with the other's first; computed exactly from the joint covariance of the keys that both
    have. A vector that the policy ``zero`` filled in gives variates of 0.
    """

    fitted = True

    def __init__(self, options: CcaOptions, context: FuserContext) -> None:
        self._options = options
        self._context = context
        self._dims = [one.dim for one in context.inputs]
        self._zero = context.missing == "zero"
        self._parts: list[tuple[Matrix, RowProduct]] = []
        width = options.dim * (2 if options.combine == "concat" else 1)
        self.outputs = (Output(name="embedding", dim=width),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        shortest = min(context.inputs, key=lambda one: one.dim)
        if options.dim > shortest.dim:
            raise UsageError(
                f"the vectors of {shortest.name} have {shortest.dim} numbers, so there are at most"
                f" as many canonical variates, not {options.dim}"
            )
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """Means, weights and correlations from the keys that both inputs have.

        Raises:
            UsageError: there are too few rows, or one input varies in too few directions.
        """
        moments = joint_moments(batches, self._context, "cca")
        covariance = moments.covariance()
        cut = self._dims[0]
        first, second = (
            self._whitening(part) for part in (covariance[:cut, :cut], covariance[cut:, cut:])
        )
        ranks = first.shape[1], second.shape[1]
        if not self._options.regularization and moments.count - 1 < sum(ranks):
            raise UsageError(
                f"{moments.count} rows are too few for cca of inputs that vary in"
                f" {ranks[0]} and {ranks[1]} directions: some would correlate perfectly by"
                " chance. Give it -o regularization=0.1, say, or make the inputs shorter first"
                " with --how pca"
            )
        if self._options.dim > min(ranks):
            at = ranks.index(min(ranks))
            raise UsageError(
                f"{self._context.inputs[at].name} varies in {min(ranks)} directions, so there are"
                f" at most as many canonical variates, not {self._options.dim}"
            )
        left, correlations, right = np.linalg.svd(
            first.T @ covariance[:cut, cut:] @ second, full_matrices=False
        )
        kept = self._options.dim
        weights = first @ left[:, :kept], second @ right[:kept].T
        signs = signs_of(weights[0])
        return {
            "mean.0": moments.mean[:cut].copy(),
            "mean.1": moments.mean[cut:].copy(),
            "matrix.0": weights[0] * signs,
            "matrix.1": weights[1] * signs,
            "correlation": correlations[:kept].copy(),
        }

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``."""
        parts = []
        for at, dim in enumerate(self._dims):
            mean, matrix = state.get(f"mean.{at}"), state.get(f"matrix.{at}")
            shape = dim, self._options.dim
            if mean is None or matrix is None or mean.shape != shape[:1] or matrix.shape != shape:
                raise UsageError(
                    f"the fit is not for {self._options.dim} canonical variates and input {at + 1}"
                    f" with vectors of {dim} numbers"
                )
            parts.append((mean, RowProduct(matrix)))
        self._parts = parts

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        variates = []
        for (mean, product), values, present in zip(
            self._parts, batch.values, batch.present, strict=True
        ):
            found = product(values - mean)
            if self._zero:
                found[~present] = 0
            variates.append(found)
        if self._options.combine == "concat":
            made = np.concatenate(variates, axis=1)
        else:
            made = variates[0] + variates[1]
            if self._options.combine == "mean":
                made /= 2
        with np.errstate(over="ignore"):
            return {"embedding": made.astype(np.float32)}

    def _whitening(self, covariance: Matrix) -> Matrix:
        extra = self._options.regularization * float(np.trace(covariance)) / len(covariance)
        variances, axes = principal(covariance + extra * np.eye(len(covariance)))
        scaled: Matrix = axes / np.sqrt(variances)
        return scaled
