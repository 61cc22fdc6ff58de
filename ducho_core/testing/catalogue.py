"""A small catalogue on disk: images, texts, sounds, slots, reviews, and items that are broken."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ducho_core.testing.items import broken_images, broken_sounds, pictures, sounds, texts

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_SLOTS = 3


@dataclass(frozen=True, slots=True)
class SmallCatalogue:
    """Where everything lies and what is wrong with what.

    Attributes:
        folder: the folder, with ``items.tsv``, ``reviews.tsv``, ``images/`` and ``sounds/``.
        items: the table: ``item_id``, ``title``, ``description``, ``image``, ``audio``. Files
            of items are ``images/{item_id}/*`` (slots) and ``sounds/{item_id}.*``.
        reviews: a table of ``user_id``, ``item_id`` and ``text``.
        sound: ids of the items that are whole.
        broken_images: ids to what is wrong with their image.
        broken_sounds: ids to what is wrong with their sound.
        absent: ids of the items without any file, whose cells name files that are not there.
    """

    folder: Path
    items: Path
    reviews: Path
    sound: tuple[str, ...]
    broken_images: dict[str, str]
    broken_sounds: dict[str, str]
    absent: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        """All ids, in the order of the table."""
        return (*self.sound, *self.broken_images, *self.broken_sounds, *self.absent)


def draw_catalogue(folder: str | os.PathLike[str]) -> SmallCatalogue:
    """Draw the catalogue into a folder; the same at every time and place.

    Seven whole items, of which every second has three images (its slots ``0``, ``1``, ``2``)
    and the others one; then items whose image or sound is truncated, empty or a text; at last
    two whose files are missing. Keys look like numbers and begin with zeros.
    """
    root = Path(folder)
    words, images, waves = texts(), pictures(_SLOTS * len(texts())), sounds()
    rows: list[tuple[str, ...]] = []
    sound: list[str] = []
    for at, (text, wave) in enumerate(zip(words, waves, strict=True)):
        key = f"{at + 1:03}"
        sound.append(key)
        for slot in range(_SLOTS if at % 2 else 1):
            _write(root / "images" / key / f"{slot}{_suffix(images[at])}", images[at + 7 * slot])
        _write(root / "sounds" / f"{key}{_suffix(wave)}", wave)
        rows.append(_row(key, text, f"images/{key}/0{_suffix(images[at])}", _suffix(wave)))
    by_image = _broken(root, "images", broken_images(), waves[0], rows)
    by_sound = _broken(root, "sounds", broken_sounds(), images[0], rows)
    absent = ("020", "021")
    rows += [_row(key, f"item {key} without files", f"images/{key}/0.jpg") for key in absent]
    columns = ("item_id", "title", "description", "image", "audio")
    items = _table(root / "items.tsv", columns, rows)
    said = [
        (f"u{user}", key, f"{words[(user + at) % len(words)]}, says user {user}")
        for user in range(1, 4)
        for at, key in enumerate(sound)
        if (user + at) % 2
    ]
    reviews = _table(root / "reviews.tsv", ("user_id", "item_id", "text"), said)
    return SmallCatalogue(root, items, reviews, tuple(sound), by_image, by_sound, absent)


def _broken(
    root: Path,
    kind: str,
    files: dict[str, bytes],
    other: bytes,
    rows: list[tuple[str, ...]],
) -> dict[str, str]:
    """Items with one broken file, the other one whole."""
    broken: dict[str, str] = {}
    for what, content in files.items():
        key = f"{len(rows) + 1:03}"
        broken[key] = what
        image, sound = (content, other) if kind == "images" else (other, content)
        _write(root / "images" / key / "0.jpg", image)
        _write(root / "sounds" / f"{key}.wav", sound)
        rows.append(_row(key, f"an item whose {kind[:-1]} is {what}", f"images/{key}/0.jpg"))
    return broken


def _row(key: str, text: str, image: str, sound: str = ".wav") -> tuple[str, ...]:
    title = " ".join(text.split()[:3])
    return key, title, text.strip(), image, f"sounds/{key}{sound}"


def _table(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Path:
    buffer = io.StringIO()
    for row in (columns, *rows):
        buffer.write("\t".join(row) + "\n")
    _write(path, buffer.getvalue().encode())
    return path


def _suffix(content: bytes) -> str:
    starts = {b"\x89PNG": ".png", b"fLaC": ".flac", b"RIFF": ".wav"}
    return next((name for start, name in starts.items() if content.startswith(start)), ".jpg")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
