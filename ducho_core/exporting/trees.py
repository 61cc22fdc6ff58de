"""Folders within an export that another library has filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ducho_core.errors import ContractError
from ducho_core.store.atomic import sync_folder

if TYPE_CHECKING:
    from pathlib import Path


def files_of(folder: Path, name: str) -> list[str]:
    """Flush what lies in a folder, and list it.

    Args:
        folder: the folder.
        name: what the export calls it.

    Returns:
        Its files, relative to it, with ``/`` between their parts.

    Raises:
        ContractError: something in it is a link, or neither a file nor a folder.
        OSError: it cannot be read.
    """
    found = []
    pending = [""]
    while pending:
        where = pending.pop()
        with os.scandir(folder / where) as entries:
            for entry in entries:
                inside = f"{where}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{inside}/")
                elif entry.is_file(follow_symlinks=False):
                    _flush(entry.path)
                    found.append(inside)
                else:
                    raise ContractError(
                        f"{name}/{inside} is a link or no ordinary file; an export holds files"
                        " and folders"
                    )
        sync_folder(folder / where)
    return sorted(found)


def _flush(path: str) -> None:
    # Windows flushes only what was opened for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["files_of"]
