"""What extractors of one image network have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch

from ducho_core import Extractor, Media, Output, Resolved, Sample, UsageError
from ducho_torch.device import resolve_device
from ducho_torch.model import memory_errors, to_numpy
from ducho_torch.precision import Precision, computing, resolve_precision
from ducho_torch.weights import checkpoint_dtype, weights_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ducho_core import ResolveContext
    from ducho_torch.images import Preprocessing


class NetworkSource(Protocol):
    """An architecture and where its weights are, in a library's own description. Picklable."""

    @property
    def label(self) -> str:
        """Short name for the feature set's slug."""

    @property
    def files(self) -> tuple[str, ...]:
        """Weight files; empty means random weights."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What beside the files' digest says which weights these are."""

    @property
    def model_args(self) -> Mapping[str, Any]:
        """Arguments of the architecture that belong to the weights."""


def resolved_network(
    source: NetworkSource,
    architecture: str,
    preprocessing: Preprocessing,
    names: Sequence[str],
    options: Any,
    context: ResolveContext,
) -> Resolved:
    """What ``resolve`` gives for a network of a library: precision settled, weights hashed.

    Args:
        source: where the weights are.
        architecture: the network's name, for the SPEC.
        preprocessing: settled.
        names: the outputs wanted.
        options: as the SPEC has them.
        context: precision and device.

    Returns:
        Its ``state`` is ``(source, preprocessing)``.

    Raises:
        UsageError: the device cannot compute so.
    """
    device = resolve_device(context.run_options.device)
    native = None
    if context.precision == "native" and source.files:
        native = checkpoint_dtype(source.files)
    precision = resolve_precision(context.precision, device, native, images=True)
    weights = dict(source.identity)
    if source.files:
        weights["sha256"] = weights_digest(source.files)
    identity: dict[str, Any] = {
        "architecture": architecture,
        "weights": weights,
        "preprocessing": preprocessing.identity(),
    }
    if source.model_args:
        identity["model_args"] = dict(source.model_args)
    return Resolved(
        label=source.label,
        identity=identity,
        precision=precision.values(),
        outputs=tuple(Output(name=name) for name in names),
        options=options,
        state=(source, preprocessing),
    )


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
