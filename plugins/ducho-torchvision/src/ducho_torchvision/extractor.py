"""``torchvision/image``: what the classifier takes, and any graph nodes, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
from ducho_torch import (
    ImageNetwork,
    LayerPooling,
    Precision,
    computing,
    load_weights,
    memory_errors,
    pool_spatial,
    prepare_model,
    resolve_device,
    resolved_network,
    wanted_layers,
)

from ducho_torchvision.building import build_model
from ducho_torchvision.graph import NodeCapture
from ducho_torchvision.options import TorchvisionOptions
from ducho_torchvision.preprocessing import Preprocessing, resolve_preprocessing
from ducho_torchvision.registry import weights_entry
from ducho_torchvision.sources import WeightsSource, torchvision_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from ducho_core import ResolveContext, Resolved

POOLED = "pooled"


class TorchvisionExtractor(ImageNetwork):
    """A torchvision classification network over images.

    Another plugin that brings weights for a torchvision architecture subclasses this one: it
    says in ``weights_source`` where they are, and in ``read_weights`` how they are read where
    the files hold no state dict under torchvision's names.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classifier: str,
        preprocessing: Preprocessing,
        precision: Precision,
        device: torch.device,
        layers: Sequence[str],
        pooling: str,
    ) -> None:
        super().__init__(
            preprocessing=preprocessing, precision=precision, device=device, names=layers
        )
        self._layer_pooling = LayerPooling.of(
            model, pooling, height=preprocessing.height, width=preprocessing.width
        )
        with memory_errors(), computing(precision, device):
            self._capture = NodeCapture(
                model, layers, reduce=self._pool, classifier=classifier, pooled=POOLED
            )
            self.learn_outputs(self._capture.run(self.grey()))
        self.circumstances = {"nodes": self._capture.nodes}

    @classmethod
    def weights_source(cls, options: Any, run_options: Any) -> WeightsSource:
        """Say which architecture and which weights the options mean, fetching files if need be.

        Called by ``resolve``; builds no network.

        Raises:
            UsageError: the options name no weights that are to be had.
        """
        return torchvision_source(options, run_options.weights_file)

    @classmethod
    def read_weights(cls, files: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Read the files of a source into a state dict under torchvision's names.

        Raises:
            UsageError: a file holds anything but tensors.
            SourceError: a file is damaged.
        """
        if len(files) == 1:
            return load_weights(files[0])
        return {name: tensor for file in files for name, tensor in load_weights(file).items()}

    @classmethod
    def resolve(cls, options: Any, context: ResolveContext) -> Resolved:
        names = wanted_layers(options.layers, POOLED)
        resolve_device(context.run_options.device)  # before anything is fetched
        source = cls.weights_source(options, context.run_options)
        entry = weights_entry(source.architecture, source.entry)
        preprocessing = resolve_preprocessing(options, entry)
        if isinstance(options, TorchvisionOptions):  # however the user wrote the two
            options = msgspec.structs.replace(
                options, model=source.architecture, weights=source.entry
            )
        return resolved_network(
            source, source.architecture, preprocessing, names, options, context
        )

    @classmethod
    def load(cls, resolved: Resolved, run_options: Any) -> Self:
        source, preprocessing = resolved.state
        options = resolved.options
        device = resolve_device(run_options.device)
        precision = Precision.from_values(resolved.precision)
        names = wanted_layers(options.layers, POOLED)
        size = (preprocessing.width, preprocessing.height)
        model, classifier = build_model(source, cls.read_weights, size)
        model = prepare_model(
            model,
            precision,
            device,
            example=(3, preprocessing.height, preprocessing.width),
            keep=names,
        )
        return cls(
            model,
            classifier=classifier,
            preprocessing=preprocessing,
            precision=precision,
            device=device,
            layers=names,
            pooling=options.pooling,
        )

    def run(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return self._capture.run(values)

    def close(self) -> None:
        del self._capture
        super().close()

    def _pool(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name == POOLED:
            return pool_spatial(tensor, "avg")
        return self._layer_pooling(name, tensor)
