"""File names for keys: legible where that is safe, never the same for two keys."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 255
"""Bytes of a file name that every usual file system can hold."""

_UNSAFE = re.compile(r'[/\\:*?"<>|%]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_BETWEEN = re.compile(r"^_|(?<=_)_|_$")
_SEPARATOR = "__"
_EMPTY = "%empty"
_LONG = "%long-"


def plain_name(key: Sequence[str], suffix: str = "") -> str:
    """The name of a key: the key itself as far as that is safe.

    Percent-encoded are ``/ \\ : * ? " < > | %``, whatever cannot be printed, dots and spaces at
    the start and end, the first letter of names that Windows reserves, and all of a non-ASCII
    text that is not in Unicode's form NFC. Several key columns are joined by two underscores,
    underscores that could be taken for these being encoded.
    """
    parts = [_plain(part) for part in key]
    if len(parts) > 1:
        parts = [_BETWEEN.sub("%5F", part) for part in parts]
    return _fitted(_SEPARATOR.join(parts), key, suffix)


def strict_name(key: Sequence[str], suffix: str = "") -> str:
    """The name of a key that another one's could be taken for where case is not told apart.

    As ``plain_name``, and capitals and all that is not ASCII are encoded too.
    """
    plain = _SEPARATOR.join(
        _BETWEEN.sub("%5F", _plain(part)) if len(key) > 1 else _plain(part) for part in key
    )
    pieces = re.split(r"(%[0-9A-F]{2}|%empty)", plain)
    name = "".join(
        piece if at % 2 else re.sub(r"[A-Z]|[^\x00-\x7f]", _encoded, piece)
        for at, piece in enumerate(pieces)
    )
    return _fitted(name, key, suffix)


def part_name(text: str) -> str:
    """The name of a folder, encoded as a key is."""
    return plain_name([text])


class Names:
    """The file name of each of many keys.

    Args:
        keys: all keys, in any order; each as a sequence of its parts.
        suffix: of the files.
    """

    def __init__(self, keys: Iterable[Sequence[str]], suffix: str) -> None:
        self._suffix = suffix
        joined = b"".join(_folded(plain_name(key, suffix)) for key in keys)
        digests = np.sort(np.frombuffer(joined, "S16"))
        twins = digests[1:][digests[1:] == digests[:-1]]
        self._twins = {bytes(one).ljust(16, b"\0") for one in twins}

    def name(self, key: Sequence[str]) -> str:
        """The file name of a key."""
        plain = plain_name(key, self._suffix)
        if self._twins and _folded(plain) in self._twins:
            return strict_name(key, self._suffix) + self._suffix
        return plain + self._suffix


def _plain(text: str) -> str:
    if not text:
        return _EMPTY
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        name = re.sub(r"[^\x00-\x7f]", _encoded, _UNSAFE.sub(_encoded, text))
    else:
        name = _UNSAFE.sub(_encoded, text)
    if not name.isprintable():
        name = "".join(one if one.isprintable() else _percent(one) for one in name)
    start = re.match(r"[. ]*", name)
    if start and start[0]:
        name = "".join(map(_percent, start[0])) + name[len(start[0]) :]
    end = re.search(r"[. ]+$", name)
    if end:
        name = name[: end.start()] + "".join(map(_percent, end[0]))
    if _RESERVED.fullmatch(name):
        name = _percent(name[0]) + name[1:]
    return name


def _fitted(name: str, key: Sequence[str], suffix: str) -> str:
    if len(name.encode()) + len(suffix) <= LONGEST:
        return name
    whole = hashlib.sha256()
    for part in key:
        content = part.encode()
        whole.update(len(content).to_bytes(8, "little") + content)
    return _LONG + whole.hexdigest()


def _folded(name: str) -> bytes:
    folded = unicodedata.normalize("NFC", name.casefold())
    return blake2b(folded.encode(), digest_size=16).digest()


def _encoded(match: re.Match[str]) -> str:
    return _percent(match[0])


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())
