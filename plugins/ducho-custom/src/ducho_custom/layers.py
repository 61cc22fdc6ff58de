"""What is wanted of a network in one pass: named modules, its output, the features before its end.

``output`` is what the network gives; ``pooled`` what its last fully connected layer takes, or
where the network has an output of that name (Transformers' poolers), that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import LayerCapture
from torch import nn

from ducho_core import UsageError
from ducho_custom.options import OUTPUT, POOLED

if TYPE_CHECKING:
    from collections.abc import Sequence

Pool = Callable[[str, torch.Tensor], torch.Tensor]


class Layers:
    """Runs a network for some layers; nothing past the deepest is computed.

    The first pass, which ``learn`` makes, is over a batch of one.

    Args:
        model: in evaluation mode.
        names: what is wanted: names as in ``model.named_modules()``, ``output``, ``pooled``.
        pool: makes (n, d) of what a layer gives; told its name.
        pooler: whether ``pooled`` is the model's own ``pooler_output``.
    """

    def __init__(
        self, model: nn.Module, names: Sequence[str], pool: Pool, *, pooler: bool = False
    ) -> None:
        self.names = tuple(names)
        self._model = model
        self._pool = pool
        self._pooler = pooler
        self._inner = [name for name in names if name not in (OUTPUT, POOLED)]
        self._head: nn.Module | None = None
        self._kept: dict[str, torch.Tensor] = {}
        self._capture = self._captured(whole=False)

    def learn(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """The first pass: which layer comes last, and where the end of the network is.

        Raises:
            UsageError: a layer takes no part in the pass, or there is no such end.
        """
        if POOLED in self.names and not self._pooler:
            self._head = self._last_linear(*args, **kwargs)
        try:
            self.run(*args, **kwargs)
        except UsageError:
            if self._head is None or not self._inner:
                raise
            # A wanted layer may lie past the one before which pooled features end.
            self._capture = self._captured(whole=True)
            self.run(*args, **kwargs)
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """One pass.

        Returns:
            Name to tensor of shape (n, d), in the order wanted.
        """
        self._kept = {}
        found = self._capture.run(*args, **kwargs)
        if OUTPUT in self.names:
            found[OUTPUT] = self._pool(OUTPUT, found[OUTPUT])
        if POOLED in self.names:
            found[POOLED] = self._pool(POOLED, self._kept.pop(POOLED))
        return {name: found[name] for name in self.names}

    def _captured(self, *, whole: bool) -> LayerCapture:
        if POOLED in self.names and not (whole or self._pooler or OUTPUT in self.names):
            return LayerCapture(
                self._model,
                self._inner,
                reduce=self._pool,
                forward=self._until_head,
                result=POOLED,
            )
        if OUTPUT in self.names or POOLED in self.names:
            return LayerCapture(
                self._model,
                self._inner,
                reduce=self._pool,
                forward=self._whole,
                result=OUTPUT,
            )
        return LayerCapture(self._model, self._inner, reduce=self._pool)

    def _until_head(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        reached = _ReachedError()

        def stop(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._kept[POOLED] = inputs[0]
            raise reached

        assert self._head is not None
        handle = self._head.register_forward_pre_hook(stop)
        try:
            self._model(*args, **kwargs)
        except _ReachedError as caught:
            if caught is not reached:
                raise
        finally:
            handle.remove()
        return self._kept[POOLED]

    def _whole(self, *args: Any, **kwargs: Any) -> Any:
        if POOLED not in self.names:
            return self._model(*args, **kwargs)
        if self._pooler:
            outcome = self._model(*args, **kwargs)
            pooled = getattr(outcome, "pooler_output", None)
            if not isinstance(pooled, torch.Tensor):
                raise UsageError(
                    "layers=pooled: the model has no pooled output of its own; choose output or"
                    " another layer"
                )
            self._kept[POOLED] = pooled.flatten(1)
            return outcome

        def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._kept[POOLED] = inputs[0].clone()

        assert self._head is not None
        handle = self._head.register_forward_pre_hook(keep)
        try:
            return self._model(*args, **kwargs)
        finally:
            handle.remove()

    def _last_linear(self, *args: Any, **kwargs: Any) -> nn.Module:
        called: list[nn.Module] = []
        handles = [
            module.register_forward_pre_hook(lambda module, _inputs: called.append(module))
            for module in self._model.modules()
            if isinstance(module, nn.Linear)
        ]
        try:
            self._model(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        if not called:
            raise UsageError(
                "layers=pooled: the network has no fully connected layer at its end, before which"
                f" features could be taken; name layers: at the top it has {tops(self._model)}"
            )
        return called[-1]


class _ReachedError(BaseException):
    """Ends a pass early; no Exception, so that a model's own handlers let it through."""


def tops(model: nn.Module) -> str:
    """Names of the modules at the top of a network, for messages."""
    return ", ".join(name for name, _ in model.named_children())


def named_outputs(outcome: Any) -> dict[str, torch.Tensor]:
    """What a program gives, by name: ``output``, and of several ``output.0`` or ``output.NAME``.

    Raises:
        UsageError: it gives no tensor.
    """
    if isinstance(outcome, torch.Tensor):
        return {OUTPUT: outcome}
    several: dict[str, Any] = {}
    if isinstance(outcome, Mapping):
        several = {f"{OUTPUT}.{name}": value for name, value in outcome.items()}
    elif isinstance(outcome, tuple | list):
        several = {f"{OUTPUT}.{index}": value for index, value in enumerate(outcome)}
    found = {name: one for name, one in several.items() if isinstance(one, torch.Tensor)}
    if not found:
        raise UsageError(f"the program gives {type(outcome).__name__}, no tensor")
    return {OUTPUT: next(iter(found.values())), **found}
