"""The Arrow schemas of a set's files, and how embeddings become stored columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.errors import StoreError
from ducho_core.store.spec import INPUT_DIGEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

STATUSES = ("failed", "absent", "withdrawn")
STAGES = ("source", "read", "prepare", "extract", "check")
MESSAGE_LENGTH = 300

_ELEMENTS = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
_SCALARS = {
    "float64": pa.float64(),
    "float32": pa.float32(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def scale_name(output: str) -> str:
    """Column that holds the scale of an int8 embedding."""
    return f"{output}_scale"


def embedding_type(dim: int, dtype: str) -> pa.DataType:
    """Arrow type of an embedding column: a list of ``dim`` elements, none of them null."""
    return pa.list_(pa.field("element", _ELEMENTS[dtype], nullable=False), dim)


def key_fields(keys: Sequence[str]) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in keys]


def data_schema(spec: Mapping[str, Any], dims: Mapping[str, int]) -> pa.Schema:
    """Schema of a data file: keys, outputs, ``input_sha256``.

    Args:
        spec: the set's SPEC.
        dims: lengths of the embeddings, needed where the SPEC has null for one.

    Raises:
        StoreError: an embedding's length is unknown, or differs from the SPEC's.
    """
    fields = key_fields(spec["keys"])
    stored = spec["stored_dtype"]
    for output in spec["outputs"]:
        name, known = output["name"], output.get("dim")
        if output["kind"] != "embedding":
            fields.append(pa.field(name, _scalar_type(output), nullable=True))
            continue
        dim = dims.get(name, known)
        if dim is None or dim < 1:
            raise StoreError(f"the length of output {name!r} is not known")
        if known is not None and dim != known:
            raise StoreError(f"output {name!r} has {dim} dimensions, its SPEC says {known}")
        fields.append(pa.field(name, embedding_type(dim, stored), nullable=False))
        if stored == "int8":
            fields.append(pa.field(scale_name(name), pa.float32(), nullable=False))
    fields.append(pa.field(INPUT_DIGEST, pa.binary(32), nullable=False))
    return pa.schema(fields)


def failures_schema(keys: Sequence[str]) -> pa.Schema:
    """Schema of a failures file."""
    return pa.schema(
        [
            *key_fields(keys),
            pa.field("status", pa.string(), nullable=False),
            pa.field("stage", pa.string(), nullable=False),
            pa.field("code", pa.string(), nullable=False),
            pa.field("message", pa.string(), nullable=False),
            pa.field(INPUT_DIGEST, pa.binary(32), nullable=True),
            pa.field("run_id", pa.string(), nullable=False),
        ]
    )


def plan_schema(keys: Sequence[str], inputs: Sequence[str]) -> pa.Schema:
    """Schema of a plan: keys, chunk, and a cheap validator per input."""
    validators = [pa.field(f"validator_{name}", pa.binary(), nullable=True) for name in inputs]
    return pa.schema(
        [*key_fields(keys), pa.field("chunk", pa.int32(), nullable=False), *validators]
    )


def dims_of(schema: pa.Schema) -> dict[str, int]:
    """Lengths of the embedding columns of a data file's schema."""
    return {
        field.name: field.type.list_size
        for field in schema
        if pa.types.is_fixed_size_list(field.type)
    }


def conform(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """Give a table exactly this schema without copying its values.

    Columns are put into order, nullability is checked and set; a column of another type is
    cast where that loses nothing.

    Raises:
        StoreError: a column is missing, unknown, of another shape, or has nulls.
    """
    if table.schema.equals(schema):
        nulls = [field.name for field in schema if not field.nullable and _nulls(table, field)]
        if nulls:
            raise StoreError(f"{where} has nulls in {', '.join(nulls)}")
        return table
    names = set(table.column_names)
    if names != set(schema.names) or len(table.column_names) != len(schema.names):
        raise StoreError(f"{where} has the columns {table.column_names}, expected {schema.names}")
    columns = []
    for field in schema:
        column = table[field.name]
        if column.type != field.type:
            column = _cast(column, field, where)
        if not field.nullable and column.null_count:
            raise StoreError(f"{where} has nulls in {field.name}")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def to_stored(
    values: npt.NDArray[Any], dtype: str
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]]:
    """Convert embeddings to the element type that the set stores.

    Args:
        values: shape (n, dim), float32 or float16.
        dtype: ``float32``, ``float16`` or ``int8``.

    Returns:
        The stored values, shape (n, dim); for int8 the scale of each row, shape (n,), float32,
        such that stored x scale gives the value, else None; and a mask, shape (n,), of the rows
        that cannot be stored: a finite value became infinite, or int8 met a value that is not
        finite. Masked rows must not be committed.
    """
    values = np.ascontiguousarray(values)
    rows = len(values)
    if dtype == "int8":
        wide = values.astype(np.float32, copy=False)
        largest = np.abs(wide).max(axis=1, initial=0.0)
        unfit = ~np.isfinite(largest)
        scale = np.where(unfit, np.float32(0), largest / np.float32(127)).astype(np.float32)
        divisor = np.where(scale == 0, np.float32(1), scale)
        with np.errstate(invalid="ignore"):
            quotient = np.rint(np.nan_to_num(wide, posinf=0, neginf=0) / divisor[:, None])
        return np.clip(quotient, -127, 127).astype(np.int8), scale, unfit
    if values.dtype == np.dtype(dtype):
        return values, None, np.zeros(rows, np.bool_)
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if np.dtype(dtype).itemsize >= values.dtype.itemsize:
        return stored, None, np.zeros(rows, np.bool_)
    unfit = (np.isinf(stored) & np.isfinite(values)).any(axis=1)
    return stored, None, unfit


def embedding_array(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    """An Arrow column of embeddings over the memory of ``values``.

    Args:
        values: shape (n, dim), float32, float16 or int8, C-contiguous.
    """
    dim = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=embedding_type(dim, values.dtype.name))


def embedding_values(column: pa.Array) -> npt.NDArray[Any]:
    """The values of an Arrow column of embeddings, shape (n, dim), without a copy."""
    flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=True)
    return flat.reshape(-1, column.type.list_size)


def _scalar_type(output: Mapping[str, Any]) -> pa.DataType:
    name = "string" if output["kind"] == "text" else output["dtype"]
    if name not in _SCALARS:
        raise StoreError(f"output {output['name']!r} has the unknown type {name!r}")
    return _SCALARS[name]


def _nulls(table: pa.Table, field: pa.Field) -> bool:
    column = table[field.name]
    if column.null_count:
        return True
    if not pa.types.is_fixed_size_list(field.type):
        return False
    return any(chunk.flatten().null_count for chunk in column.chunks)


def _cast(column: pa.ChunkedArray, field: pa.Field, where: str) -> pa.ChunkedArray:
    wanted = field.type
    if not pa.types.is_fixed_size_list(wanted):
        try:
            return column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise StoreError(
                f"{where} has {column.type} in {field.name}, expected {wanted}: {error}"
            ) from error
    fits = (
        pa.types.is_fixed_size_list(column.type)
        and column.type.list_size == wanted.list_size
        and column.type.value_type == wanted.value_type
    )
    if not fits:
        raise StoreError(f"{where} has {column.type} in {field.name}, expected {wanted}")
    if column.null_count:
        raise StoreError(f"{where} has nulls in {field.name}")
    chunks = []
    for chunk in column.chunks:
        flat = chunk.flatten()
        if flat.null_count:
            raise StoreError(f"{where} has nulls in {field.name}")
        chunks.append(pa.FixedSizeListArray.from_arrays(flat, type=wanted))
    return pa.chunked_array(chunks, type=wanted)
