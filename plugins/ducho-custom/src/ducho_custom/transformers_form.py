"""A Transformers folder, or its architecture with weights from elsewhere."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, ClassVar

from ducho_hf import (
    ImagePreparation,
    ModelOptions,
    ModelSource,
    draft_size,
    load_encoder,
    load_processor,
    load_tokenizer,
    locate,
    preprocessing,
    read_config,
    text_limit,
    tower_config,
)
from ducho_torch import Precision, resolve_device, resolve_precision

from ducho_core import Extractor, OptionError, Resolved, UsageError
from ducho_custom.filling import Gaps
from ducho_custom.forms import Form, modality, native_dtype
from ducho_custom.networks import ProcessedNetwork, TextNetwork
from ducho_custom.options import POOLED
from ducho_custom.reading import Weights
from ducho_custom.trust import check_pin, refuse_early

if TYPE_CHECKING:
    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions

_IMAGES = {
    "preprocessing": "model",
    "resize": (),
    "input_size": (),
    "crop_pct": None,
    "interpolation": None,
    "mean": (),
    "std": (),
}


class TransformersForm(Form):
    """An encoder of Transformers over texts or images, as the folder prepares them.

    Weights that would be used and are missing are an error; others, such as a classifier's, are
    left aside. Pickled weights are read as any other state dict is.

    Args:
        path: the weight file, or the folder where it holds the weights too.
        folder: the folder with config.json, tokenizer or image processor.
        pin: sha256 that the one weight file must have, or None.
    """

    name: ClassVar[str] = "transformers"

    def __init__(self, path: str, folder: str, pin: str | None) -> None:
        super().__init__(path, pin)
        folder = os.path.abspath(os.path.expanduser(folder))
        if os.path.basename(folder) == "config.json":
            folder = os.path.dirname(folder)
        self.folder = folder

    def resolve(self, options: CustomOptions, context: ResolveContext) -> Resolved:
        """Read configuration and tokenizer or image processor settings, hash the files."""
        if options.arguments:
            raise OptionError("arguments has no meaning for transformers: config.json says it all")
        if not os.path.isdir(self.folder):
            raise UsageError(f"architecture=transformers:{self.folder}: there is no such folder")
        source = locate(ModelOptions(model=self.folder), suggestions=())
        images = modality(context) == "image"
        config = tower_config(read_config(source), "vision" if images else "text")
        weights = self._weights(options, source)
        native = native_dtype(weights) if context.precision == "native" else None
        precision = resolve_precision(
            context.precision, resolve_device(context.run_options.device), native, images=images
        )
        identity: dict[str, Any] = {
            "form": self.name,
            "architecture": config.model_type,
            "config_sha256": source.digest(["config.json"]),
            "weights": {"file": self.file, "sha256": weights.digest()},
        }
        recorded: dict[str, Any] = {}
        if options.architecture is not None:
            recorded["architecture"] = f"transformers:{source.name}"
        if images:
            given = [name for name, own in _IMAGES.items() if getattr(options, name) != own]
            if given:
                raise OptionError(
                    f"{', '.join(given)}: a Transformers folder has its own image processor;"
                    " change its preprocessor_config.json"
                )
            processor, backend = load_processor(source)
            identity["preprocessing"] = preprocessing(processor, backend)
            precision = Precision(
                compute_dtype=precision.compute_dtype,
                tf32=precision.tf32,
                scaled_decode=precision.scaled_decode and draft_size(processor) is not None,
                images=True,
            )
            tokens: Any = None
        else:
            place = options.tokenizer or self.folder
            words = locate(ModelOptions(model=place), suggestions=())
            limit = text_limit(options.max_length, "max_length", config, words)
            identity |= {"tokenizer_sha256": words.tokenizer_digest(), "max_length": limit}
            if options.tokenizer is not None:
                recorded["tokenizer"] = words.name
            tokens = (words, limit)
        return self.settle(
            options,
            label=source.label,
            identity=identity,
            precision=precision.values(),
            state=(source, weights, tokens),
            **recorded,
        )

    def load(self, resolved: Resolved, state: Any, run_options: CustomRunOptions) -> Extractor:
        """Load the encoder, and its tokenizer or image processor."""
        source, weights, tokens = state
        options = resolved.options
        names = self.layers(options)
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        model = load_encoder(
            source,
            "vision" if tokens is None else "text",
            precision,
            device,
            pooler=POOLED in names,
            state=None if weights.plain_in(source.folder) else weights.read(),
        )
        if tokens is None:
            processor, _ = load_processor(source)
            return ProcessedNetwork(
                model,
                ImagePreparation(processor),
                precision=precision,
                device=device,
                names=names,
                options=options,
                draft=draft_size(processor) if precision.scaled_decode else None,
            )
        return TextNetwork(
            model,
            load_tokenizer(*tokens),
            signature=inspect.signature(model.forward),
            precision=precision,
            device=device,
            names=names,
            pooling=options.pooling,
            pooler=True,
            gaps=Gaps(source=self.file),
        )

    def _weights(self, options: CustomOptions, source: ModelSource) -> Weights:
        if os.path.realpath(self.path) != source.folder:
            return self.weights(options)
        files = source.paths(source.weight_files())
        source.digests()
        if self.pin is not None and len(files) > 1:
            raise UsageError(
                f"sha256 pins one file, and the weights in {self.file} are {len(files)} files"
            )
        for file in files:
            check_pin(file, self.pin)
            refuse_early(file, self.pin)
        return Weights(
            files=tuple(files), pin=self.pin, prefix=options.prefix, ignore=options.ignore
        )
