"""Digests over what a table means, whatever its encoding."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt


_BLOCK = 65536


def content_sha256(table: pa.Table) -> str:
    """Sha256 over the values of a table, in hex.

    It does not depend on compression, encoding, row groups, Arrow chunks or offsets. For each
    column, in the table's order, the hash is fed

    1. ``NAME NUL TYPE NUL`` in UTF-8 and the number of rows as int64, where TYPE is
       ``string``, ``binary``, ``bool``, a number type such as ``float32``, ``bytes[32]`` for
       fixed-size binary, and ``float32[64]`` for embeddings;
    2. one byte a row, 1 for a value and 0 for null;
    3. for strings and binaries the length of each in bytes as int32 (0 for null);
    4. the values, row by row and little-endian: a string's UTF-8, an embedding's elements, a
       bool as one byte, zero bytes for a null number.
    """
    whole = hashlib.sha256()
    for field in table.schema:
        _feed(whole, field, table[field.name].chunks, table.num_rows)
    return whole.hexdigest()


def sorted_sha256(
    columns: Iterable[tuple[str, pa.Array]], order: npt.NDArray[np.integer[Any]]
) -> str:
    """``content_sha256`` of the table of these columns with its rows put into an order.

    The table is never made: memory is bounded by a block of rows beside one column.

    Args:
        columns: names and columns, without nulls, in the order of the table; each is let go
            of before the next is asked for.
        order: for each row of that table its position in the columns, (n,).
    """
    whole = hashlib.sha256()
    ones = np.ones(_BLOCK, np.uint8)
    for name, column in columns:
        word = type_word(column.type)
        whole.update(f"{name}\0{word}\0".encode() + len(order).to_bytes(8, "little"))
        for start in range(0, len(order), _BLOCK):
            whole.update(ones[: len(order) - start].data)
        for feed in (_lengths, _values) if word in ("string", "binary") else (_values,):
            for start in range(0, len(order), _BLOCK):
                block = column.take(pa.array(order[start : start + _BLOCK]))
                content: Any = feed(block)
                whole.update(content)
        del column
    return whole.hexdigest()


def row_digests(table: pa.Table) -> pa.Array:
    """Sha256 of each row: of its values in column order, preceded by 1, or by 0 for null.

    Strings are preceded by their length in bytes as int32. Shape (n,), ``binary(32)``.
    """
    parts = [list(_row_parts(table[name].combine_chunks())) for name in table.column_names]
    joined = [hashlib.sha256(b"".join(row)).digest() for row in zip(*parts, strict=True)]
    return pa.array(joined, pa.binary(32))


def type_word(kind: pa.DataType) -> str:
    """How ``content_sha256`` calls an Arrow type.

    Raises:
        TypeError: the store has no such columns.
    """
    if pa.types.is_fixed_size_list(kind):
        return f"{type_word(kind.value_type)}[{kind.list_size}]"
    if pa.types.is_fixed_size_binary(kind):
        return f"bytes[{kind.byte_width}]"
    words = {
        pa.string(): "string",
        pa.binary(): "binary",
        pa.bool_(): "bool",
        pa.float16(): "float16",
        pa.float32(): "float32",
        pa.float64(): "float64",
        pa.int8(): "int8",
        pa.int32(): "int32",
        pa.int64(): "int64",
    }
    if kind not in words:
        raise TypeError(f"the store has no columns of type {kind}")
    return words[kind]


def _feed(whole: Any, field: pa.Field, chunks: Sequence[pa.Array], rows: int) -> None:
    word = type_word(field.type)
    whole.update(f"{field.name}\0{word}\0".encode() + rows.to_bytes(8, "little"))
    for chunk in chunks:
        if chunk.null_count:
            whole.update(np.asarray(chunk.is_valid()).astype(np.uint8))
        else:
            whole.update(np.ones(len(chunk), np.uint8))
    if word in ("string", "binary"):
        for chunk in chunks:
            whole.update(_lengths(chunk))
    for chunk in chunks:
        whole.update(_values(chunk))


def _lengths(chunk: pa.Array) -> npt.NDArray[np.int32]:
    lengths = pc.fill_null(pc.binary_length(chunk), 0)
    return np.ascontiguousarray(lengths.to_numpy(zero_copy_only=False), dtype="<i4")


def _values(chunk: pa.Array) -> Any:
    """The values of a column as a contiguous buffer."""
    kind = chunk.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        if chunk.null_count:  # bytes under a null are arbitrary
            chunk = chunk.drop_null()
        if not len(chunk):
            return b""
        _validity, offsets, data = chunk.buffers()
        if data is None:
            return b""
        bounds = np.frombuffer(offsets, "<i4", len(chunk) + 1, chunk.offset * 4)
        return memoryview(data)[bounds[0] : bounds[-1]]
    if pa.types.is_fixed_size_binary(kind):
        if chunk.null_count:
            chunk = pc.fill_null(chunk, b"\0" * kind.byte_width)
        width = kind.byte_width
        data = chunk.buffers()[1]
        if data is None or not len(chunk):
            return b""
        return memoryview(data)[chunk.offset * width : (chunk.offset + len(chunk)) * width]
    if pa.types.is_fixed_size_list(kind):
        return np.ascontiguousarray(chunk.flatten().to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(kind):
        filled = pc.fill_null(chunk, False)  # noqa: FBT003
        return filled.to_numpy(zero_copy_only=False).astype(np.uint8)
    filled = pc.fill_null(chunk, 0) if chunk.null_count else chunk
    return np.ascontiguousarray(filled.to_numpy(zero_copy_only=False))


def _row_parts(column: pa.Array) -> Iterable[bytes]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        for value in column.cast(pa.binary()).to_pylist():
            yield b"\0" if value is None else b"\1" + len(value).to_bytes(4, "little") + value
        return
    data = memoryview(_values(column)).cast("B") if len(column) else memoryview(b"")
    width = len(data) // max(1, len(column))
    valid = np.asarray(column.is_valid())
    for row in range(len(column)):
        yield b"\1" + data[row * width : (row + 1) * width] if valid[row] else b"\0"
