"""Programs over images: what TorchScript, torch.export and ONNX have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from ducho_torch import (
    ImageNetwork,
    LayerPooling,
    Precision,
    Preprocessing,
    computing,
    memory_errors,
)

from ducho_core import UsageError
from ducho_custom.loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAME = 1e-3


class Program(ABC):
    """A program on a device, ready to be called.

    Attributes:
        dtype: of the images that it takes.
        batch: images that it takes at once; None where it takes any number.
        size: (width, height) of the images that it takes; None where it does not say.
    """

    dtype: torch.dtype = torch.float32
    batch: int | None = None
    size: tuple[int, int] | None = None

    @abstractmethod
    def __call__(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Run it.

        Args:
            values: shape (n, 3, height, width), n being ``batch`` where it is fixed.

        Returns:
            For each layer wanted a tensor whose first axis is the images'.
        """


class ProgramNetwork(Loaded, ImageNetwork):
    """A program over images, one vector an image and layer.

    Whether it takes several images at once is what it says, and is tried: where two images
    together give other numbers than each alone, or an error, they are run one by one.

    Args:
        program: on the device.
        preprocessing: how images are resized and normalised.
        device: where the program runs.
        names: output name of each layer wanted.
        pool: how layers are pooled.
        scaled_decode: whether JPEGs may be decoded at a reduced scale.
    """

    def __init__(
        self,
        program: Program,
        *,
        preprocessing: Preprocessing,
        device: torch.device,
        names: Mapping[str, str],
        pool: LayerPooling,
        scaled_decode: bool,
    ) -> None:
        if not program.dtype.is_floating_point:
            raise UsageError(
                f"the program takes images as {program.dtype}; it must take numbers with a point"
            )
        dtype = str(program.dtype).removeprefix("torch.")
        precision = Precision(compute_dtype=dtype, scaled_decode=scaled_decode, images=True)
        super().__init__(
            preprocessing=preprocessing,
            precision=precision,
            device=device,
            names=tuple(names.values()),
        )
        self._program = program
        self._columns = dict(names)
        self._pool = pool
        self._batch = program.batch
        with memory_errors(), computing(precision, device):
            self._settle()
        self.circumstances = {"images_at_once": self._batch or "any number"}

    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """One pass over a batch, in as many calls as the program needs."""
        if self._batch is None:
            return self._named(self._program(values))
        parts = [self._named(self._call(part)) for part in torch.split(values, self._batch)]
        return {name: torch.cat([part[name] for part in parts]) for name in self._names}

    def close(self) -> None:
        """Let the program go."""
        del self._program
        super().close()

    def _call(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """A call of as many images as the program takes: the last is repeated to fill up."""
        count = len(values)
        if count == self._batch:
            return self._program(values)
        filled = values[-1:].expand((self._batch or count) - count, -1, -1, -1)
        return {
            name: tensor[:count]
            for name, tensor in self._program(torch.cat([values, filled])).items()
        }

    def _named(self, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {column: self._pool(name, found[name]) for name, column in self._columns.items()}

    def _settle(self) -> None:
        """Learn outputs, from one image, and whether two at once are as good as one by one."""
        grey = self.grey()
        ramp = torch.linspace(-1, 1, grey.shape[-1], device=grey.device, dtype=grey.dtype)
        other = (grey + ramp).contiguous()
        self._batch = self._batch or 1
        try:
            first, second = self._single(grey), self.run(other)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"the program does not run on an image of {grey.shape[-1]} x {grey.shape[-2]}"
                f" pixels: {_last_line(error)}. input_size=WIDTH,HEIGHT changes the size"
            ) from error
        self.learn_outputs(first)
        if self._program.batch is not None:
            return
        expected = {name: torch.cat([first[name], second[name]]) for name in self._names}
        self._batch = None
        try:
            together = self.run(torch.cat([grey, other]))
        except (RuntimeError, AssertionError, UsageError):
            together = {}
        if not _same(together, expected):
            self._batch = 1

    def _single(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """One image's outputs, by which pooling learns each layer's layout."""
        found = {name: tensor[:1] for name, tensor in self._call(values).items()}
        for name in self._columns:
            if found[name].ndim == 0 or found[name].shape[0] != 1:
                raise UsageError(f"{name} of the program is not a row an image; choose another")
        return self._named(found)


def _same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape
        and torch.linalg.vector_norm((one[name] - other[name]).float())
        <= _SAME * torch.linalg.vector_norm(other[name].float())
        for name in other
    )


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def column(layer: str) -> str:
    """Name of a layer's column: a store has no colons in its columns."""
    return layer.replace(":", "_")


def columns(layers: Sequence[str]) -> dict[str, str]:
    """Layer to column.

    Raises:
        UsageError: two layers would share a column.
    """
    named = {layer: column(layer) for layer in layers}
    if len(set(named.values())) < len(layers):
        raise UsageError(f"layers={','.join(layers)}: two of them would share a column")
    return named
