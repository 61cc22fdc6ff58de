"""``clip/dual``: both towers of a dual encoder, a feature set for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
from ducho_hf import (
    ImagePreparation,
    Side,
    SidedExtractor,
    check_dual,
    draft_size,
    load_processor,
    load_tokenizer,
    load_towers,
    locate,
    read_config,
)
from ducho_torch import Precision, checkpoint_dtype, resolve_device, resolve_precision

from ducho_clip.models import MODELS
from ducho_clip.outputs import TOWERS, declared, output_names, settled_layers
from ducho_clip.resolving import Images, settle_images, settle_texts
from ducho_clip.sides import ImageSide, TextSide
from ducho_core import Output, ResolveContext, Resolved

if TYPE_CHECKING:
    import torch

    from ducho_clip.options import DualOptions
    from ducho_clip.outputs import Names
    from ducho_clip.resolving import Texts
    from ducho_core import RunOptions


class DualExtractor(SidedExtractor):
    """Vectors of images and of texts, by default in the space that the two share.

    Only the towers whose inputs are bound are loaded; each runs in the pass of its own set.
    """

    @classmethod
    def resolve(cls, options: DualOptions, context: ResolveContext) -> Resolved:
        """Find the model, check layers and limits, hash its files.

        Raises:
            UsageError: the model is no dual encoder, or an option does not fit it.
        """
        bound = {field.name for field in context.inputs}
        inputs = [name for name in TOWERS if name in bound]
        source = locate(options, suggestions=MODELS)
        config = read_config(source)
        check_dual(source, config, [TOWERS[name] for name in inputs])
        precision = resolve_precision(
            context.precision,
            resolve_device(context.run_options.device),
            checkpoint_dtype(source.paths(source.weight_files()))
            if context.precision == "native"
            else None,
        )
        changes: dict[str, Any] = {"model": source.name, "revision": source.commit}
        identity: dict[str, dict[str, Any]] = {}
        state: dict[str, Images | Texts] = {}
        outputs: list[Output] = []
        for name in inputs:
            layers = settled_layers(options, name, config, source.name)
            settled = (
                settle_images(options, context, source)
                if name == "image"
                else settle_texts(options, config, source)
            )
            changes |= {f"{name}_layers": layers, **settled.options}
            identity[name] = settled.identity
            state[name] = settled.state
            outputs += declared(output_names(options, name, layers), name, config)
        return Resolved(
            label=source.label,
            identity={
                **source.identity(),
                **source.digests(),
                "architecture": config.model_type,
            },
            input_identity=identity,
            outputs=tuple(outputs),
            options=msgspec.structs.replace(options, **changes),
            precision=precision.values(),
            state=(source, state),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: RunOptions) -> Self:
        """Load the towers of the inputs that are bound.

        Raises:
            UsageError: the checkpoint is not whole, or a pooling is wanted that the model has
                not.
        """
        source, state = resolved.state
        options = resolved.options
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        towers = [TOWERS[name] for name in state]
        model = load_towers(source, read_config(source), towers, precision, device)
        sides: dict[str, Side] = {}
        for name, found in state.items():
            names = output_names(options, name, getattr(options, f"{name}_layers"))
            sides[name] = (
                _image_side(options, found, model, names, precision, device)
                if isinstance(found, Images)
                else _text_side(options, found, model, names, precision, device)
            )
        return cls(sides)


def _image_side(
    options: DualOptions,
    found: Images,
    model: Any,
    names: Names,
    precision: Precision,
    device: torch.device,
) -> ImageSide:
    processor, _ = load_processor(found.source)
    return ImageSide(
        model,
        names,
        ImagePreparation(processor),
        precision,
        device,
        normalize=options.normalize,
        draft=draft_size(processor) if found.scaled else None,
        resize=options.resize,
    )


def _text_side(
    options: DualOptions,
    found: Texts,
    model: Any,
    names: Names,
    precision: Precision,
    device: torch.device,
) -> TextSide:
    return TextSide(
        model,
        names,
        load_tokenizer(found.source, found.limit),
        precision,
        device,
        normalize=options.normalize,
        length=found.limit if found.padded else None,
    )
