"""Files that run code when they are loaded: told from others, and read only when pinned."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from typing import Literal

from ducho_core import OptionError, UsageError, file_digest

Container = Literal["safetensors", "onnx", "torchscript", "exported", "checkpoint"]

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_WHAT = {
    "torchscript": "a TorchScript program",
    "exported": "a program of torch.export",
    "checkpoint": "a pickle that holds more than tensors",
}


def container(path: str) -> Container:
    """What kind of file it is, by its content where torch wrote a zip file, else by its suffix.

    Nothing is loaded, and what is said here decides only how loading is tried.
    """
    names = _members(path)
    if names & {"archive_format", "models/model.json", "serialized_exported_program.json"}:
        return "exported"
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".safetensors":
        return "safetensors"
    return "onnx" if suffix == ".onnx" else "checkpoint"


def check_pin(path: str, pin: str | None) -> None:
    """Compare a file with its pin, where there is one, before anything is loaded.

    Raises:
        OptionError: the pin is no sha256.
        UsageError: the file has another digest.
    """
    if pin is None:
        return
    if not _HEX.fullmatch(pin):
        raise OptionError(f"sha256={pin}: a sha256 has 64 hexadecimal digits")
    _compare(path, file_digest(path), pin)


def require_pin(path: str, kind: Container, pin: str | None) -> None:
    """Refuse a file that would run code, unless it is pinned.

    Raises:
        OptionError: the pin is no sha256.
        UsageError: the file is not pinned, or has another digest.
    """
    if pin is None:
        raise refusal(path, kind)
    check_pin(path, pin)


def refuse_early(path: str, pin: str | None) -> None:
    """Refuse what can be seen to need code without reading it whole; reading refuses the rest.

    Raises:
        UsageError: the file would run code and is not pinned.
    """
    kind = container(path)
    if pin is not None or kind in ("safetensors", "onnx"):
        return
    if kind in ("torchscript", "exported"):
        raise refusal(path, kind)
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        unsafe = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - no zip file of torch's, or a damaged one
        return
    if unsafe:
        raise refusal(path, kind)


def refusal(path: str, kind: Container, *, converting: bool = False) -> UsageError:
    """The error for a file that is not pinned: what is safe, and how to pin what is trusted.

    Args:
        path: the file.
        kind: what it is.
        converting: whether ``ducho custom convert`` refuses it.
    """
    what = _WHAT.get(kind, _WHAT["checkpoint"])
    convert = (
        "  ducho custom convert turns a trusted one into .safetensors, once and for all;\n"
        if kind != "exported" and not converting
        else ""
    )
    flag = "--sha256 " if converting else "-o sha256="
    return UsageError(
        f"{os.path.basename(path)} is {what}, which can run any code when it is loaded, and is"
        " refused.\n"
        "  Safe are .safetensors files, state dicts that torch reads with weights_only, and"
        " .onnx files.\n"
        f"{convert}"
        "  To load it all the same, pin it as below. That means to trust whoever made it as you"
        " trust a program that you run: it may do whatever you may do.\n"
        f"  {flag}{file_digest(path)}"
    )


def read_pinned(path: str, pin: str) -> bytes:
    """Read a file once and compare what was read with its pin.

    Returns:
        The bytes that were compared, to be loaded from memory.

    Raises:
        UsageError: the digest is another one, or the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"{os.path.basename(path)} cannot be read: {error.strerror}") from error
    _compare(path, hashlib.sha256(content).hexdigest(), pin)
    return content


def _members(path: str) -> set[str]:
    """Names in a zip file, without its one top folder; none where it is no zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return set()
    return {name.partition("/")[2] or name for name in names}


def _compare(path: str, digest: str, pin: str) -> None:
    if digest != pin.lower():
        raise UsageError(
            f"{os.path.basename(path)} is not the file that was pinned (sha256={pin[:12]}...) and"
            " is not loaded; if it was meant to change, find out where it comes from before you"
            " pin it anew"
        )
