"""From the word that the user gave to a torch device."""

from __future__ import annotations

import re

import torch

from ducho_core import UsageError

_CUDA = re.compile(r"cuda(?::(\d+))?")


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device of this machine.

    ``auto`` takes the first CUDA device, else MPS, else the CPU.

    Raises:
        UsageError: no such device, on this machine or at all.
    """
    word = name.strip().lower()
    if word == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if word == "cpu":
        return torch.device("cpu")
    if word == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError(f"--device mps: this machine or torch {torch.__version__} has no MPS")
        return torch.device("mps")
    match = _CUDA.fullmatch(word)
    if match is None:
        raise UsageError(
            f"--device {name}: no such device; it is one of auto, cpu, cuda, cuda:N, mps"
        )
    return torch.device("cuda", _cuda_index(name, int(match[1] or 0)))


def _cuda_index(name: str, index: int) -> int:
    if not torch.cuda.is_available():
        reason = (
            "no CUDA device is visible to it (driver, CUDA_VISIBLE_DEVICES)"
            if torch.version.cuda
            else "it was built without CUDA"
        )
        raise UsageError(
            f"--device {name}: torch {torch.__version__} cannot use it: {reason};"
            " use --device cpu or auto"
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise UsageError(
            f"--device {name}: this machine has {count} CUDA device(s), cuda:0 to cuda:{count - 1}"
        )
    return index
