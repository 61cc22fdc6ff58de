"""A network of torch modules over images, and one over texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from ducho_hf import ImagePreparation, States, TextPasses, by_shape, only_text, pool
from ducho_torch import (
    ImageNetwork,
    LayerPooling,
    Precision,
    Preprocessing,
    computing,
    memory_errors,
    to_numpy,
)

from ducho_core import Media, Output, Sample, UsageError
from ducho_custom.layers import Layers
from ducho_custom.loaded import Loaded

if TYPE_CHECKING:
    import inspect
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from ducho_hf import BatchTokenizer
    from torch import nn

    from ducho_custom.filling import Gaps
    from ducho_custom.options import CustomOptions

_MOST_CLASS_TOKENS = 16  # DINOv2 with registers has five
_PROBE = "A red shoe"


def image_pooling(options: CustomOptions) -> str:
    """How layers of a network over images are pooled.

    Raises:
        UsageError: a pooling that only texts have.
    """
    if options.pooling == "last":
        raise UsageError("pooling=last is for texts; images have avg, max, gem, cls, none-flatten")
    return options.pooling


class ModuleNetwork(Loaded, ImageNetwork):
    """A torch module over images of one size.

    Args:
        model: prepared for the device and the precision.
        preprocessing: how images are resized and normalised.
        precision: what the precision word stands for.
        device: where the model is.
        names: the outputs wanted.
        options: pooling and prefix tokens.
        gaps: weights that the model lacks, on which no output may depend.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        preprocessing: Preprocessing,
        precision: Precision,
        device: torch.device,
        names: Sequence[str],
        options: CustomOptions,
        gaps: Gaps,
    ) -> None:
        super().__init__(
            preprocessing=preprocessing, precision=precision, device=device, names=names
        )
        pool = LayerPooling.of(
            model,
            image_pooling(options),
            height=preprocessing.height,
            width=preprocessing.width,
            prefix_tokens=options.prefix_tokens,
        )
        self._layers = Layers(model, names, pool)
        with memory_errors(), computing(precision, device):
            found = self._layers.learn(self.grey())
        gaps.check(found)
        self.learn_outputs(found)

    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """One pass over a batch."""
        return self._layers.run(values)

    def close(self) -> None:
        """Let the model go."""
        del self._layers
        super().close()


class ProcessedNetwork(Loaded):
    """A Transformers encoder over images that pass its own image processor.

    Args:
        model: on the device, in the precision's dtype.
        preparation: its image processor.
        precision: what the precision word stands for.
        device: where the model is.
        names: the outputs wanted.
        options: pooling and prefix tokens.
        draft: size that a JPEG may be decoded down to, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        preparation: ImagePreparation,
        *,
        precision: Precision,
        device: torch.device,
        names: Sequence[str],
        options: CustomOptions,
        draft: tuple[int, int] | None,
    ) -> None:
        from PIL import Image

        self._preparation = preparation
        self._precision = precision
        self._device = device
        self._names = tuple(names)
        self._draft = draft
        probe = preparation.prepare(Image.new("RGB", (64, 48), (90, 140, 30)))
        height, width = probe["pixel_values"].shape[-2:]
        with memory_errors(), computing(precision, device):
            inputs = self._inputs([Sample(probe)])
            tokens, patches = _tokens(model, inputs, (width, height))
            pooling = LayerPooling(
                image_pooling(options),
                height=height,
                width=width,
                prefix_tokens=tokens if options.prefix_tokens is None else options.prefix_tokens,
                patches=patches,
            )
            self._layers = Layers(model, names, pooling, pooler=True)
            found = self._layers.learn(**inputs)
        self.outputs = _outputs(names, found)

    def prepare(self, inputs: Mapping[str, str | Media]) -> Sample:
        """Decode one image and run the image processor.

        Raises:
            ItemError: the image cannot be used.
        """
        (media,) = inputs.values()
        assert isinstance(media, Media)
        image = media.image(self._draft)
        return Sample(self._preparation.prepare(image), tuple(media.notes))

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating]]:
        """A pass for each shape of image in the batch."""
        groups = by_shape([sample.data for sample in samples])
        found: dict[str, list[npt.NDArray[np.floating]]] = {name: [] for name in self._names}
        with memory_errors(), computing(self._precision, self._device):
            for rows in groups:
                given = self._layers.run(**self._inputs([samples[row] for row in rows]))
                for name in self._names:
                    found[name].append(to_numpy(given[name]))
        order = np.argsort(np.concatenate(groups))
        return {name: np.concatenate(parts)[order] for name, parts in found.items()}

    def close(self) -> None:
        """Let the model go."""
        del self._layers

    def _inputs(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        batch = self._preparation.batch([sample.data for sample in samples], self._device)
        batch["pixel_values"] = batch["pixel_values"].to(self._precision.dtype)
        return batch


class TextNetwork(Loaded):
    """A torch module over texts: it takes ``input_ids`` and ``attention_mask``, padded right.

    Where it masks no padding, only texts of one length share a pass (``ducho_hf.TextPasses``).

    Args:
        model: prepared for the device and the precision.
        tokenizer: its tokenizer.
        signature: of the model's ``forward``: tells whether it takes ``token_type_ids``.
        precision: what the precision word stands for.
        device: where the model is.
        names: the outputs wanted.
        pooling: how tokens become one vector.
        pooler: whether ``pooled`` is the model's own ``pooler_output``.
        gaps: weights that the model lacks, on which no output may depend.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: BatchTokenizer,
        *,
        signature: inspect.Signature,
        precision: Precision,
        device: torch.device,
        names: Sequence[str],
        pooling: str,
        pooler: bool,
        gaps: Gaps,
    ) -> None:
        if pooling in ("gem", "none-flatten"):
            raise UsageError(f"pooling={pooling} is for images; texts have avg, max, cls, last")
        self._tokenizer = tokenizer
        self._precision = precision
        self._device = device
        self._pooling = "mean" if pooling == "avg" else pooling
        self._mask: torch.Tensor | None = None
        takes = signature.parameters
        free = any(one.kind is one.VAR_KEYWORD for one in takes.values())
        self._accepts = None if free else frozenset(takes)
        self._layers = Layers(model, names, self._pool, pooler=pooler)
        probe = tokenizer.samples([_PROBE])
        with memory_errors(), computing(precision, device):
            found = self._layers.learn(**self._inputs(probe))
        gaps.check(found)
        self.outputs = _outputs(names, found)
        self._passes = TextPasses(self._pass, tokenizer, precision)
        self.circumstances = self._passes.circumstances

    def prepare(self, inputs: Mapping[str, str | Media]) -> Sample:
        """Tokenize one text."""
        return self.prepare_many([inputs])[0]

    def prepare_many(self, inputs: Sequence[Mapping[str, str | Media]]) -> list[Sample]:
        """Tokenize a slice of texts at once.

        Raises:
            ItemError: ``no_tokens``.
        """
        return self._tokenizer.samples([only_text(one) for one in inputs])

    def size(self, sample: Sample) -> int:
        """Tokens of a text."""
        return len(sample.data.ids)

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating]]:
        """One pass over a padded batch, or one for each length of text in it."""
        return self._passes.run(samples)

    def close(self) -> None:
        """Let the model go."""
        del self._layers

    def _pass(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating]]:
        with memory_errors(), computing(self._precision, self._device):
            found = self._layers.run(**self._inputs(samples))
            return {name: to_numpy(tensor) for name, tensor in found.items()}

    def _inputs(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        padded = self._tokenizer.pad([sample.data for sample in samples])
        self._mask = torch.from_numpy(padded["attention_mask"]).to(self._device)
        return {
            name: torch.from_numpy(array).to(self._device)
            for name, array in padded.items()
            if self._accepts is None or name in self._accepts
        }

    def _pool(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim == 2:
            return tensor
        assert self._mask is not None
        if tensor.ndim != 3 or tensor.shape[:2] != self._mask.shape:
            raise UsageError(
                f"layer {name} gives shape {tuple(tensor.shape)}, which is not a vector for each"
                " token of a text; choose another layer"
            )
        return pool(States(last=tensor), None, self._pooling, self._mask)


def _tokens(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], size: tuple[int, int]
) -> tuple[int, int | None]:
    """Tokens of a Transformers encoder beyond its patches, and these; where that is clear."""
    patch = getattr(model.config, "patch_size", None)
    hidden = model(**inputs)[0]
    if not isinstance(patch, int) or hidden.ndim != 3:
        return 0, None
    patches = (size[0] // patch) * (size[1] // patch)
    extra = int(hidden.shape[1]) - patches
    return (extra, patches) if 0 <= extra <= _MOST_CLASS_TOKENS else (0, None)


def _outputs(names: Sequence[str], found: Mapping[str, torch.Tensor]) -> tuple[Output, ...]:
    return tuple(Output(name=name, dim=int(found[name].shape[1])) for name in names)
