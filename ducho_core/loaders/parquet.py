"""Parquet files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.options import TableOptions
from ducho_core.loaders.reading import Kind, TableColumn, TableReader, check_file, rows_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    pa.Array = pa.Array


class ParquetReader(TableReader):
    """A Parquet file, opened; only its footer is read.

    Numbers, dates and truth values become their text. Embedded files may be plain binary or
    a struct of ``bytes`` and ``path``; the fields of a struct are columns ``NAME.FIELD``.

    Raises:
        SourceError: the file cannot be read or has no rows.
        UsageError: an option is for other kinds of file.
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        super().__init__(path)
        check_file(path)
        if options != TableOptions():
            raise UsageError(f"{self.name} is Parquet: the options of core/table are for texts")
        try:
            with pq.ParquetFile(path) as file:
                schema = file.schema_arrow
                metadata = file.metadata
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is no readable Parquet file: {error}") from error
        if metadata.num_rows == 0:
            raise SourceError(f"{path} has columns and no rows")
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise SourceError(f"{path} has {len(twice)} names twice, such as {twice[0]!r}")
        self._types = {name: kind for field in schema for name, kind in _flat(field)}
        self._tops = {name: field.name for field in schema for name, _ in _flat(field)}
        self.columns = tuple(_column(name, kind) for name, kind in self._types.items())
        self._bytes_per_row = _bytes_per_row(metadata, schema.names)
        self.sample = self._first_row()

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        width = sum(
            self._bytes_per_row.get(top, 0.0) for top in {self._tops[one] for one in names}
        )
        done = 0
        try:
            # Buffered, or a whole column chunk of embedded images would lie in memory.
            with pq.ParquetFile(self.path, buffer_size=2**20, pre_buffer=False) as file:
                for batch in file.iter_batches(
                    rows_for(width), columns=list(dict.fromkeys(names))
                ):
                    arrays = [self._take(batch, name, done) for name in names]
                    done += batch.num_rows
                    yield pa.record_batch(arrays, names=list(names))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.path}, after row {done}: {error}") from error

    def where(self, row: int) -> str:
        return f"row {row + 1}"

    def _take(self, batch: pa.RecordBatch, name: str, done: int) -> pa.Array:
        top = self._tops[name]
        array = _storage(batch.column(top))
        if name != top:
            array = pc.struct_field(array, name[len(top) + 1 :])
        kind = self._types[name]
        if _is_embedded(kind):
            content = pc.struct_field(array, "bytes")
            if content.null_count and "path" in (field.name for field in kind):
                self._check_filled(name, array, content, done)
            array = content
        try:
            return as_column(array)
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{self.path}, rows {done + 1} to {done + batch.num_rows}: column {name!r} holds"
                f" bytes that are no UTF-8 text"
            ) from error

    def _check_filled(self, name: str, array: pa.Array, content: pa.Array, done: int) -> None:
        path = pc.struct_field(array, "path")
        unfilled = pc.and_(pc.is_null(content), pc.is_valid(path))
        if pc.any(unfilled).as_py():
            row = pc.index(unfilled, True).as_py()
            raise SourceError(
                f"{self.path}, {self.where(done + row)}: column {name!r} names the file"
                f" {path[row].as_py()!r} and does not hold it; use the column {name}.path, or"
                " embed the files"
            )

    def _first_row(self) -> dict[str, str]:
        texts = [
            one.name
            for one in self.columns
            if one.kind == "text" and one.name in self._tops.values()
        ]
        batch = next(iter(self.read(texts)), None) if texts else None
        if batch is None:
            return {}
        first = {name: batch.column(name)[0].as_py() for name in texts}
        return {name: value for name, value in first.items() if value is not None}


def as_column(array: pa.Array) -> pa.Array:
    """Turn an array into ``string``, ``list<string>``, ``binary`` or ``list<binary>``.

    Raises:
        pyarrow.ArrowInvalid: bytes that should be text are no UTF-8.
    """
    array = _storage(array)
    if pa.types.is_dictionary(array.type):
        array = _storage(array.dictionary_decode())
    kind = array.type
    if _is_list(kind):
        inner = kind.value_type
        if _is_embedded(inner):
            array = array.cast(pa.list_(inner)) if not pa.types.is_list(kind) else array
            values = pc.struct_field(array.values, "bytes").cast(pa.binary())
            return _with_values(array, values)
        wanted = pa.binary() if _is_binary(inner) else pa.string()
        if pa.types.is_dictionary(inner):
            array = array.cast(pa.list_(inner.value_type))
        return array if kind == pa.list_(wanted) else array.cast(pa.list_(wanted))
    if _is_binary(kind):
        return array.cast(pa.binary())
    return array if kind == pa.string() else array.cast(pa.string())


def _with_values(array: pa.Array, values: pa.Array) -> pa.Array:
    mask = pc.is_null(array) if array.null_count else None
    return pa.ListArray.from_arrays(array.offsets, values, mask=mask)


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array.type, pa.BaseExtensionType) else array


def _flat(field: pa.Field) -> list[tuple[str, pa.DataType]]:
    """A field as columns: itself, and below a struct its fields under dotted names."""
    kind = field.type
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    columns = [(field.name, kind)]
    if pa.types.is_struct(kind):
        columns += [(f"{field.name}.{inner.name}", inner.type) for inner in kind]
    return columns


def _column(name: str, kind: pa.DataType) -> TableColumn:
    word = str(kind)
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if _is_embedded(plain):
        return TableColumn(name, "bytes", word, key=False)
    if _is_list(plain):
        inner = plain.value_type
        if _is_embedded(inner) or _is_binary(inner):
            return TableColumn(name, "many_bytes", word, key=False)
        scalar = _scalar(inner)
        return TableColumn(name, "texts" if scalar else "other", word, key=False)
    if _is_binary(plain):
        return TableColumn(name, "bytes", word)
    text: Kind = "text" if _scalar(plain) else "other"
    changed = pa.types.is_floating(plain) or pa.types.is_boolean(plain)
    return TableColumn(name, text, None if _is_string(plain) else word, key=not changed)


def _scalar(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _scalar(kind.value_type)
    return bool(
        _is_string(kind)
        or types.is_primitive(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _is_embedded(kind: pa.DataType) -> bool:
    """Whether it is a struct that holds a file's content under ``bytes``."""
    return bool(
        pa.types.is_struct(kind)
        and kind.get_field_index("bytes") >= 0
        and _is_binary(kind.field("bytes").type)
    )


def _bytes_per_row(metadata: pq.FileMetaData, names: Sequence[str]) -> dict[str, float]:
    """Uncompressed bytes a row of each top-level column."""
    totals: Counter[str] = Counter()
    by_length = sorted(names, key=len, reverse=True)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            path = f"{column.path_in_schema}."
            top = next((name for name in by_length if path.startswith(f"{name}.")), path)
            totals[top] += column.total_uncompressed_size
    return {name: total / metadata.num_rows for name, total in totals.items()}
