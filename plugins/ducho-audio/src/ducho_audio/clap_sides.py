"""CLAP's two sides: how sounds and how texts are prepared and run through their towers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from ducho_hf import BatchTokenizer, Side, Tokens, TowerOutputs
from ducho_torch import computing, memory_errors, to_numpy

from ducho_audio.frontend import Frontend, Windows
from ducho_audio.passes import Passes, join
from ducho_core import Media, Output, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from ducho_torch import Precision

    from ducho_audio.division import Division
    from ducho_audio.frontend import Arrays
    from ducho_core.extractor import InputValue

WINDOW_COST = 1024
"""What a window costs in a batch, where a token of a text costs ``TOKEN_COST``."""

TOKEN_COST = 8

_PROBES = ("A dog barks", "Heavy rain falls on the roof of a car")


class ClapFrontend(Frontend):
    """CLAP's feature extractor on windows that it need not crop, so that nothing is random.

    Shorter ones it repeats. The towers of models with feature fusion are told that no window
    is longer than they take.
    """

    fixed = True

    def __init__(self, extractor: Any, config: Any) -> None:
        super().__init__(extractor, config)
        self.length = extractor.nb_max_samples / self.rate
        self.minimum = 1

    def arrays(self, samples: npt.NDArray[np.float32]) -> Arrays:
        """The tower's inputs for one window, without the batch axis."""
        arrays = super().arrays(samples)
        arrays["input_features"] = arrays["input_features"].astype(np.float32)
        arrays["is_longer"] = np.zeros_like(arrays["is_longer"])
        return arrays

    def _arguments(self) -> dict[str, Any]:
        return {}


class ClapSide(Side):
    """One input of the model, with the tower that it runs through; one output.

    Attributes:
        name: of the input and the tower.
    """

    name: ClassVar[Any]

    def run(self, batch: Sequence[Any]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """Vectors of length 1, shape (n, dim)."""
        return {f"{self.name}_embeds": self._vectors(batch)}

    @abstractmethod
    def _vectors(self, batch: Sequence[Any]) -> npt.NDArray[np.float32]: ...

    def _begin(
        self, model: Any, precision: Precision, device: torch.device, probe: Sequence[Sample]
    ) -> None:
        self._precision = precision
        self._device = device
        batch = [sample.data for sample in probe]
        name = f"{self.name}_embeds"
        with computing(precision, device):
            self._tower = TowerOutputs(
                model, self.name, {name: (None, "projected")}, self._example(batch)
            )
        dim = int(self._vectors(batch).shape[1])
        self.outputs = (Output(name=name, dim=dim, requires=(self.name,)),)

    @abstractmethod
    def _example(self, batch: Sequence[Any]) -> dict[str, torch.Tensor]: ...

    def _embeds(self, arrays: Arrays) -> npt.NDArray[np.float32]:
        with memory_errors(), computing(self._precision, self._device):
            (vectors,) = self._tower.run(self._tensors(arrays), None).values()
            found: npt.NDArray[np.float32] = to_numpy(vectors)
            return found

    def _tensors(self, arrays: Arrays) -> dict[str, torch.Tensor]:
        tensors = {}
        for name, array in arrays.items():
            tensor = torch.from_numpy(array).to(self._device)
            tensors[name] = (
                tensor.to(self._precision.dtype) if tensor.is_floating_point() else tensor
            )
        return tensors


class SoundSide(ClapSide):
    """Sounds, cut into windows, through the audio tower.

    Args:
        model: from ``ducho_hf.load_towers``.
        frontend: runs the feature extractor.
        division: decodes sounds and cuts them.
        precision: what to compute in.
        device: where the model is.
        passes: bounds what goes through the tower at once.
    """

    name = "audio"

    def __init__(
        self,
        model: Any,
        frontend: ClapFrontend,
        division: Division,
        precision: Precision,
        device: torch.device,
        *,
        passes: Passes,
    ) -> None:
        self._frontend = frontend
        self._division = division
        self._passes = passes
        noise = np.random.default_rng(0).normal(0, 0.1, division.rate // 2).astype(np.float32)
        probe = Sample(Windows.of(frontend, division, noise))
        self._begin(model, precision, device, [probe, probe])

    def prepare_many(self, values: Sequence[InputValue]) -> list[Sample]:
        """Decode sounds, cut them into windows, run the feature extractor on each.

        Raises:
            ItemError: a sound cannot be used.
        """
        return [self._prepare(value) for value in values]

    def size(self, data: Any) -> int:
        """Windows of a sound."""
        return WINDOW_COST * len(data.arrays)

    def _vectors(self, batch: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Passes over the windows of all sounds; several vectors of a sound are averaged."""
        arrays = [one for windows in batch for one in windows.arrays]
        lengths = np.array([one for windows in batch for one in windows.lengths], float)
        counts = [len(windows.arrays) for windows in batch]
        cost = int(self._frontend.length * self._frontend.rate)

        def compute(rows: list[int]) -> npt.NDArray[np.float32]:
            return self._embeds(self._frontend.batch([arrays[row] for row in rows]))

        parts: dict[int, npt.NDArray[np.float32]] = {}
        for rows, found in self._passes.run([None] * len(arrays), [cost] * len(arrays), compute):
            parts |= dict(zip(rows, found, strict=True))
        vectors = np.stack([parts[row] for row in range(len(arrays))])
        joined = join("mean", vectors, lengths, counts)
        several = np.array(counts) > 1
        joined[several] /= np.linalg.norm(joined[several], axis=1, keepdims=True)
        return joined

    def _prepare(self, media: InputValue) -> Sample:
        assert isinstance(media, Media)
        samples = self._division.decode(media)
        notes = list(media.notes)
        if self._division.part != "windows" and len(samples) > self._division.window:
            notes = [note for note in notes if note != "truncated"] + ["truncated"]
        return Sample(Windows.of(self._frontend, self._division, samples), tuple(notes))

    def _example(self, batch: Sequence[Windows]) -> dict[str, torch.Tensor]:
        return self._tensors(self._frontend.batch([one.arrays[0] for one in batch]))


class TextSide(ClapSide):
    """Texts through the tokenizer and the text tower.

    Args:
        model: from ``ducho_hf.load_towers``.
        tokenizer: the tokenizer.
        precision: what to compute in.
        device: where the model is.
    """

    name = "text"

    def __init__(
        self, model: Any, tokenizer: BatchTokenizer, precision: Precision, device: torch.device
    ) -> None:
        self._tokenizer = tokenizer
        self._begin(model, precision, device, tokenizer.samples(_PROBES))

    def prepare_many(self, values: Sequence[InputValue]) -> list[Sample]:
        """Tokenize texts at once.

        Raises:
            ItemError: ``no_tokens``.
        """
        return self._tokenizer.samples([str(value) for value in values])

    def size(self, data: Any) -> int:
        """Tokens of a text."""
        return TOKEN_COST * len(data.ids)

    def _vectors(self, batch: Sequence[Any]) -> npt.NDArray[np.float32]:
        """One pass over a padded batch."""
        return self._embeds(self._padded(batch))

    def _padded(self, batch: Sequence[Tokens]) -> Arrays:
        return dict(self._tokenizer.pad(batch))

    def _example(self, batch: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        return self._tensors(self._padded(batch))
