"""Digests of files, cached by path, size and modification time."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHE_ABOVE_BYTES = 8 * 2**20


def file_digest(path: str | os.PathLike[str]) -> str:
    """Sha256 of a file's content, in hex.

    Digests of files over 8 MiB are kept in the user's cache folder (``DUCHO_CACHE``, else
    ``XDG_CACHE_HOME/ducho``, else ``~/.cache/ducho``) under path, size and mtime.

    Raises:
        OSError: the file cannot be read.
    """
    real = os.path.realpath(path)
    status = os.stat(real)
    if status.st_size < _CACHE_ABOVE_BYTES:
        return _digest(real)
    stamp = f"{real}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
    entry = _cache_folder() / f"{hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]}.json"
    try:
        cached = json.loads(entry.read_text("utf-8"))
        if cached["size"] == status.st_size and len(cached["sha256"]) == 64:
            return str(cached["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = _digest(real)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = entry.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"sha256": digest, "size": status.st_size}), "utf-8")
        temporary.replace(entry)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return digest


def files_digest(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Sha256 over the sorted (basename, sha256) pairs of several files, in hex."""
    pairs = sorted((os.path.basename(path), file_digest(path)) for path in paths)
    whole = hashlib.sha256()
    for name, digest in pairs:
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_folder() -> Path:
    explicit = os.environ.get("DUCHO_CACHE")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ducho"
