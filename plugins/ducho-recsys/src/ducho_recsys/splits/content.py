"""Digests over what a table holds, whatever its encoding."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping


def canonical_sha256(value: Mapping[str, Any]) -> str:
    """Sha256 of plain JSON with sorted keys and without white space, in hex."""
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def content_sha256(table: pa.Table) -> str:
    """Sha256 over the values of a table of strings, float64 and bool, in hex.

    It does not depend on compression, row groups or Arrow chunks. For each column, in order, the
    hash is fed ``NAME NUL TYPE NUL`` and the number of rows as int64; a byte a row, 1 for a value
    and 0 for null; of strings the length of each in bytes as int32; then the values, in UTF-8 or
    little-endian, zero for a null number.
    """
    whole = hashlib.sha256()
    for name in table.column_names:
        column = table[name]
        whole.update(f"{name}\0{column.type}\0".encode() + len(column).to_bytes(8, "little"))
        for chunk in column.chunks:
            whole.update(np.ascontiguousarray(chunk.is_valid()).astype(np.uint8).data)
        if pa.types.is_string(column.type):
            for chunk in column.chunks:
                lengths = pc.fill_null(pc.binary_length(chunk), 0)
                whole.update(np.ascontiguousarray(lengths, "<i4").data)
        for chunk in column.chunks:
            if len(chunk):
                whole.update(_values(chunk))
    return whole.hexdigest()


def _values(chunk: pa.Array) -> Any:
    if pa.types.is_string(chunk.type):
        if chunk.null_count:  # bytes under a null are arbitrary
            chunk = chunk.drop_null()
        _validity, offsets, data = chunk.buffers()
        if data is None:
            return b""
        bounds = np.frombuffer(offsets, "<i4", len(chunk) + 1, chunk.offset * 4)
        return memoryview(data)[bounds[0] : bounds[-1]]
    if pa.types.is_boolean(chunk.type):
        return np.ascontiguousarray(pc.fill_null(chunk, False)).astype(np.uint8).data  # noqa: FBT003
    return np.ascontiguousarray(pc.fill_null(chunk, 0.0), "<f8").data
