"""The two sides of a dual encoder: how its images and how its texts are prepared and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ducho_hf import (
    BatchTokenizer,
    ImagePreparation,
    Side,
    Tokens,
    TowerOutputs,
    by_shape,
    check_class_token,
    find_tower,
)
from ducho_torch import computing, memory_errors, to_numpy
from PIL import Image

from ducho_core import Media, Output, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from ducho_torch import Precision

    from ducho_clip.outputs import Names
    from ducho_core.extractor import InputValue

Vectors = dict[str, "npt.NDArray[np.floating[Any]]"]

_PROBES = ("A red shoe", "Blue running shoes for women, size 38")
_PATCH = 16


class TowerSide(Side):
    """A side that learns the lengths of its outputs from a first pass."""

    def _measure(self, requires: str, probe: Sequence[Sample]) -> None:
        found = self.run([sample.data for sample in probe])
        self.outputs = tuple(
            Output(name=name, dim=int(vectors.shape[1]), requires=(requires,))
            for name, vectors in found.items()
        )


class ImageSide(TowerSide):
    """Images through the model's image processor and its vision tower.

    Args:
        model: from ``load_towers``.
        names: output name to hidden state and pooling.
        preparation: runs the image processor.
        precision: what to compute in.
        device: where the model is.
        normalize: whether projected vectors are scaled to length 1.
        draft: size that a JPEG may be decoded down to, or None.
        resize: size that an image is brought to first, or none.
    """

    def __init__(
        self,
        model: Any,
        names: Names,
        preparation: ImagePreparation,
        precision: Precision,
        device: torch.device,
        *,
        normalize: bool,
        draft: tuple[int, int] | None,
        resize: tuple[int, ...],
    ) -> None:
        self._preparation = preparation
        self._precision = precision
        self._device = device
        self._draft = draft
        self._resize = (resize[0], resize[-1]) if resize else None
        config = getattr(model.config, "vision_config", None)
        patch = getattr(config, "patch_size", None)
        self._patch = patch if isinstance(patch, int) else _PATCH
        probe = [self._sample(Image.new("RGB", (64, 48), (90, 140, 30)), ())] * 2
        with computing(precision, device):
            example = self._inputs([sample.data for sample in probe])
            if any(how == "cls" for _, how in names.values()):
                check_class_token(find_tower(model, "vision"), example)
            self._tower = TowerOutputs(model, "vision", names, example, normalize=normalize)
        self._names = tuple(names)
        self._measure("image", probe)

    def prepare_many(self, values: Sequence[InputValue]) -> list[Sample]:
        """Decode, resize and crop images. See ``Side.prepare_many``."""
        return [self._prepare(value) for value in values]

    def size(self, data: Any) -> int:
        """Patches of an image."""
        shape: tuple[int, ...] = data["pixel_values"].shape
        if len(shape) == 2:  # it is cut into patches already
            return shape[0]
        return max(1, (shape[-2] // self._patch) * (shape[-1] // self._patch))

    def run(self, batch: Sequence[Any]) -> Vectors:
        """One pass for each shape of image in the batch. See ``Side.run``."""
        groups = by_shape(batch)
        found: dict[str, list[npt.NDArray[np.floating[Any]]]] = {name: [] for name in self._names}
        with memory_errors(), computing(self._precision, self._device):
            for rows in groups:
                inputs = self._inputs([batch[row] for row in rows])
                for name, vectors in self._tower.run(
                    inputs, inputs.get("pixel_attention_mask")
                ).items():
                    found[name].append(to_numpy(vectors))
        order = np.argsort(np.concatenate(groups))
        return {name: np.concatenate(parts)[order] for name, parts in found.items()}

    def _prepare(self, value: InputValue) -> Sample:
        assert isinstance(value, Media)
        return self._sample(value.image(self._draft), tuple(value.notes))

    def _sample(self, image: Image.Image, notes: tuple[str, ...]) -> Sample:
        if self._resize is not None:
            image = image.resize(self._resize, Image.Resampling.BICUBIC)
        return Sample(self._preparation.prepare(image), notes)

    def _inputs(self, batch: Sequence[Any]) -> dict[str, torch.Tensor]:
        inputs = self._preparation.batch(list(batch), self._device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self._precision.dtype)
        return inputs


class TextSide(TowerSide):
    """Texts through the model's tokenizer and its text tower.

    Args:
        model: from ``load_towers``.
        names: output name to hidden state and pooling.
        tokenizer: the tokenizer.
        precision: what to compute in.
        device: where the model is.
        normalize: whether projected vectors are scaled to length 1.
        length: length that every text is padded to; None pads to the longest of a batch.
    """

    def __init__(
        self,
        model: Any,
        names: Names,
        tokenizer: BatchTokenizer,
        precision: Precision,
        device: torch.device,
        *,
        normalize: bool,
        length: int | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._precision = precision
        self._device = device
        self._length = length
        probe = tokenizer.samples(_PROBES)
        with computing(precision, device):
            example, _ = self._inputs([sample.data for sample in probe])
            self._tower = TowerOutputs(model, "text", names, example, normalize=normalize)
        self._measure("text", probe)

    def prepare_many(self, values: Sequence[InputValue]) -> list[Sample]:
        """Tokenize texts at once. See ``Side.prepare_many``."""
        return self._tokenizer.samples([str(value) for value in values])

    def size(self, data: Any) -> int:
        """Tokens of a text, with the padding that it always gets."""
        return self._length or len(data.ids)

    def run(self, batch: Sequence[Any]) -> Vectors:
        """One pass over a padded batch. See ``Side.run``."""
        with memory_errors(), computing(self._precision, self._device):
            inputs, mask = self._inputs(batch)
            return {
                name: to_numpy(vectors) for name, vectors in self._tower.run(inputs, mask).items()
            }

    def _inputs(self, batch: Sequence[Tokens]) -> tuple[Mapping[str, torch.Tensor], torch.Tensor]:
        tokenizer = self._tokenizer
        # Where the length is fixed, the model has learnt where its tokenizer puts the padding.
        side = tokenizer.padding_side if self._length else "right"
        padded = tokenizer.pad(batch, side, length=self._length)
        inputs = {name: torch.from_numpy(array).to(self._device) for name, array in padded.items()}
        mask = inputs["attention_mask"]
        if self._length and not tokenizer.gives_mask:
            del inputs["attention_mask"]
            mask = torch.ones_like(mask)
        return inputs, mask
