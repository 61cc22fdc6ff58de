"""Controls: what an item's image is replaced by, to see what it was worth."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ducho_core import Media, UsageError, files_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

_GREY = (127, 127, 127)


def blank(image: Image.Image) -> Image.Image:
    """A grey image of the same size."""
    from PIL import Image as Pillow

    return Pillow.new("RGB", image.size, _GREY)


def pool_files(folder: str) -> tuple[str, ...]:
    """Absolute paths of the files of a folder of images, in order of their names.

    Raises:
        UsageError: there are fewer than two.
    """
    path = os.path.realpath(os.path.expanduser(folder))
    if not os.path.isdir(path):
        raise UsageError(f"control_images: there is no folder {folder!r}")
    files = sorted(entry.path for entry in os.scandir(path) if entry.is_file())
    if len(files) < 2:
        raise UsageError(f"control_images: {folder!r} holds {len(files)} files; it needs two")
    return tuple(files)


def pool_name(folder: str) -> str:
    """How a folder is called, without the way to it."""
    return os.path.basename(os.path.realpath(os.path.expanduser(folder)))


def pool_digest(files: Sequence[str]) -> str:
    """Digest of the names and contents of a pool."""
    return files_digest(files)


def another(files: Sequence[str], seed: int, content: bytes, own: bytes) -> Media:
    """One image of a pool, by seed and item; never the item's own file.

    Args:
        files: the pool.
        seed: another one draws other images.
        content: what tells the item apart.
        own: the item's own file.
    """
    drawn = hashlib.sha256(seed.to_bytes(16, "big") + content).digest()
    at = int.from_bytes(drawn[:8], "big")
    for step in range(len(files)):
        path = files[(at + step) % len(files)]
        with open(path, "rb") as file:
            found = file.read()
        if found != own:
            break
    return Media(found, os.path.basename(path))
