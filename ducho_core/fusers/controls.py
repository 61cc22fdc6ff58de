"""Controls: vectors that say nothing about their items."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.extraction.digest_index import digest_keys
from ducho_core.extractor import Output
from ducho_core.fuser import RowFuser
from ducho_core.fusers.moments import Moments, complete_rows, joint_moments, principal
from ducho_core.fusers.products import RowProduct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from ducho_core.fuser import FuserBatch, FuserContext, State, Vectors
    from ducho_core.fusers.moments import Matrix
    from ducho_core.fusers.options import ConstantOptions, NoiseOptions


class Noise(RowFuser):
    """Gaussian noise of the input's shape; that of a key follows from the seed and the key.

    With ``moments`` and ``covariance`` it has the set's mean and deviations or covariance, so
    that only what a vector says about its item is lost.
    """

    def __init__(self, options: NoiseOptions, context: FuserContext) -> None:
        self._context = context
        self._like = options.like
        self._salt = options.seed.to_bytes(16, "little")
        self._dim = context.inputs[0].dim
        self._mean = np.zeros(self._dim)
        self._deviation = np.ones(self._dim)
        self._product: RowProduct | None = None
        self.fitted = self._like != "standard"
        self.outputs = (Output(name="embedding", dim=self._dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """The set's mean, and its deviations or a root of its covariance (over n - 1 rows).

        Raises:
            UsageError: there is only one row.
        """
        if self._like == "covariance":
            moments = joint_moments(batches, self._context, "noise like the covariance")
            variances, axes = principal(moments.covariance())
            root = np.zeros((self._dim, self._dim))
            root[: len(variances)] = (axes * np.sqrt(variances)).T
            return {"mean": moments.mean, "root": root}
        moments = Moments.of(complete_rows(batches), self._dim)
        if moments.count < 2:
            raise UsageError(
                f"{self._context.inputs[0].name} has one row, which has no deviation: noise like"
                " its moments needs two"
            )
        return {"mean": moments.mean, "deviation": np.sqrt(moments.covariance())}

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``."""
        mean = state.get("mean")
        name = "root" if self._like == "covariance" else "deviation"
        scale = state.get(name)
        shape = (self._dim,) * (2 if name == "root" else 1)
        if mean is None or scale is None or mean.shape != (self._dim,) or scale.shape != shape:
            raise UsageError(
                f"this is no fit of noise like={self._like} for vectors of {self._dim} numbers"
            )
        self._mean = mean
        if name == "root":
            self._product = RowProduct(scale)
        else:
            self._deviation = scale

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        drawn = self._draw(batch.keys)
        drawn = drawn * self._deviation if self._product is None else self._product(drawn)
        with np.errstate(over="ignore"):
            return {"embedding": (drawn + self._mean).astype(np.float32)}

    def _draw(self, keys: pa.RecordBatch) -> Matrix:
        drawn = np.empty((keys.num_rows, self._dim))
        content = digest_keys(keys, tuple(keys.schema.names)).tobytes()
        for row in range(keys.num_rows):
            digest = content[16 * row : 16 * row + 16]
            key = blake2b(digest, digest_size=16, salt=self._salt, person=b"noise").digest()
            # RandomState's numbers never change, other than Generator's (NEP 19).
            philox = np.random.Philox(key=int.from_bytes(key, "little"))
            drawn[row] = np.random.RandomState(philox).standard_normal(self._dim)
        return drawn


class Constant(RowFuser):
    """The same vector for every key: the mean of the set, or ones."""

    def __init__(self, options: ConstantOptions, context: FuserContext) -> None:
        self._dim = context.inputs[0].dim
        self.fitted = options.value == "mean"
        self._vector: Vectors = np.ones(self._dim, np.float32)
        self.outputs = (Output(name="embedding", dim=self._dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """The mean of all rows."""
        return {"mean": Moments.of(complete_rows(batches), self._dim).mean}

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``."""
        mean = state.get("mean")
        if mean is None or mean.shape != (self._dim,):
            raise UsageError(f"this is no mean of vectors of {self._dim} numbers")
        self._vector = mean.astype(np.float32)

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        return {"embedding": np.tile(self._vector, (batch.keys.num_rows, 1))}
