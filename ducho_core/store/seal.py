"""The seal of the store's Parquet files: what page checksums leave open.

Parquet protects the content of pages, neither their headers nor the footer. So the footer holds
two digests, written in place once the file is complete: ``ducho.headers_sha256`` over all page
headers, checked by ``verify --read-data``; then ``ducho.seal`` over the footer itself with the
seal's 64 hex digits taken as zeros, checked whenever a file is opened.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ducho_core.store.pages import headers_sha256

if TYPE_CHECKING:
    from pathlib import Path

SEAL = "ducho.seal"
HEADERS = "ducho.headers_sha256"
OPEN = {HEADERS: "0" * 64, SEAL: "0" * 64}
"""What the footer holds under these names until the file is sealed."""

_MAGIC = b"PAR1"


def seal(descriptor: int) -> None:
    """Fill in both digests of a file that is complete.

    Raises:
        ValueError: it is no Parquet file with open seals.
    """
    footer, start = _footer(descriptor)
    headers = headers_sha256(descriptor, start).encode()
    place = _place(footer, HEADERS)
    os.pwrite(descriptor, headers, start + place)
    footer = footer[:place] + headers + footer[place + 64 :]
    digest = hashlib.sha256(footer).hexdigest().encode()
    os.pwrite(descriptor, digest, start + _place(footer, SEAL))


def check_seal(path: Path, *, headers: bool = False) -> None:
    """Check a file's length, magic bytes and footer against its seal.

    Args:
        path: the file.
        headers: whether to check all page headers too.

    Raises:
        ValueError: they do not agree.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        footer, start = _footer(descriptor)
        place = _place(footer, SEAL)
        sealed = footer[:place] + b"0" * 64 + footer[place + 64 :]
        if hashlib.sha256(sealed).hexdigest().encode() != footer[place : place + 64]:
            raise ValueError("its footer does not match its seal")
        if headers:
            place = _place(footer, HEADERS)
            if headers_sha256(descriptor, start).encode() != footer[place : place + 64]:
                raise ValueError("a page header has changed")
    finally:
        os.close(descriptor)


def _footer(descriptor: int) -> tuple[bytes, int]:
    """The footer's bytes up to the file's end, and where it starts."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, 8, max(0, size - 8))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length + 12 > size or os.pread(descriptor, 4, 0) != _MAGIC:
        raise ValueError("its start or end is missing or overwritten")
    start = size - 8 - length
    return os.pread(descriptor, length + 8, start), start


def _place(footer: bytes, name: str) -> int:
    # In Thrift's compact form a value follows its field header (0x18: text) and its length. No
    # JSON holds a raw 0x18, so a SPEC that mentions the name cannot be taken for it.
    mark = name.encode() + b"\x18\x40"
    found = footer.find(mark)
    if found < 0 or found + len(mark) + 64 > len(footer):
        raise ValueError(f"its footer has no {name}")
    return found + len(mark)
