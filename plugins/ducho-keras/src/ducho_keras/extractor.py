"""``keras/image``: what the classifier takes, and any layers, in one pass."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Self

import msgspec
from ducho_torch import (
    ImageNetwork,
    Precision,
    computing,
    memory_errors,
    pool_spatial,
    resolve_device,
    resolve_precision,
    wanted_layers,
    weights_digest,
)

from ducho_core import Output, Resolved, UsageError
from ducho_keras.applications import applications
from ducho_keras.building import build_model
from ducho_keras.library import device_name, load_keras
from ducho_keras.preprocessing import Preprocessing, resolve_preprocessing
from ducho_keras.sources import keras_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from ducho_core import ResolveContext

POOLED = "pooled"


class KerasExtractor(ImageNetwork):
    """A network of keras.applications over images, on torch."""

    def __init__(
        self,
        model: Any,
        *,
        preprocessing: Preprocessing,
        precision: Precision,
        device: torch.device,
        layers: Sequence[str],
        pooling: str,
    ) -> None:
        super().__init__(
            preprocessing=preprocessing, precision=precision, device=device, names=layers
        )
        keras = load_keras()
        self._pooling = pooling
        self._place = keras.device
        tensors = [_output_of(model, name) for name in layers]
        # A functional model holds what its outputs depend on and nothing else.
        self._network = keras.Model(model.inputs, tensors)
        with memory_errors(), computing(precision, device):
            self._network.to(device)
            self.learn_outputs(self.run(self.grey()))

    @classmethod
    def resolve(cls, options: Any, context: ResolveContext) -> Resolved:
        names = wanted_layers(options.layers, POOLED)
        run_options: Any = context.run_options
        device = resolve_device(run_options.device)
        source = keras_source(options, run_options.weights_file)
        application = applications()[source.model]
        preprocessing = resolve_preprocessing(options, application.family, application.size)
        precision = resolve_precision(context.precision, device)
        weights = dict(source.identity)
        if source.file is not None:
            weights["sha256"] = weights_digest([source.file])
        return Resolved(
            label=source.label,
            identity={
                "application": source.model,
                "weights": weights,
                "preprocessing": preprocessing.identity(),
            },
            precision=precision.values(),
            outputs=tuple(Output(name=name) for name in names),
            options=msgspec.structs.replace(options, model=source.model),
            state=(source, preprocessing),
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: Any) -> Self:
        source, preprocessing = resolved.state
        options = resolved.options
        device = resolve_device(run_options.device)
        precision = Precision.from_values(resolved.precision)
        size = (preprocessing.width, preprocessing.height)
        return cls(
            build_model(source, size, precision.compute_dtype),
            preprocessing=preprocessing,
            precision=precision,
            device=device,
            layers=wanted_layers(options.layers, POOLED),
            pooling=options.pooling,
        )

    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        with self._place(device_name(self._device)):
            found = self._network(values, training=False)
        return {
            name: self._pooled(name, tensor)
            for name, tensor in zip(self._names, _listed(found), strict=True)
        }

    def values(self, pixels: torch.Tensor) -> torch.Tensor:
        """What ``run`` takes here: shape (n, height, width, 3), as Keras has images."""
        values = self._preprocessing.normalised(pixels.to(self._device))
        return values.permute(0, 2, 3, 1).to(self._precision.dtype)

    def close(self) -> None:
        del self._network
        super().close()

    def _pooled(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim < 2:
            raise UsageError(f"layer {name} gives no row an image; choose another layer")
        how = "avg" if name == POOLED else self._pooling
        return pool_spatial(tensor, how, channels_last=True)


def _output_of(model: Any, name: str) -> Any:
    """The symbolic output of a layer, or what the model's last layer with weights takes."""
    if name == POOLED:
        return next(layer for layer in reversed(model.layers) if layer.weights).input
    layers = {layer.name: layer for layer in model.layers}
    if name not in layers:
        near = difflib.get_close_matches(name, layers, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(
            f"{model.name} has no layer {name!r}; {hint}Its last ones are"
            f" {', '.join(list(layers)[-4:])}"
        )
    try:
        return layers[name].output
    except AttributeError as error:
        raise UsageError(f"layer {name} has no one output: {error}") from error


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]
