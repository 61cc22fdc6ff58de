"""Messages that help: the closest name, the columns, the command to paste."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ducho_core.catalogue import Binding

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf",
)  # fmt: skip
TEXT_SUFFIXES = (".txt", ".text")

_HINTS = {
    "text": "title description text review comment caption summary body content name sentence",
    "image": "image img picture photo pic thumbnail cover poster file path",
    "audio": "audio sound wav mp3 song track clip file path",
}
_PLAIN_FLAG = re.compile(r"^[\w@%+:,./=-]+$")


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, letter case aside, or None."""
    by_folded = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` or nothing, to append to a message."""
    found = closest(name, names)
    return f" (did you mean {found!r}?)" if found else ""


def listing(names: Sequence[str], limit: int = 30) -> str:
    """Names with commas between, cut short where there are many."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def option_flag(setting: str) -> str:
    """How a loader's option is written on the command line."""
    return f"--loader-option {_quote(setting)}"


def command(source: str, binding: Binding, *extra: str, **changes: Any) -> str:
    """The command that would work, with the flags about keys and inputs spelt out.

    Args:
        source: the source as the user should write it.
        binding: what the user said.
        extra: further flags, already quoted.
        changes: fields of the binding to be changed first.
    """
    wanted = replace(binding, **changes)
    flags = [f"--key {_quote(key)}" for key in wanted.keys]
    for name, text in wanted.texts:
        flags.append(f"--text {_quote(text if name is None else f'{name}={text}')}")
    flags += [f"--image {_quote(wanted.image)}"] if wanted.image is not None else []
    flags += [f"--audio {_quote(wanted.audio)}"] if wanted.audio is not None else []
    flags += [f"--slots {wanted.slots}"] if wanted.slots != "all" else []
    flags += [f"--root {_quote(wanted.root)}"] if wanted.root is not None else []
    flags += [f"--null {_quote(','.join(wanted.nulls))}"] if wanted.nulls else []
    flags += [f"--clean {','.join(wanted.cleaning)}"] if wanted.cleaning else []
    return " ".join(["ducho extract", _quote(source), wanted.other_flags, *flags, *extra])


def guesses(
    modality: str, columns: Sequence[str], sample: dict[str, str], limit: int = 3
) -> list[str]:
    """Columns that may hold a modality, the likeliest first.

    A column whose first value ends like a file of that modality comes before one that is
    only called like it; for texts, a column of several words comes before other unknown ones.
    """
    suffixes = {"image": IMAGE_SUFFIXES, "audio": AUDIO_SUFFIXES}.get(modality, ())
    others = {"image": AUDIO_SUFFIXES, "audio": IMAGE_SUFFIXES}.get(
        modality, IMAGE_SUFFIXES + AUDIO_SUFFIXES
    )
    ranked: list[tuple[int, int, str]] = []
    for position, column in enumerate(columns):
        value = sample.get(column, "").lower()
        words = [word for word in re.split(r"[^a-z]+", column.lower()) if word]
        hints = _HINTS[modality].split()
        ranks = [hints.index(word) for word in words if word in hints]
        if value.endswith(others) and "://" not in value:
            continue
        if suffixes and value.endswith(suffixes):
            ranked.append((0, position, column))
        elif ranks:
            ranked.append((1 + min(ranks), position, column))
        elif modality == "text" and value.count(" ") >= 2:
            ranked.append((50, position, column))
    return [column for _, _, column in sorted(ranked)[:limit]]


def file_name(path: str) -> str:
    """How messages call a source file."""
    return os.path.basename(path.rstrip(os.sep)) or path


def _quote(text: str) -> str:
    return text if _PLAIN_FLAG.match(text) else shlex.quote(text)
