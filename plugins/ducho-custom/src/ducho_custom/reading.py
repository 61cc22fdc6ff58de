"""State dicts out of files: without running code, or out of a pinned file's own bytes."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ducho_torch import (
    PickleRefusedError,
    ensure_torchvision,
    find_state,
    load_weights,
    weights_digest,
)
from torch import nn

from ducho_core import UsageError
from ducho_custom.trust import container, read_pinned, refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weight files and which of their tensors are wanted. Picklable.

    Attributes:
        files: paths.
        pin: sha256 that the one file must have, or None.
        prefix: taken from the names, which must all begin with it.
        ignore: modules whose tensors are left aside.
    """

    files: tuple[str, ...]
    pin: str | None = None
    prefix: str = ""
    ignore: tuple[str, ...] = ()

    def digest(self) -> str:
        """Sha256 over the sorted (base name, sha256) pairs of the files."""
        return weights_digest(self.files)

    def plain_in(self, folder: str) -> bool:
        """Whether they are all that the safetensors files of a folder hold."""
        plain = self.pin is None and not self.prefix and not self.ignore
        return plain and all(
            os.path.dirname(file) == folder and file.endswith(".safetensors")
            for file in self.files
        )

    def read(self) -> Mapping[str, torch.Tensor]:
        """The state dict.

        Raises:
            UsageError: a file holds more than tensors and is not pinned, or none has the prefix.
            SourceError: a file is damaged.
        """
        first, *others = (read_state(file, self.pin) for file in self.files)
        for other in others:
            first.update(other)
        return self.chosen(first)

    def chosen(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """What is left of a state dict after ``prefix`` and ``ignore``.

        Raises:
            UsageError: no name begins with the prefix.
        """
        if not self.prefix and not self.ignore:
            return state
        found = {
            name.removeprefix(self.prefix): tensor
            for name, tensor in state.items()
            if name.startswith(self.prefix)
        }
        if not found:
            tops = sorted({f"{name.partition('.')[0]}." for name in state})
            raise UsageError(
                f"prefix={self.prefix}: no weight's name begins so; they begin with"
                f" {', '.join(tops[:8])}"
            )
        return {
            name: tensor
            for name, tensor in found.items()
            if not any(f"{name}.".startswith(f"{module}.") for module in self.ignore)
        }


def read_state(path: str, pin: str | None) -> dict[str, torch.Tensor]:
    """Read a state dict from a file.

    Without a pin nothing but tensors is read. With one the file is read once, and the bytes
    that have the digest are the bytes that are loaded; only then may they be a pickle.

    Raises:
        UsageError: it holds more than tensors and is not pinned, or is not what was pinned.
        SourceError: the file is damaged.
    """
    content = None if pin is None else read_pinned(path, pin)
    try:
        return load_weights(path, content)
    except PickleRefusedError as error:
        if content is None:
            raise refusal(path, container(path)) from error
    name = os.path.basename(path)
    loaded = load_pinned(path, content)
    network = network_in(loaded)
    return find_state(loaded if network is None else network.state_dict(), source=name)


def network_in(loaded: Any) -> nn.Module | None:
    """The network that was pickled, by itself or as the only one of a checkpoint."""
    if isinstance(loaded, nn.Module):
        return loaded
    values = loaded.values() if isinstance(loaded, Mapping) else ()
    networks = [value for value in values if isinstance(value, nn.Module)]
    return networks[0] if len(networks) == 1 else None


def load_pinned(path: str, content: bytes) -> Any:
    """Load a pickle or TorchScript program out of bytes that have been compared with a pin.

    It runs code: whoever pinned the file has said that its author is trusted.

    Raises:
        UsageError: what the code needs is not there, or the code fails.
    """
    name = os.path.basename(path)
    ensure_torchvision()
    try:
        if container(path) == "torchscript":
            return torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{name} needs the Python module {error.name!r}, by which it was made: install it, or"
            " put its folder on PYTHONPATH"
        ) from error
    except (AttributeError, pickle.UnpicklingError, EOFError, RuntimeError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{name} cannot be loaded: {first}") from error
