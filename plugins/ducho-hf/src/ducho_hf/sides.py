"""Extractors of a dual encoder: an input, its tower and its outputs are one side of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ducho_core import Extractor, Output, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ducho_core.extractor import InputValue


class Side(ABC):
    """One input of a dual encoder, with the tower that it runs through.

    Attributes:
        outputs: its outputs, every ``dim`` known.
    """

    outputs: tuple[Output, ...]

    @abstractmethod
    def prepare_many(self, values: Sequence[InputValue]) -> list[Sample]:
        """Prepare a slice of inputs.

        Raises:
            ItemError: one of them cannot be used.
        """

    @abstractmethod
    def size(self, data: Any) -> int:
        """What a prepared input costs in a batch."""

    @abstractmethod
    def run(self, batch: Sequence[Any]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """Output name to vectors, shape (n, dim), float32."""


class SidedExtractor(Extractor):
    """An extractor over the sides of a dual encoder; each runs in the pass of its own set.

    A subclass has ``resolve`` and ``load``.

    Args:
        sides: by the name of the input.
    """

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self._sides = dict(sides)
        self.outputs = tuple(output for side in sides.values() for output in side.outputs)

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Prepare one item's inputs.

        Raises:
            ItemError: one cannot be used.
        """
        return self.prepare_many([inputs])[0]

    def prepare_many(self, inputs: Sequence[Mapping[str, InputValue]]) -> list[Sample]:
        """Prepare a slice of items that all hold the same inputs.

        Raises:
            ItemError: an input cannot be used.
        """
        parts = {
            name: side.prepare_many([one[name] for one in inputs])
            for name, side in self._sides.items()
            if inputs and name in inputs[0]
        }
        return [
            Sample(
                {name: part[row].data for name, part in parts.items()},
                tuple(note for part in parts.values() for note in part[row].notes),
            )
            for row in range(len(inputs))
        ]

    def size(self, sample: Sample) -> int:
        """What its inputs cost."""
        return sum(self._sides[name].size(data) for name, data in sample.data.items())

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """A pass through the tower of each input that the samples hold, and of no other."""
        found: dict[str, npt.NDArray[np.floating[Any]]] = {}
        for name in samples[0].data:
            found |= self._sides[name].run([sample.data[name] for sample in samples])
        return found

    def close(self) -> None:
        """Let the model go."""
        self._sides.clear()
