"""``core/hash``: vectors made from an item's bytes alone.

It needs nothing but numpy, is exact on every machine and in every batch, and carries no
meaning: a reference for tests, examples and the core's own overhead. Equal content gives equal
vectors; everything else gives vectors that are as good as independent.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ducho_core.extractor import (
    Column,
    Extractor,
    InputValue,
    JointValue,
    Output,
    ResolveContext,
    Resolved,
    Sample,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SCRATCH_VALUES = 16_384


class HashExtractor(Extractor):
    """Uniform values in [-1, 1) from a counter-based generator keyed by the content's digest.

    The generator is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    generators, OOPSLA 2014).
    """

    def __init__(self, dim: int, seed: int, output: Output) -> None:
        self.outputs = (output,)
        self._person = f"ducho{seed}".encode()[:16]
        self._steps = np.arange(1, dim + 1, dtype=np.uint64) * _GOLDEN
        rows = max(1, _SCRATCH_VALUES // dim)
        self._scratch = tuple(np.empty((rows, dim), np.uint64) for _ in range(2))

    @classmethod
    def resolve(cls, options: Any, context: ResolveContext) -> Resolved:  # noqa: ARG003
        output = Output(name="embedding", dim=options.dim)
        return Resolved(label=f"d{options.dim}", identity={}, outputs=(output,), options=options)

    @classmethod
    def load(cls, resolved: Resolved, run_options: Any) -> Self:  # noqa: ARG003
        return cls(resolved.options.dim, resolved.options.seed, resolved.outputs[0])

    def prepare(self, inputs: Mapping[str, InputValue | JointValue]) -> Sample:
        return Sample(self._key(inputs))

    def prepare_many(
        self, inputs: Sequence[Mapping[str, InputValue | JointValue]]
    ) -> list[Sample]:
        return [Sample(self._key(one)) for one in inputs]

    def _key(self, inputs: Mapping[str, InputValue | JointValue]) -> bytes:
        if len(inputs) == 1:
            (value,) = inputs.values()
            return blake2b(_content(value), digest_size=8, person=self._person).digest()
        whole = blake2b(digest_size=8, person=self._person)
        for name in sorted(inputs):
            content = _content(inputs[name])
            whole.update(f"{name}\0{len(content)}\0".encode())
            whole.update(content)
        return whole.digest()

    def extract(self, samples: Sequence[Sample]) -> Mapping[str, Column]:
        keys = np.frombuffer(b"".join([sample.data for sample in samples]), dtype="<u8")
        values = np.empty((len(keys), len(self._steps)), dtype=np.float32)
        for start in range(0, len(keys), len(self._scratch[0])):
            stop = min(start + len(self._scratch[0]), len(keys))
            self._fill(keys[start:stop, None], values[start:stop])
        return {"embedding": values}

    def _fill(self, keys: npt.NDArray[np.uint64], values: npt.NDArray[np.float32]) -> None:
        # The scratch stays in cache; fresh arrays would cost a page fault every 4 KiB.
        state, shifted = (part[: len(keys)] for part in self._scratch)
        np.add(keys, self._steps, out=state)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            np.right_shift(state, np.uint64(shift), out=shifted)
            np.bitwise_xor(state, shifted, out=state)
            np.multiply(state, np.uint64(factor), out=state)
        np.right_shift(state, np.uint64(31), out=shifted)
        np.bitwise_xor(state, shifted, out=state)
        # The upper 24 bits are what a float32 holds exactly.
        np.right_shift(state, np.uint64(40), out=state)
        values[:] = state
        values *= np.float32(2.0**-23)
        values -= np.float32(1.0)


def _content(value: InputValue | JointValue) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, tuple):
        return value.bytes
    if len(value) == 1:
        return _content(value[0])
    return b"".join(sha256(_content(part)).digest() for part in value)
