"""TorchScript and torch.export, out of the bytes of a pinned file."""

from __future__ import annotations

import difflib
import io
import os
import warnings
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import LayerCapture

from ducho_core import UsageError
from ducho_custom.layers import named_outputs
from ducho_custom.options import OUTPUT
from ducho_custom.programs import Program
from ducho_custom.reading import load_pinned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ScriptProgram(Program):
    """A TorchScript program: it gives its outputs, and nothing from within.

    Args:
        path: the file, for messages.
        content: its bytes, compared with the pin.
        device: where it runs.
        layers: the outputs wanted: ``output``, and of several ``output.0`` or ``output.NAME``.
    """

    def __init__(
        self, path: str, content: bytes, device: torch.device, layers: Sequence[str]
    ) -> None:
        self._name = os.path.basename(path)
        loaded: Any = load_pinned(path, content)
        self._module = loaded.eval().to(device)
        self._layers = tuple(layers)
        floats = [one.dtype for one in self._module.parameters() if one.is_floating_point()]
        self.dtype = floats[0] if floats else torch.float32

    def __call__(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Run it."""
        found = named_outputs(self._module(values))
        _check(self._name, self._layers, found, "a TorchScript program shows only its outputs")
        return {name: found[name] for name in self._layers}


class ExportedProgram(Program):
    """A program of torch.export: its outputs, or the modules that it was made of.

    Of a module that is called several times the last call is given; where the calls do different
    things, they are NAME, NAME@1, and so on.

    Args:
        path: the file, for messages.
        content: its bytes, compared with the pin.
        device: where it runs.
        layers: what is wanted: ``output``, ``output.0``, or names of modules.
    """

    def __init__(
        self, path: str, content: bytes, device: torch.device, layers: Sequence[str]
    ) -> None:
        self._name = os.path.basename(path)
        self._layers = tuple(layers)
        exported = self._load(content, device)
        self._take_shape(exported)
        self._inner = [name for name in layers if name.partition(".")[0] != OUTPUT]
        self._capture: LayerCapture | None = None
        if self._inner:
            module = torch.export.unflatten(exported)
            outer = len(self._inner) < len(layers)
            self._capture = LayerCapture(
                module,
                self._inner,
                forward=self._whole(module) if outer else None,
                result=OUTPUT if outer else None,
            )
        self._module: Any = exported.module()
        self._given: Mapping[str, torch.Tensor] = {}

    def __call__(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Run it."""
        if self._capture is None:
            found = named_outputs(self._module(values))
        else:
            self._given = {}
            found = {**self._capture.run(values), **self._given}
        _check(self._name, self._layers, found, "it has modules and outputs")
        return {name: found[name] for name in self._layers}

    def _whole(self, module: Any) -> Any:
        def forward(values: torch.Tensor) -> Any:
            outcome = module(values)
            self._given = named_outputs(outcome)
            return outcome

        return forward

    def _load(self, content: bytes, device: torch.device) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exported = torch.export.load(io.BytesIO(content))
                if device.type != "cpu":
                    from torch.export.passes import move_to_device_pass

                    exported = move_to_device_pass(exported, device)
        except Exception as error:  # whatever reading a damaged or too new program leads to
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UsageError(f"{self._name} cannot be loaded: {first}") from error
        return exported

    def _take_shape(self, exported: Any) -> None:
        names = exported.graph_signature.user_inputs
        values = [
            node.meta.get("val")
            for node in exported.graph.nodes
            if node.op == "placeholder" and node.name in names
        ]
        if len(values) != 1 or not isinstance(values[0], torch.Tensor) or values[0].ndim != 4:
            raise UsageError(
                f"{self._name} takes {', '.join(names) or 'nothing'}; a program for images takes"
                " one tensor of shape (images, 3, height, width)"
            )
        value = values[0]
        batch, channels, height, width = value.shape
        if isinstance(channels, int) and channels != 3:
            raise UsageError(f"{self._name} takes {channels} channels; images have three")
        self.dtype = value.dtype
        self.batch = batch if isinstance(batch, int) else None
        if isinstance(height, int) and isinstance(width, int):
            self.size = (width, height)


def _check(
    name: str, layers: Sequence[str], found: Mapping[str, torch.Tensor], remark: str
) -> None:
    for layer in layers:
        if layer not in found:
            near = difflib.get_close_matches(layer, list(found), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"{name} has no output {layer!r}; {hint}It has {', '.join(found)} ({remark})"
            )
