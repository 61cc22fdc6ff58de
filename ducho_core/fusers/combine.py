"""Fusers that combine the vectors of a key: concat, sum, mean, mul, max."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.extractor import Output
from ducho_core.fuser import RowFuser
from ducho_core.fusers.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from ducho_core.fuser import FuserBatch, FuserContext, State, Vectors
    from ducho_core.fusers.options import CombineOptions, MeanOptions


class Combine(RowFuser):
    """Scales each input, then combines them.

    A vector that the policy ``zero`` filled in stays zero, also after z-scoring; means and
    deviations are over the rows that are there (population deviation, as scikit-learn's
    StandardScaler; a dimension that never varies is only centred).
    """

    equal: ClassVar[bool] = True
    """Whether the inputs must have vectors of one length."""

    def __init__(self, options: CombineOptions, context: FuserContext) -> None:
        dims = [one.dim for one in context.inputs]
        self._scale = _each(options.scale, len(dims), "scale")
        self._zero = context.missing == "zero"
        self._moments: dict[int, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
        self._dims = dims
        self.fitted = "zscore" in self._scale
        dim = dims[0] if self.equal else sum(dims)
        self.outputs = (Output(name="embedding", dim=dim),)

    @classmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """See ``Fuser.open``."""
        dims = {one.dim for one in context.inputs}
        if cls.equal and len(dims) > 1:
            listed = ", ".join(f"{one.name} has {one.dim}" for one in context.inputs)
            raise UsageError(
                f"these vectors differ in length ({listed}), so they cannot be combined number by"
                " number; --how concat can join them"
            )
        return cls(options, context)

    def fit(self, batches: Iterable[FuserBatch]) -> State:
        """Mean and deviation of each z-scored input, in one pass."""
        found = {
            at: Moments(self._dims[at])
            for at, scale in enumerate(self._scale)
            if scale == "zscore"
        }
        for batch in batches:
            for at, moments in found.items():
                moments.add(batch.values[at][batch.present[at]])
        state = {}
        for at, moments in found.items():
            moments.finish()
            state[f"mean.{at}"] = moments.mean
            state[f"deviation.{at}"] = np.sqrt(moments.scatter / max(1, moments.count))
        return state

    def restore(self, state: State) -> None:
        """See ``RowFuser.restore``."""
        for at, scale in enumerate(self._scale):
            if scale != "zscore":
                continue
            mean, deviation = state.get(f"mean.{at}"), state.get(f"deviation.{at}")
            if mean is None or deviation is None or mean.shape != (self._dims[at],):
                raise UsageError(
                    f"the fit is not for input {at + 1} with vectors of {self._dims[at]} numbers"
                )
            self._moments[at] = mean, np.where(deviation > 0, deviation, 1.0)

    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """See ``RowFuser.transform``."""
        scaled = []
        for at, values in enumerate(batch.values):
            vectors = self._scaled(at, values)
            if self._zero and vectors is not values and not batch.present[at].all():
                vectors[~batch.present[at]] = 0
            scaled.append(vectors)
        # What is too large for float32 becomes infinite, and the core a failure of it.
        with np.errstate(over="ignore", invalid="ignore"):
            return {"embedding": self.combine(scaled)}

    @abstractmethod
    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """Combine the scaled vectors of every input, each (n, dim), into (n, dim)."""

    def _scaled(self, at: int, values: Vectors) -> Vectors:
        if self._scale[at] == "l2":
            norms = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
            unit: Vectors = (values / np.where(norms > 0, norms, 1.0)[:, None]).astype(np.float32)
            return unit
        if self._scale[at] == "zscore":
            mean, deviation = self._moments[at]
            standard: Vectors = ((values - mean) / deviation).astype(np.float32)
            return standard
        return values


class Concat(Combine):
    """The vectors one after the other."""

    equal = False

    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """See ``Combine.combine``."""
        return np.concatenate(values, axis=1)


class Sum(Combine):
    """The sum, number by number."""

    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """See ``Combine.combine``."""
        return functools.reduce(np.add, values)


class Multiply(Combine):
    """The product, number by number."""

    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """See ``Combine.combine``."""
        return functools.reduce(np.multiply, values)


class Maximum(Combine):
    """The largest, number by number."""

    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """See ``Combine.combine``."""
        return functools.reduce(np.maximum, values)


class Mean(Combine):
    """The mean, number by number, weighted where weights are given."""

    def __init__(self, options: MeanOptions, context: FuserContext) -> None:
        super().__init__(options, context)
        weights = options.weights
        self._weights = np.array(weights, np.float64)
        if weights and len(weights) != len(context.inputs):
            raise UsageError(f"{len(weights)} weights for {len(context.inputs)} feature sets")
        if weights and not sum(weights) > 0:
            raise UsageError("the weights must not all be 0")

    def combine(self, values: Sequence[Vectors]) -> Vectors:
        """See ``Combine.combine``."""
        if not len(self._weights):
            return functools.reduce(np.add, values) / np.float32(len(values))
        pairs = zip(self._weights, values, strict=True)
        total = functools.reduce(np.add, [weight * one for weight, one in pairs])
        mean: Vectors = (total / self._weights.sum()).astype(np.float32)
        return mean


def _each(given: Sequence[str], count: int, option: str) -> tuple[str, ...]:
    if len(given) == 1:
        return (given[0],) * count
    if len(given) != count:
        raise UsageError(
            f"option {option!r} has {len(given)} values for {count} feature sets: give one for"
            " all, or one each"
        )
    return tuple(given)
