"""Weights from files: read without ever running a pickle, matched key by key, hashed."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ducho_core import SourceError, UsageError, files_digest

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
_NAMES_SHOWN = 5
_SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}


class PickleRefusedError(UsageError):
    """A file holds more than tensors, so that loading it would run code."""


def weights_digest(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Sha256 over the sorted (basename, sha256) pairs of the weight files, in hex."""
    return files_digest(paths)


def load_weights(
    path: str | os.PathLike[str], content: bytes | None = None
) -> dict[str, torch.Tensor]:
    """Read a state dict from a ``.safetensors`` file or a torch checkpoint, onto the CPU.

    A checkpoint is read with ``weights_only=True``, which refuses whatever is no plain data,
    and there is no other way in. Tensors wrapped under ``state_dict_ema``, ``model_ema``,
    ``state_dict``, ``model_state_dict`` or ``model`` (the first of these that is there) are
    unwrapped; a ``module.`` before every name, as data-parallel training leaves it, is dropped.
    The versions of the modules that torch keeps beside a state dict stay with it.

    Args:
        path: the file; its suffix tells the format.
        content: what the file holds, where it has been read already.

    Raises:
        PickleRefusedError: it holds more than tensors.
        UsageError: there is no such file, or it holds no state dict.
        SourceError: the file is damaged.
    """
    name = os.path.basename(path)
    if content is None and not os.path.isfile(path):
        raise UsageError(f"weights: there is no file {os.fspath(path)}")
    if name.endswith(".safetensors"):
        return _unprefixed(_read_safetensors(path, name, content))
    return find_state(_read_checkpoint(path, name, content), source=name)


def find_state(content: Any, *, source: str) -> dict[str, torch.Tensor]:
    """The state dict in what a checkpoint holds: unwrapped, without ``module.`` before names.

    Args:
        content: what was read.
        source: what it was read from, for the message.

    Raises:
        UsageError: there is none.
    """
    return _unprefixed(_unwrapped(content, source))


def load_state(model: nn.Module, state: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Load a state dict into a model; every name and shape must match.

    What the model's own loading code turns into its present names (older checkpoints that
    torch and torchvision still read) matches too.

    Args:
        model: changed in place.
        state: names to tensors.
        source: what the state dict came from, for the message.

    Raises:
        UsageError: names or shapes differ; with counts and the first names.
    """
    expected = model.state_dict()
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if (missing or unexpected or shapes) and not _loads(model, state):
        raise UsageError(
            f"{source} does not fit {type(model).__name__}:"
            f" {_list('missing', missing)}; {_list('not expected', unexpected)};"
            f" {_list('of another shape', shapes)}. Is it the same architecture?"
        )
    if not (missing or unexpected or shapes):
        model.load_state_dict(state, strict=True)


def checkpoint_dtype(paths: Iterable[str | os.PathLike[str]]) -> str:
    """The dtype that most floating-point numbers of some weight files have; float32 if none.

    A ``.safetensors`` file is not read beyond its header.

    Raises:
        UsageError: as ``load_weights``.
        SourceError: as ``load_weights``.
    """
    numbers: dict[str, int] = {}
    for path in paths:
        for dtype, count in _dtype_counts(path):
            numbers[dtype] = numbers.get(dtype, 0) + count
    return max(numbers, key=lambda dtype: numbers[dtype], default="float32")


def _loads(model: nn.Module, state: Mapping[str, torch.Tensor]) -> bool:
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, ValueError, KeyError):
        return False
    return True


def _dtype_counts(path: str | os.PathLike[str]) -> list[tuple[str, int]]:
    if not os.fspath(path).endswith(".safetensors"):
        return [
            (str(tensor.dtype).removeprefix("torch."), tensor.numel())
            for tensor in load_weights(path).values()
            if tensor.is_floating_point()
        ]
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > os.path.getsize(path):
                raise SourceError(f"{name} is no safetensors file, or is cut off")
            header = json.loads(file.read(length))
        return [
            (_SAFETENSORS_DTYPES[entry["dtype"]], _product(entry["shape"]))
            for key, entry in header.items()
            if key != "__metadata__" and entry["dtype"] in _SAFETENSORS_DTYPES
        ]
    except FileNotFoundError as error:
        raise UsageError(f"weights: there is no file {os.fspath(path)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{name} is no safetensors file, or is cut off") from error


def _product(shape: Iterable[int]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _read_safetensors(
    path: str | os.PathLike[str], name: str, content: bytes | None
) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        tensors: dict[str, torch.Tensor]
        tensors = load_file(path, device="cpu") if content is None else load(content)
    except SafetensorError as error:
        raise SourceError(f"{name} is no safetensors file, or is cut off: {error}") from error
    return tensors


def _read_checkpoint(path: str | os.PathLike[str], name: str, content: bytes | None) -> Any:
    file = path if content is None else io.BytesIO(content)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PickleRefusedError(
            f"{name} holds Python objects beside tensors, which would run code when loaded, and"
            " is refused; save its state dict as .safetensors (safetensors.torch.save_file)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        if ".tar format" in str(error):
            raise PickleRefusedError(
                f"{name} is of torch's old tar format, which can only be loaded by running code,"
                " and is refused; save its state dict as .safetensors"
            ) from error
        if "TorchScript" in str(error):
            raise PickleRefusedError(
                f"{name} is a TorchScript program, which is code, and is refused; save its"
                " state dict as .safetensors (safetensors.torch.save_file)"
            ) from error
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{name} cannot be read as a checkpoint: {first}") from error


def _unwrapped(content: Any, name: str) -> dict[str, torch.Tensor]:
    if isinstance(content, Mapping):
        for wrapper in _WRAPPERS:
            inner = content.get(wrapper)
            if isinstance(inner, Mapping) and inner:
                return _unwrapped(inner, name)
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, torch.Tensor) for value in content.values())
    ):
        raise UsageError(f"{name} holds no state dict (names of tensors and nothing else)")
    return _with_versions(content, {str(key): value for key, value in content.items()})


def _unprefixed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if state and all(key.startswith("module.") for key in state):
        bare = {key.removeprefix("module."): value for key, value in state.items()}
        return _with_versions(state, bare, "module")
    return state


def _with_versions(
    old: Any, state: dict[str, torch.Tensor], prefix: str = ""
) -> dict[str, torch.Tensor]:
    """``state`` with what torch keeps beside ``old``: module names to versions."""
    versions = getattr(old, "_metadata", None)
    if not isinstance(versions, Mapping):
        return state
    kept: Any = OrderedDict(state)
    kept._metadata = OrderedDict(
        (str(name).removeprefix(prefix).removeprefix("."), value)
        for name, value in versions.items()
    )
    versioned: dict[str, torch.Tensor] = kept
    return versioned


def _list(what: str, names: list[str]) -> str:
    if not names:
        return f"0 {what}"
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)} {what} ({shown}{more})"
