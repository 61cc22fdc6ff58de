"""The files below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ducho_core.errors import SourceError


@dataclass(slots=True)
class Walk:
    """What lies below a folder.

    Attributes:
        files: paths of the files relative to the folder, with ``/`` between, unsorted;
            hidden ones are left out.
        links: linked folders that were not followed, since they lead outside the root.
    """

    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def walk(folder: str, root: str) -> Walk:
    """List the files below a folder, hidden files and folders left out.

    A link to a folder is followed where it stays inside the root and does not lead back to
    a folder that it is in.

    Raises:
        SourceError: a folder cannot be listed, or a name is no Unicode text.
    """
    found = Walk()
    top = os.path.realpath(root).rstrip(os.sep) + os.sep
    pending: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(folder),))]
    while pending:
        prefix, above = pending.pop()
        try:
            with os.scandir(os.path.join(folder, prefix)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    path = prefix + entry.name
                    if not entry.is_dir():
                        found.files.append(_checked(path, folder))
                        continue
                    real = os.path.realpath(entry.path) if entry.is_symlink() else ""
                    if real in above:
                        continue
                    if real and not (real + os.sep).startswith(top):
                        found.links.append(path)
                        continue
                    inner = real or os.path.join(above[-1], entry.name)
                    pending.append((f"{path}/", (*above, inner)))
        except OSError as error:
            raise SourceError(
                f"the folder {os.path.join(folder, prefix)} cannot be listed: {error.strerror}"
            ) from error
    return found


def _checked(path: str, folder: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{folder}: the file name {os.fsencode(path)!r} is no UTF-8, so it cannot be a key;"
            " rename it"
        ) from None
    return path
