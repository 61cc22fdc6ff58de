"""Put-if-absent on a file system: the store's only way to create a file.

A file is written under a temporary name, flushed to the disk, and then linked to its final
name, which fails where that name exists. So a name appears at once with its whole content, and
of several writers exactly one wins. There is no lock and nothing is ever overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ducho_core.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}

Fill = Callable[[str, int], None]
"""Writes the content, given the temporary file's path and an open descriptor of it."""


def put_if_absent(target: Path, temporary_folder: Path, fill: Fill, *, needed: int) -> bool:
    """Create ``target`` with the content that ``fill`` writes, unless it exists.

    Args:
        target: the final name; its folder exists.
        temporary_folder: an existing folder on the same file system.
        fill: writes the content; what it leaves is what appears under ``target``.
        needed: about how many bytes it writes, for the message when the disk is full.

    Returns:
        True where this call created the file, False where it was there before.

    Raises:
        StoreError: the file system is full, read-only, broken, or has no hard links. The
            temporary file is gone and every committed file is as it was.
    """
    temporary = os.path.join(temporary_folder, uuid.uuid4().hex)
    descriptor = -1
    try:
        # Opened before anything is written and used for fsync: a descriptor opened later may
        # miss an earlier write error.
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        fill(temporary, descriptor)
        os.fsync(descriptor)
        won = _link(temporary, target)
    except OSError as error:
        raise explain(error, target, needed) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    if won:
        try:
            sync_folder(target.parent)
        except OSError as error:
            raise explain(error, target, needed) from error
    return won


def put_bytes(target: Path, temporary_folder: Path, content: bytes) -> bool:
    """``put_if_absent`` for a small file whose content is at hand."""

    def fill(_path: str, descriptor: int) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    return put_if_absent(target, temporary_folder, fill, needed=len(content))


def make_folders(path: Path, inside: Sequence[str] = ()) -> None:
    """Create a folder and its missing parents so that they survive a power cut.

    Args:
        path: the folder.
        inside: names of folders to create in it.

    Raises:
        StoreError: one cannot be created.
    """
    missing, parent = [], path
    while not parent.is_dir():
        missing.append(parent)
        parent = parent.parent
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
        absent = [name for name in inside if not (path / name).is_dir()]
        for name in absent:
            (path / name).mkdir(exist_ok=True)
        if absent:
            sync_folder(path)
    except OSError as error:
        raise explain(error, path, 0) from error


def probe(folder: Path) -> None:
    """Write, link and remove a small file, so that a run fails before its work, not after.

    Args:
        folder: an existing folder.

    Raises:
        StoreError: nothing can be created there, or without hard links.
    """
    target = folder / f"probe-{uuid.uuid4().hex}"
    try:
        put_bytes(target, folder, b"\0" * 4096)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(target)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries to the disk."""
    if os.name == "nt":  # Windows flushes entries itself and cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain(error: OSError, target: Path, needed: int, *, export: bool = False) -> StoreError:
    """Turn an operating system error into a message that says what to do.

    Args:
        error: what happened.
        target: what was to be written.
        needed: how many bytes it takes, 0 where that is not known.
        export: whether it is written as part of an export, not of a store.
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        told = f" It needs about {needed} bytes, {_free(target)} are free." if needed else ""
        kept = "Nothing was changed" if export else "What is committed is intact"
        return StoreError(
            f"cannot write {target}: {reason}.{told} {kept}: free some space and run the same"
            " command again"
        )
    if error.errno in (errno.EACCES, errno.EROFS):
        return StoreError(
            f"cannot write {target}: {reason}. Make the {'folder' if export else 'store'}"
            f" writable or choose another with {'--out' if export else '--store'}"
        )
    if error.errno in _NO_LINKS:
        return StoreError(
            f"cannot create {target}: the file system refuses hard links ({reason}), without"
            " which a chunk cannot be committed safely. Choose a store on a local disk or NFS"
            " with --store, and copy it afterwards"
        )
    if error.errno == errno.EIO:
        return StoreError(
            f"the disk reports an error while writing {target}: {reason}. Nothing more is"
            " written: check the disk, then run the same command again"
        )
    return StoreError(f"cannot write {target}: {reason}")


def _link(temporary: str, target: Path) -> bool:
    try:
        os.link(temporary, target)
    except OSError as error:
        # NFS may repeat a request that had succeeded and then report that the name exists.
        if os.stat(temporary).st_nlink == 2:
            return True
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def _free(target: Path) -> str:
    for folder in target.parents:
        if folder.is_dir():
            break
    try:
        return str(shutil.disk_usage(folder).free)
    except OSError:
        return "an unknown number"
