"""Controls: what an item's image is replaced by, to see what it was worth."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ducho_core import ItemError, Media, UsageError, files_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from PIL import Image

_GREY = (127, 127, 127)


def blank(image: Image.Image) -> Image.Image:
    """A grey image of the same size."""
    from PIL import Image as Pillow

    return Pillow.new("RGB", image.size, _GREY)


def pool_files(folder: str) -> tuple[str, ...]:
    """Absolute paths of the files of a folder of images, in order; hidden ones left out.

    Raises:
        UsageError: there are fewer than two.
    """
    path = os.path.realpath(os.path.expanduser(folder))
    if not os.path.isdir(path):
        raise UsageError(f"control_images: there is no folder {folder!r}")
    files = sorted(
        entry.path
        for entry in os.scandir(path)
        if entry.is_file() and not entry.name.startswith(".")
    )
    if len(files) < 2:
        raise UsageError(f"control_images: {folder!r} holds {len(files)} files; it needs two")
    return tuple(files)


def pool_name(folder: str) -> str:
    """How a folder is called, without the way to it."""
    return os.path.basename(os.path.realpath(os.path.expanduser(folder)))


def pool_digest(files: Sequence[str]) -> str:
    """Digest of the names and contents of a pool."""
    return files_digest(files)


def another(files: Sequence[str], seed: int, content: bytes, own: Collection[bytes]) -> Media:
    """One image of a pool, by seed and item; never one of the item's own files.

    Args:
        files: the pool.
        seed: another one draws other images.
        content: what tells the item apart.
        own: the item's own files.

    Raises:
        ItemError: ``no_other_image``: the pool holds nothing but the item's own files.
    """
    drawn = hashlib.sha256(seed.to_bytes(16, "big") + content).digest()
    at = int.from_bytes(drawn[:8], "big")
    for step in range(len(files)):
        path = files[(at + step) % len(files)]
        with open(path, "rb") as file:
            found = file.read()
        if found not in own:
            return Media(found, f"control_images/{os.path.basename(path)}")
    raise ItemError(0, "no_other_image", "control_images holds nothing but the item's own images")
