"""From a checkpoint that one trusts to a file that nobody need trust."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from ducho_torch import PickleRefusedError, find_state, load_weights

from ducho_core import UsageError
from ducho_custom.reading import load_pinned, network_in
from ducho_custom.trust import check_pin, container, read_pinned, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Converted:
    """What a conversion did.

    Attributes:
        tensors: how many were written.
        numbers: how many numbers they hold.
        sha256: of the file that was written.
        remarks: what was found and changed, a line each.
    """

    tensors: int
    numbers: int
    sha256: str
    remarks: list[str] = field(default_factory=list)


def convert(
    source: str, target: str, *, sha256: str | None = None, key: str | None = None
) -> Converted:
    """Write the state dict of a checkpoint as safetensors.

    What torch reads with ``weights_only`` needs no pin. Anything else is code: it is read once,
    compared with the pin, and the bytes compared are the bytes loaded.

    Args:
        source: a checkpoint: a state dict, plain or wrapped, a whole pickled module, or a
            TorchScript program.
        target: a new .safetensors file.
        sha256: digest of the source, by whoever trusts its author.
        key: where in the checkpoint the state dict is, dotted; found by itself where not given.

    Raises:
        UsageError: the source is refused or holds no state dict, or the target exists.
        SourceError: the source is damaged.
    """
    name = os.path.basename(source)
    if not os.path.isfile(source):
        raise UsageError(f"there is no file {source}")
    if not target.endswith(".safetensors"):
        raise UsageError(f"{target}: the name of what is written ends in .safetensors")
    if os.path.exists(target):
        raise UsageError(f"{target} is there already; it is not written over")
    remarks: list[str] = []
    loaded = _loaded(source, sha256, key, remarks)
    state = _state(loaded, key, name, remarks)
    tensors = _writable(state, name, remarks)
    digest = _write(tensors, target)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    return Converted(len(tensors), numbers, digest, remarks)


def _loaded(source: str, pin: str | None, key: str | None, remarks: list[str]) -> Any:
    kind = container(source)
    name = os.path.basename(source)
    if kind == "safetensors":
        raise UsageError(f"{name} is a safetensors file already")
    if kind in ("onnx", "exported"):
        raise UsageError(f"{name} is a program, not a checkpoint; --model {name} uses it as it is")
    check_pin(source, pin)
    content = None if pin is None else read_pinned(source, pin)
    if key is None:
        try:
            state = load_weights(source, content)
        except PickleRefusedError as error:
            if content is None:
                raise refusal(source, kind, converting=True) from error
        else:
            remarks.append("read with weights_only: it holds tensors and no code")
            return state
    if content is None:
        return _safely(source, kind)
    loaded = load_pinned(source, content)
    what = "a TorchScript program" if kind == "torchscript" else "a pickle"
    kind_name = f"{type(loaded).__module__}.{type(loaded).__qualname__}"
    remarks.append(f"{what} that you pinned, which ran code; it held a {kind_name}")
    return loaded


def _safely(source: str, kind: Any) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise refusal(source, kind, converting=True) from error


def _state(loaded: Any, key: str | None, name: str, remarks: list[str]) -> dict[str, torch.Tensor]:
    for part in key.split(".") if key else ():
        there = list(loaded) if isinstance(loaded, Mapping) else []
        if part not in there:
            what = (
                f"it has {', '.join(map(str, there[:8]))}" if there else "there is nothing in it"
            )
            raise UsageError(f"--key {key}: {name} has no {part!r} there; {what}")
        loaded = loaded[part]
    network = network_in(loaded)
    if network is not None:
        remarks.append(f"took the weights of a whole network, {type(network).__name__}")
        loaded = network.state_dict()
    if isinstance(loaded, Mapping):
        dropped = [
            str(one) for one, value in loaded.items() if not isinstance(value, torch.Tensor)
        ]
        tensors = {one: value for one, value in loaded.items() if isinstance(value, torch.Tensor)}
        if tensors and dropped:
            remarks.append(f"left out, not tensors: {_listed(dropped)}")
            loaded = tensors
    state = find_state(loaded, source=name)
    if isinstance(loaded, Mapping) and any(
        str(one).removeprefix("module.") in state and str(one).startswith("module.")
        for one in loaded
    ):
        remarks.append("dropped module. before every name, which data-parallel training leaves")
    return state


def _writable(
    state: Mapping[str, torch.Tensor], name: str, remarks: list[str]
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    shared, spread = [], []
    seen: set[int] = set()
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise UsageError(
                f"{name}: {key} is sparse or quantised, which safetensors does not hold"
            )
        place = tensor.untyped_storage().data_ptr()
        plain = tensor.detach().cpu()
        if place in seen and tensor.numel():
            shared.append(key)
            plain = plain.clone()
        if not plain.is_contiguous():
            spread.append(key)
        seen.add(place)
        tensors[key] = plain.contiguous()
    # A view of a larger storage would be written whole, or refused.
    for key, plain in tensors.items():
        if plain.untyped_storage().nbytes() != plain.numel() * plain.element_size():
            tensors[key] = plain.clone()
    if shared:
        remarks.append(f"shared tensors written out one by one: {_listed(shared)}")
    if spread:
        remarks.append(f"made contiguous: {_listed(spread)}")
    return tensors


def _write(tensors: Mapping[str, torch.Tensor], target: str) -> str:
    from safetensors.torch import save

    content: bytes = save(dict(tensors), metadata={"format": "pt"})
    temporary = f"{target}.{os.getpid()}.partial"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return hashlib.sha256(content).hexdigest()


def _listed(names: Iterable[str]) -> str:
    several = list(names)
    return ", ".join(several[:4]) + (f" and {len(several) - 4} more" if len(several) > 4 else "")
