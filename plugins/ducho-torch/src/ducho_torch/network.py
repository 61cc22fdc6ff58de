"""What extractors of one image network have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from ducho_core import Extractor, Media, Output, Sample, UsageError
from ducho_torch.model import memory_errors, to_numpy
from ducho_torch.precision import Precision, computing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ducho_torch.images import Preprocessing


class ImageNetwork(Extractor):
    """A network over images of one size: uint8 pixels in, a vector an output and image out.

    A subclass has ``resolve`` and ``load``, gives its outputs in ``run``, and ends its
    ``__init__`` with ``learn_outputs``.

    Args:
        preprocessing: how images are resized and normalised.
        precision: what the precision word stands for.
        device: where the network runs.
        names: the outputs wanted, in order.
    """

    threadsafe_prepare: ClassVar[bool] = True

    def __init__(
        self,
        *,
        preprocessing: Preprocessing,
        precision: Precision,
        device: torch.device,
        names: Sequence[str],
    ) -> None:
        self._preprocessing = preprocessing
        self._precision = precision
        self._device = device
        self._names = tuple(names)

    @abstractmethod
    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """One pass.

        Args:
            values: shape (n, 3, height, width), on the device, in the precision's dtype.

        Returns:
            For each output its tensor of shape (n, dim).
        """

    def prepare(self, inputs: Mapping[str, str | Media]) -> Sample:
        media = inputs["image"]
        if not isinstance(media, Media):
            raise UsageError("this takes images; bind one with --image COLUMN or TEMPLATE")
        draft = self._preprocessing.draft if self._precision.scaled_decode else None
        pixels = self._preprocessing.pixels(media.image(draft))
        return Sample(pixels, notes=tuple(media.notes))

    def extract(self, samples: Sequence[Sample]) -> Mapping[str, npt.NDArray[np.floating]]:
        pixels = np.stack([sample.data for sample in samples])
        with memory_errors(), computing(self._precision, self._device):
            found = self.run(self.values(torch.from_numpy(pixels)))
            return {name: to_numpy(found[name]) for name in self._names}

    def close(self) -> None:
        """Let go of the device's memory; a subclass deletes its network first."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def values(self, pixels: torch.Tensor) -> torch.Tensor:
        """What ``run`` takes, from uint8 pixels of shape (n, height, width, 3)."""
        values = self._preprocessing.normalised(pixels.to(self._device)).to(self._precision.dtype)
        return values if self._precision.channels_last else values.contiguous()

    def grey(self) -> torch.Tensor:
        """One plain grey image, as ``run`` takes it."""
        shape = (1, self._preprocessing.height, self._preprocessing.width, 3)
        return self.values(torch.full(shape, 128, dtype=torch.uint8))

    def learn_outputs(self, found: Mapping[str, torch.Tensor]) -> None:
        """Set ``outputs`` from what a pass over one image gave."""
        self.outputs = tuple(
            Output(name=name, dim=int(found[name].shape[1])) for name in self._names
        )
