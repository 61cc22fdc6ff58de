"""The page headers of a Parquet file, which neither page checksums nor the footer cover."""

from __future__ import annotations

import hashlib
import os

_WINDOW = 64 * 2**10
_FIRST_PAGE = 4
_COMPRESSED_SIZE = 3

_BOOLEANS = (1, 2)
_BYTE = 3
_INTEGERS = (4, 5, 6)
_BINARY = 8
_STRUCT = 12


def headers_sha256(descriptor: int, end: int) -> str:
    """Sha256 over all page headers of a file, in hex.

    Args:
        descriptor: the open file.
        end: where the pages end and the footer starts.

    Raises:
        ValueError: the pages do not follow each other without gaps from byte 4 to ``end``.
    """
    whole = hashlib.sha256()
    at = _FIRST_PAGE
    while at < end:
        window = os.pread(descriptor, min(_WINDOW, end - at), at)
        try:
            length, fields = _struct(window, 0)
            body = fields[_COMPRESSED_SIZE]
        except (IndexError, KeyError) as error:
            raise ValueError(f"there is no page at byte {at}") from error
        if body < 0:
            raise ValueError(f"the page at byte {at} has a negative size")
        whole.update(window[:length])
        at += length + body
    if at != end:
        raise ValueError("the last page reaches beyond the end")
    return whole.hexdigest()


def _struct(data: bytes, at: int) -> tuple[int, dict[int, int]]:
    """End of a struct in Thrift's compact form, and its integer fields by number."""
    fields: dict[int, int] = {}
    number = 0
    while True:
        header = data[at]
        at += 1
        if header == 0:
            return at, fields
        kind, step = header & 15, header >> 4
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if kind in _BOOLEANS:
            continue
        if kind == _BYTE:
            at += 1
        elif kind in _INTEGERS:
            fields[number], at = _integer(data, at)
        elif kind == _BINARY:
            length, at = _unsigned(data, at)
            at += length
        elif kind == _STRUCT:
            at, _inner = _struct(data, at)
        else:
            raise ValueError(f"a page header has a field of the unknown kind {kind}")
        if at > len(data):
            raise IndexError(at)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
