"""``timm/image``: pooled features, and the outputs of named layers, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ducho_torch import (
    ImageNetwork,
    LayerCapture,
    LayerPooling,
    Precision,
    computing,
    load_weights,
    memory_errors,
    prepare_model,
    resolve_device,
    resolved_network,
    wanted_layers,
)

from ducho_core import UsageError
from ducho_timm.building import build_model, pretrained_config
from ducho_timm.preprocessing import Preprocessing, resolve_preprocessing
from ducho_timm.sources import WeightsSource, base_name, timm_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from ducho_core import ResolveContext, Resolved

POOLED = "pooled"


class TimmExtractor(ImageNetwork):
    """A timm network over images.

    Another plugin that brings weights for a timm architecture subclasses this one: it says in
    ``weights_source`` where they are, and in ``read_weights`` how they are read where the
    files hold no state dict under timm's names. Its options extend ``ImageOptions``.
    """

    def __init__(
        self,
        model: nn.Module,
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
        self._model: Any = model
        self._pool = LayerPooling.of(
            model, pooling, height=preprocessing.height, width=preprocessing.width
        )
        self._capture = self._learned_capture()

    @classmethod
    def weights_source(cls, options: Any, run_options: Any) -> WeightsSource:
        """Say which architecture and which weights the options mean, fetching files if need be.

        Called by ``resolve``; builds no network.

        Raises:
            UsageError: the options name no weights that are to be had.
        """
        return timm_source(options, run_options.weights)

    @classmethod
    def read_weights(
        cls,
        files: Sequence[str],
        expected: Mapping[str, torch.Tensor],  # noqa: ARG003 - for subclasses that rename
    ) -> Mapping[str, torch.Tensor]:
        """Read the files of a source into a state dict under timm's names.

        Args:
            files: the source's files.
            expected: the network's own state dict, in its order.

        Raises:
            UsageError: a file holds anything but tensors.
            SourceError: a file is damaged.
        """
        state: dict[str, torch.Tensor] = {}
        for file in files:
            state.update(load_weights(file))
        return state

    @classmethod
    def resolve(cls, options: Any, context: ResolveContext) -> Resolved:
        names = wanted_layers(options.layers, POOLED)
        resolve_device(context.run_options.device)  # before anything is fetched
        source = cls.weights_source(options, context.run_options)
        preprocessing = resolve_preprocessing(options, pretrained_config(source))
        architecture = base_name(source.architecture)
        return resolved_network(source, architecture, preprocessing, names, options, context)

    @classmethod
    def load(cls, resolved: Resolved, run_options: Any) -> Self:
        source, preprocessing = resolved.state
        options = resolved.options
        device = resolve_device(run_options.device)
        precision = Precision.from_values(resolved.precision)
        names = wanted_layers(options.layers, POOLED)
        size = (preprocessing.width, preprocessing.height)
        model = prepare_model(
            build_model(source, cls.read_weights, size),
            precision,
            device,
            example=(3, preprocessing.height, preprocessing.width),
            keep=names,
        )
        return cls(
            model,
            preprocessing=preprocessing,
            precision=precision,
            device=device,
            layers=names,
            pooling=options.pooling,
        )

    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return self._capture.run(values)

    def close(self) -> None:
        del self._capture, self._model
        super().close()

    def _learned_capture(self) -> LayerCapture:
        """Make the first pass, over a plain grey image: it settles layers, layouts and dims."""
        layers = [name for name in self._names if name != POOLED]
        with memory_errors(), computing(self._precision, self._device):
            values = self.grey()
            if POOLED not in self._names:
                capture = LayerCapture(self._model, layers, reduce=self._pool)
                found = capture.run(values)
            else:
                capture, found = self._capture_with_pooled(layers, values)
        self.learn_outputs(found)
        return capture

    def _capture_with_pooled(
        self, layers: list[str], values: torch.Tensor
    ) -> tuple[LayerCapture, dict[str, torch.Tensor]]:
        capture = LayerCapture(
            self._model, layers, reduce=self._pool, forward=self._pooled, result=POOLED
        )
        try:
            return capture, capture.run(values)
        except UsageError:
            # A wanted layer may lie in the part of the head that pooled features do not reach.
            capture = LayerCapture(
                self._model, layers, reduce=self._pool, forward=self._through, result=POOLED
            )
            return capture, capture.run(values)

    def _pooled(self, values: torch.Tensor) -> torch.Tensor:
        features = self._model.forward_features(values)
        pooled: torch.Tensor = self._model.forward_head(features, pre_logits=True)
        return pooled if pooled.ndim == 2 else pooled.flatten(1)

    def _through(self, values: torch.Tensor) -> torch.Tensor:
        features = self._model.forward_features(values)
        pooled: torch.Tensor = self._model.forward_head(features, pre_logits=True)
        self._model.forward_head(features)
        return pooled if pooled.ndim == 2 else pooled.flatten(1)
