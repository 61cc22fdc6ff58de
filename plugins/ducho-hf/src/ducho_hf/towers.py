"""The towers of a dual encoder (CLIP and kin): loaded as far as wanted, each run for itself."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import memory_errors, pack_linears

from ducho_core import UsageError
from ducho_hf.encoder import load_checkpoint, tower_config, tower_modules
from ducho_hf.hidden import HiddenStates, States
from ducho_hf.pooling import pool
from ducho_hf.silence import quiet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ducho_torch import Precision
    from torch import nn

    from ducho_hf.encoder import Tower
    from ducho_hf.source import ModelSource

_FEATURES: dict[Tower, str] = {
    "text": "get_text_features",
    "vision": "get_image_features",
    "audio": "get_audio_features",
}
_PREFIXES: dict[Tower, tuple[str, ...]] = {
    "text": ("text_",),
    "vision": ("vision_", "visual_", "image_"),
    "audio": ("audio_",),
}
# Only the comparison of the towers' vectors uses these.
_OF_THE_PAIR = ("logit_scale", "logit_bias", "temperature")


def check_dual(source: ModelSource, config: Any, towers: Collection[Tower]) -> None:
    """Check, without building it, that a model has towers whose vectors share one space.

    Raises:
        UsageError: it is no dual encoder, or one of other modalities.
    """
    from transformers import MODEL_MAPPING

    if type(config) not in MODEL_MAPPING:
        if source.code:
            return
        raise UsageError(
            f"Transformers has no model of the kind {config.model_type!r}, as which"
            f" {source.name!r} describes itself"
        )
    kind = _kind(config)
    absent = [_FEATURES[tower] for tower in towers if not hasattr(kind, _FEATURES[tower])]
    if absent:
        raise UsageError(
            f"the model {source.name!r} ({config.model_type}) is no dual encoder: Transformers"
            f" gives it no {absent[0]}; hf/text and hf/vision take models of one modality"
        )


def load_towers(
    source: ModelSource,
    config: Any,
    towers: Collection[Tower],
    precision: Precision,
    device: torch.device,
) -> Any:
    """Load a dual encoder, in evaluation mode, without the towers that are not wanted.

    Weights of the others are not read. Attention is Transformers' default.

    Args:
        source: where the model lies.
        config: its configuration.
        towers: which of them are wanted.
        precision: its dtype is the one that the weights are loaded in.
        device: where it will run.

    Raises:
        UsageError: the checkpoint lacks weights that would be used.
    """
    from transformers import MODEL_MAPPING

    others = [tower for tower in _FEATURES if tower not in towers]
    unwanted = [name for one in others for name in tower_modules(one)]
    kind = _without(_kind(config), unwanted) if type(config) in MODEL_MAPPING else None
    with quiet(), memory_errors():
        model, missing = load_checkpoint(source, config, precision, kind=kind)
        if kind is None:
            _drop(model, unwanted)
        unused = tuple(prefix for one in others for prefix in _PREFIXES[one])
        used = sorted(key for key in missing if not key.startswith((*_OF_THE_PAIR, *unused)))
        if used:
            raise UsageError(
                f"the checkpoint of {source.name!r} lacks {len(used)} weights that would be used"
                f" ({', '.join(used[:3])}{', ...' if len(used) > 3 else ''}); is it the whole"
                " model?"
            )
        model = model.eval().requires_grad_(False).to(device)  # noqa: FBT003
        pack_linears(model, precision, device)
        return model


class TowerOutputs:
    """Runs one tower of a dual encoder, once a batch, for all that is wanted of it.

    Args:
        model: from ``load_towers``.
        tower: which tower.
        names: output name to hidden state (None for the final output) and pooling: those of
            ``pool``, and ``projected`` for the vector in the space that the towers share, as
            ``get_text_features`` and its like give it.
        example: inputs of a small batch.
        normalize: whether projected vectors are scaled to length 1.

    Raises:
        UsageError: the model has no such tower, hidden state or pooled output.
    """

    def __init__(
        self,
        model: nn.Module,
        tower: Tower,
        names: Mapping[str, tuple[int | None, str]],
        example: Mapping[str, torch.Tensor],
        *,
        normalize: bool = False,
    ) -> None:
        self._names = dict(names)
        self._normalize = normalize
        self._features = getattr(model, _FEATURES[tower])
        self._accepted = _accepted(self._features)
        self._layers = sorted({layer for layer, _ in names.values() if layer is not None})
        self._projects = any(how == "projected" for _, how in names.values())
        final = any(layer is None and how != "projected" for layer, how in names.values())
        self._inner: nn.Module | None = None
        if final or self._layers:
            self._inner = find_tower(model, tower)
        self._states: HiddenStates | None = None
        if self._inner is not None and not self._projects and not (final and self._layers):
            self._states = HiddenStates(self._inner, self._layers, self._taken(example))

    def run(
        self, inputs: Mapping[str, torch.Tensor], mask: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """One pass over a batch.

        Args:
            inputs: what the model takes; what it does not accept is left out.
            mask: for pooling, as ``pool`` takes it.

        Returns:
            Output name to vectors, shape (n, d), float32.
        """
        taken = self._taken(inputs)
        if self._states is not None:
            states, projected = self._states.run(taken), None
        else:
            states, projected = self._watched(taken)
        return {
            name: self._scaled(projected) if how == "projected" else pool(states, layer, how, mask)
            for name, (layer, how) in self._names.items()
        }

    def _taken(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: one for name, one in inputs.items() if name in self._accepted}

    def _watched(self, inputs: Mapping[str, torch.Tensor]) -> tuple[States, torch.Tensor]:
        """The projected vectors, and what the tower gave before they were projected."""
        seen: list[States] = []
        deep = {"output_hidden_states": True} if self._layers else {}

        def keep(_module: Any, _args: Any, output: Any) -> None:
            hidden = (getattr(output, "hidden_states", None) or ()) if deep else ()
            _check_reported(hidden, self._layers)
            pooled = getattr(output, "pooler_output", None)
            seen.append(
                States(output[0], pooled, {index: hidden[index] for index in self._layers})
            )

        handle = self._inner.register_forward_hook(keep) if self._inner is not None else None
        try:
            output = self._features(**inputs, **deep)
        finally:
            if handle is not None:
                handle.remove()
        projected = output if isinstance(output, torch.Tensor) else output.pooler_output
        return (seen[-1] if seen else States()), projected

    def _scaled(self, projected: torch.Tensor | None) -> torch.Tensor:
        if projected is None or projected.ndim != 2:
            shape = None if projected is None else tuple(projected.shape[1:])
            raise UsageError(
                f"pooling=projected: the model gives no vector for an item, but {shape}"
            )
        vectors = projected.float()
        return vectors / vectors.norm(dim=-1, keepdim=True) if self._normalize else vectors


def find_tower(model: nn.Module, tower: Tower) -> nn.Module:
    """The module that is one tower of a dual encoder, without its projection.

    Raises:
        UsageError: the model keeps it under no name that is known.
    """
    for name in tower_modules(tower):
        inner = getattr(model, name, None)
        if inner is not None:
            found: nn.Module = inner
            return found
    raise UsageError(
        f"no {tower} encoder was found inside {type(model).__name__}; only pooling=projected can"
        " be had of it"
    )


def tower_width(config: Any, tower: Tower) -> int | None:
    """Length of the vectors in the space that the towers share, where the model says it."""
    owner, name = config, "projection_dim"
    if config.model_type in ("siglip", "siglip2"):  # each tower ends in that space
        owner = tower_config(config, tower)
        name = "projection_size" if tower == "text" else "hidden_size"
    width = getattr(owner, name, None)
    return width if isinstance(width, int) else None


def _kind(config: Any) -> Any:
    from transformers import MODEL_MAPPING

    kind = MODEL_MAPPING[type(config)]
    return kind[0] if isinstance(kind, tuple) else kind


def _without(kind: Any, names: Collection[str]) -> Any:
    """The class, without some of the modules that its instances would be built with."""

    class Part(kind):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            _drop(self, names)

    Part.__name__ = kind.__name__
    Part.__qualname__ = kind.__qualname__
    Part.__module__ = kind.__module__
    return Part


def _drop(model: nn.Module, names: Collection[str]) -> None:
    for name in names:
        if hasattr(model, name):
            delattr(model, name)


def _accepted(features: Any) -> frozenset[str]:
    """Names of the tensors that a method takes."""
    return frozenset(inspect.signature(features).parameters)


def _check_reported(hidden: Any, layers: Collection[int]) -> None:
    if layers and len(hidden) <= max(layers):
        raise UsageError(
            f"layers: the model reports {len(hidden)} hidden states, 0 to {len(hidden) - 1}, so"
            f" there is no {max(layers)}"
        )
