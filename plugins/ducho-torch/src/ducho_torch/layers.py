"""The outputs of named modules, all in one pass and nothing past the deepest."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ducho_core import OptionError, UsageError

Reduce = Callable[[str, torch.Tensor], torch.Tensor]


def layer_names(model: nn.Module) -> list[str]:
    """Names of all modules, as in ``model.named_modules()``, without the model itself."""
    return [name for name, _ in model.named_modules() if name]


def wanted_layers(layers: Sequence[str], default: str) -> tuple[str, ...]:
    """The layers that the option ``layers`` means; ``default`` where it is not given.

    Raises:
        OptionError: one is named twice.
    """
    names = tuple(layers) or (default,)
    if len(set(names)) < len(names):
        raise OptionError(f"layers={','.join(names)} names a layer twice")
    return names


class LayerCapture:
    """Runs a model and gives the outputs of named modules.

    The first run goes through the whole model and learns which of the wanted modules comes
    last; later runs stop right after it. What is given for a module:

    - the output of its **last** call in the pass. Where a wanted module is called several
      times (weights shared between layers), runs go on to the end and nothing is cut short;
    - of a tuple or list its first tensor, of a mapping ``last_hidden_state`` or else its
      first tensor;
    - the output as it was when the module returned, even where later code overwrites it in
      place.

    Hooks are in place only during ``run``, so that several captures may share a model, in
    turn. A capture is for one thread at a time.

    Args:
        model: the model, in evaluation mode.
        names: modules wanted, named as in ``model.named_modules()``.
        reduce: applied to each wanted output at once, with its name: pooling there saves
            holding whole maps until the end of the pass.
        forward: what to run instead of ``model`` itself.
        result: name under which ``run`` also gives what ``forward`` returns; the pass then
            always goes to its end.

    Raises:
        UsageError: the model has no module of that name; with the nearest names.
    """

    def __init__(
        self,
        model: nn.Module,
        names: Iterable[str],
        *,
        reduce: Reduce | None = None,
        forward: Callable[..., Any] | None = None,
        result: str | None = None,
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._modules = dict(_find(model, self.names))
        self._forward = model if forward is None else forward
        self._reduce = reduce
        self._result = result
        self._last: str | None = None
        self._learned = False

    def run(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """One pass. Arguments go to the model.

        Returns:
            Wanted name to tensor, in the order wanted; reduced where ``reduce`` was given.

        Raises:
            UsageError: a wanted module takes no part in the pass, or gives no tensor.
        """
        found: dict[str, torch.Tensor] = {}
        order: list[str] = []
        stop = _Stop()
        handles = [
            module.register_forward_hook(self._hook(name, found, order, stop))
            for name, module in self._modules.items()
        ]
        try:
            outcome = self._forward(*args, **kwargs)
            if self._result is not None:
                found[self._result] = _tensor(self._result, outcome)
        except _Stop as caught:
            if caught is not stop:
                raise
        finally:
            for handle in handles:
                handle.remove()
        if not self._learned:
            self._learn(order)
        wanted = self.names if self._result is None else (*self.names, self._result)
        return {name: found[name] for name in wanted}

    def _learn(self, order: Sequence[str]) -> None:
        calls = Counter(order)
        unused = [name for name in self.names if name not in calls]
        if unused:
            raise UsageError(
                f"layer {', '.join(unused)} takes no part in the forward pass of this model;"
                " choose another layer"
            )
        once = all(count == 1 for count in calls.values())
        if once and order and self._result is None:
            self._last = order[-1]
        self._learned = True

    def _hook(
        self, name: str, found: dict[str, torch.Tensor], order: list[str], stop: _Stop
    ) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            tensor = _tensor(name, output)
            last = name == self._last
            kept = tensor if self._reduce is None else self._reduce(name, tensor)
            if not last and _shares_memory(kept, tensor):
                kept = kept.clone()
            found[name] = kept
            order.append(name)
            if last:
                raise stop

        return hook


class _Stop(BaseException):
    """Ends a pass early; no Exception, so that a model's own handlers let it through."""


def _find(model: nn.Module, names: Sequence[str]) -> list[tuple[str, nn.Module]]:
    modules = dict(model.named_modules(remove_duplicate=False))
    found = []
    for name in names:
        if not name or name not in modules:
            raise UsageError(_no_such_layer(name, [known for known in modules if known]))
        found.append((name, modules[name]))
    return found


def _no_such_layer(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    top = [layer for layer in known if "." not in layer]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"the model has no layer {name!r}; {hint}At the top it has: {', '.join(top)}"


def _tensor(name: str, output: Any) -> torch.Tensor:
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping):
        preferred = output.get("last_hidden_state")
        candidates: Iterable[Any] = (preferred, *output.values())
    elif isinstance(output, tuple | list):
        candidates = output
    else:
        candidates = ()
    for candidate in candidates:
        if isinstance(candidate, torch.Tensor):
            return candidate
    raise UsageError(
        f"layer {name} gives {type(output).__name__}, no tensor; choose another layer"
    )


def _shares_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
