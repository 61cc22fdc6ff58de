"""Hidden states as Transformers numbers them, computed no deeper than the deepest wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import LayerCapture

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn


@dataclass(slots=True)
class States:
    """What one pass gave.

    Attributes:
        last: the encoder's final output, or None where hidden states were asked for.
        pooled: the model's own pooled output, or None where it has none.
        hidden: hidden states by index, 0 being the embeddings.
    """

    last: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    hidden: dict[int, torch.Tensor] = field(default_factory=dict)


class HiddenStates:
    """Runs an encoder for its final output, or for some of its hidden states.

    Where the deepest hidden state wanted is not the last, the pass stops right after the block
    that gives it. That blocks and hidden states correspond is checked here, by comparing with
    what the model itself reports for ``example``; where they do not, every pass runs to the
    end.

    Args:
        model: the encoder, in evaluation mode.
        layers: hidden states wanted, from 0; none for the final output.
        example: inputs of a small batch.

    Raises:
        UsageError: a hidden state is wanted that the model does not report.
    """

    def __init__(
        self, model: nn.Module, layers: Sequence[int], example: Mapping[str, torch.Tensor]
    ) -> None:
        self._model = model
        self._layers = tuple(layers)
        self._capture: LayerCapture | None = None
        self._first: nn.Module | None = None
        if not layers:
            return
        reported = self._reported(example)
        if len(reported) <= max(layers):
            raise UsageError(
                f"layers: the model reports {len(reported)} hidden states, 0 to"
                f" {len(reported) - 1}, so there is no {max(layers)}"
            )
        if 0 < max(layers) < len(reported) - 1:
            self._try_blocks(len(reported) - 1, example, reported)

    @property
    def stops_early(self) -> bool:
        """Whether nothing past the deepest wanted hidden state is computed."""
        return self._capture is not None

    def run(self, inputs: Mapping[str, torch.Tensor]) -> States:
        """One pass over a batch."""
        if self._capture is not None:
            return States(hidden=self._captured(inputs))
        if self._layers:
            reported = self._reported(inputs)
            return States(hidden={index: reported[index] for index in self._layers})
        output = self._model(**inputs)
        return States(last=output[0], pooled=getattr(output, "pooler_output", None))

    def _reported(self, inputs: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        states = self._model(**inputs, output_hidden_states=True).hidden_states
        return states if states is not None else ()

    def _try_blocks(
        self, count: int, example: Mapping[str, torch.Tensor], reported: Sequence[torch.Tensor]
    ) -> None:
        for name, module in self._model.named_modules():
            if not isinstance(module, torch.nn.ModuleList) or len(module) != count:
                continue
            self._first = module[0]
            self._capture = LayerCapture(
                self._model, [f"{name}.{index - 1}" for index in self._layers if index]
            )
            try:
                for _ in range(2):  # the first run learns where to stop, the second stops there
                    found = self._captured(example)
            except (UsageError, KeyError, IndexError):
                found = {}
            if found and all(torch.equal(found[index], reported[index]) for index in found):
                return
            self._capture = None

    def _captured(self, inputs: Mapping[str, torch.Tensor]) -> dict[int, torch.Tensor]:
        entry: list[torch.Tensor] = []

        def keep(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            entry.append((args[0] if args else kwargs["hidden_states"]).clone())

        assert self._capture is not None
        handle = None
        if 0 in self._layers and self._first is not None:
            handle = self._first.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            blocks = list(self._capture.run(**inputs).values())
        finally:
            if handle is not None:
                handle.remove()
        deeper = [index for index in self._layers if index]
        found = dict(zip(deeper, blocks, strict=True))
        return {0: entry[0], **found} if 0 in self._layers else found


def check_class_token(model: nn.Module, example: Mapping[str, torch.Tensor]) -> None:
    """Check that a vision encoder has a class token, by one pass over ``example``.

    Raises:
        UsageError: it gives one vector a patch and no other.
    """
    hidden = model(**example)[0]
    pixels = example["pixel_values"]
    patch = getattr(model.config, "patch_size", None)
    if hidden.ndim != 3 or not isinstance(patch, int):
        return
    height, width = pixels.shape[-2:]
    patches = pixels.shape[1] if pixels.ndim == 3 else (height // patch) * (width // patch)
    if hidden.shape[1] == patches:
        raise UsageError(
            "pooling=cls: this model has no class token, only patches; choose pooler or mean"
        )
