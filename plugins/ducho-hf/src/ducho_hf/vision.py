"""``hf/vision``: pooled layers of any Transformers vision encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from ducho_torch import (
    Precision,
    checkpoint_dtype,
    computing,
    memory_errors,
    resolve_device,
    resolve_precision,
    to_numpy,
)

from ducho_core import Extractor, Media, Output, ResolveContext, Resolved, Sample, UsageError
from ducho_hf.encoder import layer_count, load_encoder, read_config, tower_config
from ducho_hf.hidden import HiddenStates, check_class_token
from ducho_hf.images import (
    ImagePreparation,
    by_shape,
    draft_size,
    load_processor,
    preprocessing,
)
from ducho_hf.models import VISION_MODELS
from ducho_hf.pooling import output_names, outputs, pool, resolve_layers
from ducho_hf.source import locate, locate_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import torch

    from ducho_core import RunOptions
    from ducho_core.extractor import InputValue
    from ducho_hf.options import VisionOptions
    from ducho_hf.source import ModelSource


class VisionExtractor(Extractor):
    """Token or map vectors of a vision encoder, pooled: an output for each layer and pooling.

    Of a model of several towers (CLIP, SigLIP) only the vision tower is loaded. Images pass
    the model's own image processor.
    """

    def __init__(
        self,
        preparation: ImagePreparation,
        model: Any,
        names: dict[str, tuple[int | None, str]],
        precision: Precision,
        device: torch.device,
        *,
        draft: tuple[int, int] | None = None,
        resize: tuple[int, ...] = (),
    ) -> None:
        from PIL import Image

        self._preparation = preparation
        self._resize = (resize[0], resize[-1]) if resize else None
        self._bicubic = Image.Resampling.BICUBIC
        self._draft = draft
        self._names = names
        self._precision = precision
        self._device = device
        layers = sorted({layer for layer, _ in names.values() if layer is not None})
        probe = [Sample(preparation.prepare(Image.new("RGB", (64, 48), (90, 140, 30))))] * 2
        with computing(precision, device):
            example = self._inputs(probe)
            if any(how == "cls" for _, how in names.values()):
                check_class_token(model, example)
            self._states = HiddenStates(model, layers, example)
        found = self.extract(probe)
        self.outputs = tuple(
            Output(name=name, dim=int(vectors.shape[1])) for name, vectors in found.items()
        )

    @classmethod
    def resolve(cls, options: VisionOptions, context: ResolveContext) -> Resolved:
        """Find the model, check layers, read the image processor's settings, hash its files."""
        source = locate(options, suggestions=VISION_MODELS)
        config = tower_config(read_config(source), "vision")
        layers = resolve_layers(options.layers, layer_count(config), source.name)
        names = output_names(layers, options.pooling)
        pixels_from = _processor_source(options, source)
        processor, backend = load_processor(pixels_from)
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
            images=True,
        )
        # Transformers' encoders are neither made of batch norms nor faster in another layout.
        precision = Precision(
            compute_dtype=precision.compute_dtype,
            tf32=precision.tf32,
            scaled_decode=precision.scaled_decode
            and not options.resize
            and draft_size(processor) is not None,
            images=True,
        )
        hidden = getattr(config, "hidden_size", None)
        identity: dict[str, Any] = {
            **source.identity(),
            **source.digests(),
            "architecture": config.model_type,
            "preprocessing": preprocessing(processor, backend),
        }
        other = options.image_processor is not None
        if other:
            identity["image_processor"] = pixels_from.identity()
        return Resolved(
            label=source.label,
            identity=identity,
            outputs=outputs(names, hidden if isinstance(hidden, int) else None),
            options=msgspec.structs.replace(
                options,
                model=source.name,
                revision=source.commit,
                layers=layers,
                image_processor=pixels_from.name if other else None,
                image_processor_revision=pixels_from.commit if other else None,
            ),
            precision=precision.values(),
            state=(source, pixels_from),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:
        """Load image processor and encoder.

        Raises:
            UsageError: a class token is wanted and the model has none.
        """
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        names = output_names(resolved.options.layers, resolved.options.pooling)
        source, pixels_from = resolved.state
        processor, _ = load_processor(pixels_from)
        model = load_encoder(
            source,
            "vision",
            precision,
            device,
            pooler="pooler" in resolved.options.pooling,
        )
        draft = draft_size(processor) if precision.scaled_decode else None
        return cls(
            ImagePreparation(processor),
            model,
            names,
            precision,
            device,
            draft=draft,
            resize=resolved.options.resize,
        )

    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Decode, resize and crop one image.

        Raises:
            ItemError: the image cannot be used.
        """
        (media,) = inputs.values()
        assert isinstance(media, Media)
        image = media.image(self._draft)
        if self._resize is not None:
            image = image.resize(self._resize, self._bicubic)
        return Sample(self._preparation.prepare(image), tuple(media.notes))

    def extract(self, samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """One pass for each shape of image in the batch, every output pooled from it."""
        groups = by_shape([sample.data for sample in samples])
        found: dict[str, list[npt.NDArray[np.floating[Any]]]] = {name: [] for name in self._names}
        with memory_errors(), computing(self._precision, self._device):
            for rows in groups:
                states = self._states.run(self._inputs([samples[row] for row in rows]))
                for name, (layer, how) in self._names.items():
                    found[name].append(to_numpy(pool(states, layer, how, None)))
        order = np.argsort(np.concatenate(groups))
        return {name: np.concatenate(parts)[order] for name, parts in found.items()}

    def close(self) -> None:
        """Let the model go."""
        del self._states

    def _inputs(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        batch = self._preparation.batch([sample.data for sample in samples], self._device)
        batch["pixel_values"] = batch["pixel_values"].to(self._precision.dtype)
        return batch


def _processor_source(options: VisionOptions, source: ModelSource) -> ModelSource:
    if options.image_processor is not None:
        return locate_tokenizer(options.image_processor, options.image_processor_revision)
    if options.image_processor_revision is not None:
        raise UsageError(
            "image_processor_revision has a meaning only together with image_processor"
        )
    return source
