"""Passes over texts: padded together where the model masks padding, else those of one length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ducho_hf.images import by_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from ducho_torch import Precision

    from ducho_core import Sample
    from ducho_hf.tokens import BatchTokenizer

Vectors: TypeAlias = "dict[str, npt.NDArray[np.floating[Any]]]"

_PROBES = ("Shoe", "Blue running shoes for women, size 38")
_SAME, _NEAR = 1e-4, 5e-2  # rounding, in float32 and in shorter dtypes


class TextPasses:
    """Runs a model over tokenized texts so that none depends on the texts beside it.

    Whether the model masks padding is tried: where a text beside a longer one gives other
    numbers than alone (FNet takes no mask, convolutions reach over it, a user's network may
    forget it), only texts of one length share a pass.

    Args:
        run: one pass over samples of ``tokenizer``, padded to the longest: output name to
            vectors, shape (n, dim).
        tokenizer: makes the samples that it is tried on.
        precision: what the model computes in.

    Attributes:
        masked: whether texts of any length share a pass.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Sample]], Vectors],
        tokenizer: BatchTokenizer,
        precision: Precision,
    ) -> None:
        self._run = run
        short, long = tokenizer.samples(_PROBES)
        alone, beside = run([short]), run([short, long])
        bound = _SAME if precision.compute_dtype in ("float32", "float64") else _NEAR
        self.masked = all(
            float(np.linalg.norm(beside[name][0] - one)) <= bound * float(np.linalg.norm(one))
            for name, (one,) in alone.items()
        )

    @property
    def circumstances(self) -> dict[str, str]:
        """For the record of a run."""
        return {"texts_at_once": "of any length" if self.masked else "of one length"}

    def run(self, samples: Sequence[Sample]) -> Vectors:
        """One pass, or one for each length of text: rows in the order of ``samples``."""
        if self.masked:
            return self._run(samples)
        groups = by_shape([{"ids": sample.data.ids} for sample in samples])
        parts = [self._run([samples[row] for row in rows]) for rows in groups]
        order = np.argsort(np.concatenate(groups))
        return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
