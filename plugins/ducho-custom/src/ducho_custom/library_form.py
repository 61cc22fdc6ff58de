"""Architectures of timm and torchvision with weights of the user's own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import ducho_timm
import ducho_torchvision
from ducho_timm import TimmExtractor, TimmOptions
from ducho_torch import Precision, prepare_model, resolve_device, resolve_precision
from ducho_torchvision import TorchvisionExtractor, TorchvisionOptions

from ducho_core import Extractor, OptionError, Resolved, UsageError
from ducho_custom.forms import Form, images_only, native_dtype
from ducho_custom.options import POOLED

if TYPE_CHECKING:
    from ducho_torch import ImageOptions, Preprocessing

    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions
    from ducho_custom.reading import Weights


_WEIGHTS = {
    "cache_dir",
    "checkpoint_path",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "weights",
    "weights_backbone",
}
"""Arguments by which the libraries' builders load weights of their own."""


class LibraryForm(Form):
    """Weights for a network that a library builds; every one must have its place.

    Args:
        path: the weight file.
        architecture: the library's name of the network.
        pin: sha256 that the file must have, or None.
    """

    default: ClassVar[str] = POOLED

    def __init__(self, path: str, architecture: str, pin: str | None) -> None:
        super().__init__(path, pin)
        self.architecture = architecture

    @abstractmethod
    def source(self) -> Any:
        """The library's own description of the weights."""

    @abstractmethod
    def preprocessing(self, options: ImageOptions, source: Any) -> Preprocessing:
        """As the library settles it."""

    @abstractmethod
    def build(self, source: Any, weights: Weights, size: tuple[int, int]) -> tuple[Any, Any]:
        """The network, filled, and what else its extractor takes."""

    @abstractmethod
    def extractor(self, model: Any, more: Any, settings: dict[str, Any]) -> Extractor:
        """The library's extractor over the prepared network."""

    def resolve(self, options: CustomOptions, context: ResolveContext) -> Resolved:
        """Check the name, settle preprocessing and precision, hash the file."""
        images_only(context, options.architecture or self.name)
        if options.pooling == "last" or options.prefix_tokens is not None:
            raise OptionError(
                f"{self.name} networks know their class tokens, and images have no last token:"
                " drop prefix_tokens and pooling=last"
            )
        others = sorted(_WEIGHTS & set(options.arguments))
        if others:
            raise OptionError(
                f"arguments: {', '.join(others)} would have {self.name} load other weights than"
                f" those of {self.file}"
            )
        weights = self.weights(options)
        source = self.source()
        source = replace(source, model_args={**source.model_args, **options.arguments})
        preprocessing = self.preprocessing(options, source)
        native = native_dtype(weights) if context.precision == "native" else None
        device = resolve_device(context.run_options.device)
        precision = resolve_precision(context.precision, device, native, images=True)
        identity = self.identity() | {
            "architecture": source.architecture,
            "preprocessing": preprocessing.identity(),
        }
        if source.model_args:
            identity["model_args"] = dict(source.model_args)
        return self.settle(
            options,
            label=source.label,
            identity=identity,
            precision=precision.values(),
            state=(source, weights, preprocessing),
        )

    def load(self, resolved: Resolved, state: Any, run_options: CustomRunOptions) -> Extractor:
        """Build the network and fill it.

        Raises:
            UsageError: weights are missing, or have no place in the network.
        """
        source, weights, preprocessing = state
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        names = self.layers(resolved.options)
        size = (preprocessing.width, preprocessing.height)
        try:
            model, more = self.build(source, weights, size)
        except UsageError as error:
            if "does not fit" not in str(error):
                raise
            raise UsageError(
                f"{error} A classifier of another make, or whatever else the features do not"
                " need, is left aside with -o ignore=MODULE; -o prefix=... drops what stands"
                " before the names"
            ) from error
        except TypeError as error:
            raise UsageError(
                f"{self.name}:{self.architecture} with arguments {dict(source.model_args)}:"
                f" {error}"
            ) from error
        model = prepare_model(
            model,
            precision,
            device,
            example=(3, preprocessing.height, preprocessing.width),
            keep=names,
        )
        settings = {
            "preprocessing": preprocessing,
            "precision": precision,
            "device": device,
            "layers": names,
            "pooling": resolved.options.pooling,
        }
        return self.extractor(model, more, settings)


class TimmForm(LibraryForm):
    """A network of timm; the number of classes is that of the weights."""

    name: ClassVar[str] = "timm"

    def source(self) -> Any:
        """timm's, by its name of the network."""
        return ducho_timm.timm_source(TimmOptions(model=self.architecture), self.path)

    def preprocessing(self, options: ImageOptions, source: Any) -> Preprocessing:
        """As the network's ``pretrained_cfg`` says."""
        config = ducho_timm.pretrained_config(source)
        return ducho_timm.resolve_preprocessing(options, config)

    def build(self, source: Any, weights: Weights, size: tuple[int, int]) -> tuple[Any, Any]:
        """As timm builds it."""
        return ducho_timm.build_model(source, lambda _files, _own: weights.read(), size), None

    def extractor(self, model: Any, more: Any, settings: dict[str, Any]) -> Extractor:  # noqa: ARG002
        """timm's."""
        return TimmExtractor(model, **settings)


class TorchvisionForm(LibraryForm):
    """A classification network of torchvision; the number of classes is that of the weights."""

    name: ClassVar[str] = "torchvision"

    def source(self) -> Any:
        """torchvision's, by its name of the network."""
        options = TorchvisionOptions(model=self.architecture)
        return ducho_torchvision.torchvision_source(options, self.path)

    def preprocessing(self, options: ImageOptions, source: Any) -> Preprocessing:
        """As the network's default weights have it."""
        entry = ducho_torchvision.weights_entry(source.architecture, source.entry)
        return ducho_torchvision.resolve_preprocessing(options, entry)

    def build(self, source: Any, weights: Weights, size: tuple[int, int]) -> tuple[Any, Any]:
        """As torchvision builds it."""
        return ducho_torchvision.build_model(source, lambda _files: weights.read(), size)

    def extractor(self, model: Any, more: Any, settings: dict[str, Any]) -> Extractor:
        """torchvision's, with layers by the names of graph nodes."""
        return TorchvisionExtractor(model, classifier=more, **settings)
