"""From a table's columns to batches of keys and inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.catalogue import arrow_type
from ducho_core.errors import SourceError
from ducho_core.loaders.cleaning import clean
from ducho_core.loaders.globs import GlobExpander, refused, traverses
from ducho_core.loaders.natural import natural_key
from ducho_core.loaders.reading import MAX_ROWS, TableReader, check_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ducho_core.catalogue import Binding
    from ducho_core.loaders.settle import BoundInput, Settled

    Columns = dict[str, pa.Array]
    Slots = list[tuple[str, Any]]

NO_SLOT = ""
"""Slot of an item that has slots elsewhere but none here: an empty glob or list."""


class Assembler:
    """Makes batches of keys and inputs from what a reader gives.

    Args:
        reader: the opened table.
        settled: its keys and inputs.
        binding: nulls and slots.
        root: absolute path that relative paths are relative to.
    """

    def __init__(self, reader: TableReader, settled: Settled, binding: Binding, root: str) -> None:
        self._reader = reader
        self._settled = settled
        self._root = root
        self._nulls = pa.array(["", *binding.nulls], pa.string())
        inputs = settled.inputs
        used = [column for _, column in settled.keys]
        textual = set(used)
        for one in inputs:
            used += one.template.columns
            if one.field.storage != "bytes":
                textual |= set(one.template.columns)
        self._columns = list(dict.fromkeys(used))
        self._textual = textual
        self._expander = GlobExpander(root)
        names = [name for name, _ in settled.keys]
        self._slotted = settled.slotted and binding.slots == "all"
        self.keys = (*names, "slot") if self._slotted else tuple(names)
        self.schema = pa.schema(
            [pa.field(name, pa.string(), nullable=False) for name in self.keys]
            + [pa.field(one.field.name, arrow_type(one.field)) for one in inputs]
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the table.

        Raises:
            SourceError: a row cannot be read, or its key is empty.
            ContractError: the reader gave something else than was asked for.
        """
        done = 0
        for batch in self._reader.read(self._columns):
            check_batch(self._reader, batch, self._columns)
            columns = {
                name: self._nulled(name, batch.column(name), done) for name in self._columns
            }
            keys = [
                self._key(name, column, columns[column], done)
                for name, column in self._settled.keys
            ]
            if done == 0:
                self._refuse_addresses(columns)
            rows = batch.num_rows
            if self._slotted:
                whole = self._spread(keys, columns, rows)
            else:
                values = [self._flat(one, columns, rows) for one in self._settled.inputs]
                whole = pa.RecordBatch.from_arrays([*keys, *values], schema=self.schema)
            for start in range(0, whole.num_rows, MAX_ROWS):
                yield whole.slice(start, MAX_ROWS)
            done += rows

    def _nulled(self, name: str, array: pa.Array, done: int) -> pa.Array:
        """Turn empty cells, and those that the user calls null, into nulls."""
        if array.type == pa.binary() and name in self._textual:
            try:
                array = array.cast(pa.string())
            except pa.ArrowInvalid as error:
                raise SourceError(
                    f"{self._reader.path}: column {name!r}, near {self._reader.where(done)},"
                    " holds bytes that are no UTF-8 text"
                ) from error
        if array.type != pa.string():
            return array
        empty = pc.is_in(array, self._nulls)
        if pc.any(empty).as_py():
            return pc.if_else(empty, pa.scalar(None, pa.string()), array)
        return array

    def _key(self, name: str, column: str, array: pa.Array, done: int) -> pa.Array:
        if array.null_count:
            row = pc.index(pc.is_null(array), True).as_py()
            what = name if name == column else f"{name} (column {column!r})"
            raise SourceError(
                f"{self._reader.path}, {self._reader.where(done + row)}: the key {what} is empty;"
                " every row needs one"
            )
        return array

    def _refuse_addresses(self, columns: Columns) -> None:
        for one in self._settled.inputs:
            column = one.template.column
            if one.field.storage != "path" or column is None or one.slots:
                continue
            value = next((value for value in columns[column].to_pylist() if value), "")
            if value.startswith(("http://", "https://")):
                raise SourceError(
                    f"{self._reader.path}: column {column!r} holds web addresses, such as"
                    f" {value:.60}; Ducho reads files: download them, and bind the column of"
                    " their paths"
                )

    def _flat(self, one: BoundInput, columns: Columns, rows: int) -> pa.Array:
        """An input with one value a row, or one list."""
        if one.slots:
            found = [
                [value for _, value in slots if value is not None]
                for slots in self._slots(one, columns, rows)
            ]
            kept = [(here if one.field.joint else here[0]) if here else None for here in found]
            return pa.array(kept, arrow_type(one.field))
        if one.field.storage == "bytes":
            return columns[one.template.columns[0]]
        if one.field.storage == "path":
            return self._flat_path(one, columns, rows)
        return _flat_text(one, columns)

    def _flat_path(self, one: BoundInput, columns: Columns, rows: int) -> pa.Array:
        template = one.template
        if not template.columns:
            return pa.array([self._absolute(template.literals[0])] * rows, pa.string())
        arrays = [columns[column] for column in template.columns]
        paths = self._joined(_fill(template.literals, arrays))
        if template.column is None:
            climbs = [pc.match_substring(array, "..") for array in arrays]
            if any(pc.any(one).as_py() for one in climbs):
                values = zip(*(array.to_pylist() for array in arrays), strict=True)
                bent = pa.array([None not in row and traverses(row) for row in values], pa.bool_())
                paths = pc.if_else(bent, pa.scalar(refused(self._root)), paths)
        return paths

    def _joined(self, paths: pa.Array) -> pa.Array:
        """Put relative paths below the root."""
        below = pc.binary_join_element_wise(_scalar(self._root.rstrip("/")), paths, _scalar("/"))
        absolute = pc.starts_with(paths, "/")
        return pc.if_else(absolute, paths, below) if pc.any(absolute).as_py() else below

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._root.rstrip('/')}/{path}"

    def _slots(self, one: BoundInput, columns: Columns, rows: int) -> Iterator[Slots]:
        """An input with several values a row: its slots and values, row by row."""
        lists = [columns[column].to_pylist() for column in one.template.columns]
        if one.path is not None:
            yield from self._globbed(one, lists, rows)
            return
        make = self._maker(one)
        nulls = set(self._nulls.to_pylist())
        for row in zip(*lists, strict=True):
            length = max((len(value) for value in row if isinstance(value, list)), default=0)
            slots: Slots = []
            for at in range(length):
                element = [_element(value, at, nulls) for value in row]
                slots.append((str(at), make(element)))
            yield slots

    def _globbed(
        self, one: BoundInput, lists: Sequence[Sequence[Any]], rows: int
    ) -> Iterator[Slots]:
        assert one.path is not None
        for values in zip(*lists, strict=True) if lists else ((),) * rows:
            yield [] if None in values else list(self._expander.expand(one.path, values))

    def _maker(self, one: BoundInput) -> Callable[[Sequence[Any]], Any]:
        """From one element of each column to the input's value."""
        if one.field.storage == "bytes":
            return lambda values: values[0]
        if one.field.storage == "inline":
            names = one.field.cleaning
            return lambda values: _cleaned(one.template.render(values), names)
        return lambda values: self._path_of(one, values)

    def _path_of(self, one: BoundInput, values: Sequence[str | None]) -> str | None:
        given = [value for value in values if value is not None]
        if len(given) < len(values):
            return None
        if one.template.column is None and traverses(given):
            return refused(self._root)
        return self._absolute(one.template.render(given) or "")

    def _spread(self, keys: list[pa.Array], columns: Columns, rows: int) -> pa.RecordBatch:
        """One row per slot; what has no slots is repeated for each."""
        slotted = [one for one in self._settled.inputs if one.slots]
        parents: list[int] = []
        names: list[str] = []
        values: list[list[Any]] = [[] for _ in slotted]
        each = [self._slots(one, columns, rows) for one in slotted]
        for row, found in enumerate(zip(*each, strict=True)):
            maps = [dict(slots) for slots in found]
            for name in _united(maps) or [NO_SLOT]:
                parents.append(row)
                names.append(name)
                for column, slots in zip(values, maps, strict=True):
                    column.append(slots.get(name))
        at = pa.array(parents, pa.int32())
        spread = {
            one.field.name: pa.array(column, arrow_type(one.field))
            for one, column in zip(slotted, values, strict=True)
        }
        arrays = [key.take(at) for key in keys] + [pa.array(names, pa.string())]
        for one in self._settled.inputs:
            name = one.field.name
            if name not in spread:
                spread[name] = self._flat(one, columns, rows).take(at)
            arrays.append(spread[name])
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _flat_text(one: BoundInput, columns: Columns) -> pa.Array:
    template = one.template
    arrays = [columns[column] for column in template.columns]
    if template.column is None and any(array.null_count for array in arrays):
        rows = zip(*(array.to_pylist() for array in arrays), strict=True)
        texts = pa.array([template.render(row) for row in rows], pa.string())
    else:
        texts = _fill(template.literals, arrays)
    if not one.field.cleaning:
        return texts
    names = one.field.cleaning
    return pa.array([_cleaned(text, names) for text in texts.to_pylist()], pa.string())


def _fill(literals: Sequence[str], arrays: Sequence[pa.Array]) -> pa.Array:
    """Fill in a template; null where any value is."""
    if len(arrays) == 1 and literals == ("", ""):
        return arrays[0]
    parts: list[Any] = [_scalar(literals[0])]
    for array, literal in zip(arrays, literals[1:], strict=True):
        parts += [array, _scalar(literal)]
    return pc.binary_join_element_wise(*parts, _scalar(""))


def _cleaned(text: str | None, names: Sequence[str]) -> str | None:
    return None if text is None else clean(text, names) or None


def _element(value: Any, at: int, nulls: set[str]) -> Any:
    """One column's value for the slot number ``at``; a plain value is the same for all."""
    if not isinstance(value, list):
        return value
    found = value[at] if at < len(value) else None
    return None if isinstance(found, str) and found in nulls else found


def _united(maps: Sequence[dict[str, Any]]) -> Iterable[str]:
    if len(maps) == 1:
        return list(maps[0])
    return sorted({name for slots in maps for name in slots}, key=natural_key)


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.string())
