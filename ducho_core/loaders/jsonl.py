"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.delimited import codec, undecodable
from ducho_core.loaders.reading import TableColumn, TableReader, check_file, rows_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from ducho_core.loaders.options import TableOptions

_DELIMITED_ONLY = ("separator", "header")


class JsonLinesReader(TableReader):
    """A JSONL file, opened. Its columns are those of the first ``sample`` lines.

    Numbers keep the text they are written in; NaN is null; true and false become words.

    Raises:
        SourceError: the file cannot be read, or a sampled line is no object.
        UsageError: an option does not fit.
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        super().__init__(path)
        check_file(path)
        for name in _DELIMITED_ONLY:
            if getattr(options, name):
                raise UsageError(f"the option {name} is for TSV and CSV files, not {self.name}")
        self._encoding = codec(options.encoding)
        if self._encoding.startswith(("utf-16", "utf-32")):
            raise UsageError(f"JSONL is never {options.encoding}: convert {self.name} to UTF-8")
        kinds: dict[str, TableColumn] = {}
        for number, (_, _, row) in enumerate(self._rows()):
            if number == options.sample:
                self.remarks = (f"{self.name}: its columns are those of the first {number} lines",)
                self.hint = "; raise the option sample if it comes later"
                break
            for name, value in row.items():
                self._learn(kinds, name, value)
        else:
            if not kinds:
                raise SourceError(f"{path} holds no row")
        self.columns = tuple(kinds.values())

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        lists = {column.name for column in self.columns if column.kind == "texts"}
        readers = [(name, _texts if name in lists else _text) for name in names]
        values: list[list[Any]] = [[] for _ in names]
        done = 0
        count = 256
        for line, offset, row in self._rows():
            for (name, convert), column in zip(readers, values, strict=True):
                value = row.get(name)
                if value is None or (type(value) is str and convert is _text):
                    column.append(value)
                    continue
                try:
                    column.append(convert(value))
                except TypeError as error:
                    raise self._misfit(line, name, value) from error
            if len(values[0]) >= count:
                done += len(values[0])
                count = rows_for(offset / done)
                yield self._batch(names, values, lists)
                values = [[] for _ in names]
        if values[0]:
            yield self._batch(names, values, lists)

    def where(self, row: int) -> str:
        for number, (line, _, _) in enumerate(self._rows()):
            if number == row:
                return f"line {line}"
        raise AssertionError("the row was read before")

    def _batch(
        self, names: Sequence[str], values: Sequence[list[Any]], lists: set[str]
    ) -> pa.RecordBatch:
        import pyarrow as pa

        kinds = [pa.list_(pa.string()) if name in lists else pa.string() for name in names]
        try:
            arrays = [pa.array(column, kind) for column, kind in zip(values, kinds, strict=True)]
        except UnicodeEncodeError as error:
            raise SourceError(
                f"{self.path}: {error.object[:40]!r} holds half of a character (a lone"
                " surrogate); repair the program that wrote it"
            ) from error
        return pa.record_batch(arrays, names=list(names))

    def _rows(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Line numbers from 1, bytes read so far, and objects; blank lines are passed over."""
        decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_constant).decode
        offset = 0
        with open(self.path, "rb", buffering=2**18) as file:
            for number, raw in enumerate(file, 1):
                offset += len(raw)
                try:
                    text = raw.decode(self._encoding if number == 1 else self._later_encoding)
                    if text.isspace() or not text:
                        continue
                    row = decode(text)
                except UnicodeError as error:
                    raise undecodable(self.path, self._encoding, error) from error
                except (ValueError, RecursionError) as error:
                    raise SourceError(self._broken(number, raw, error)) from error
                if type(row) is not dict:
                    raise SourceError(self._no_object(number, row))
                yield number, offset, row

    @property
    def _later_encoding(self) -> str:
        return "utf-8" if self._encoding == "utf-8-sig" else self._encoding

    def _learn(self, kinds: dict[str, TableColumn], name: str, value: Any) -> None:
        known = kinds.get(name)
        if isinstance(value, list):
            plain = not any(isinstance(one, (list, dict)) for one in value)
            found = TableColumn(
                name, "texts" if plain else "other", None if plain else "nested list"
            )
        elif isinstance(value, dict):
            found = TableColumn(name, "other", "object")
        else:
            found = TableColumn(name)
            if isinstance(value, str):
                self.sample.setdefault(name, value)
        ranks = ("text", "texts", "other")
        if known is None or ranks.index(found.kind) > ranks.index(known.kind):
            kinds[name] = found

    def _broken(self, number: int, raw: bytes, error: Exception) -> str:
        if number == 1 and raw.strip() == b"[":
            return (
                f"{self.path} is one JSON array, not one object a line; with jq:"
                f" jq -c '.[]' {self.name} > rows.jsonl"
            )
        if number == 1 and raw.strip() == b"{":
            return (
                f"{self.path} spreads its objects over several lines; with jq:"
                f" jq -c . {self.name} > rows.jsonl"
            )
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        place = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        return f"{self.path}, line {number}: no JSON ({reason}{place})"

    def _no_object(self, number: int, row: Any) -> str:
        if number == 1 and isinstance(row, list):
            return (
                f"{self.path} is one JSON array, not one object a line; with jq:"
                f" jq -c '.[]' {self.name} > rows.jsonl"
            )
        return f'{self.path}, line {number}: not an object ({{"item_id": …}}) but {row!r:.40}'

    def _misfit(self, line: int, name: str, value: Any) -> SourceError:
        if isinstance(value, list) and not any(isinstance(one, (list, dict)) for one in value):
            return SourceError(
                f"{self.path}, line {line}: {name!r} is a list here and in none of the lines that"
                " were read to learn the columns; raise the option sample"
            )
        what = "an object" if isinstance(value, dict) else "a list of objects or lists"
        return SourceError(
            f"{self.path}, line {line}: {name!r} is {what}, where a text, a number or a list of"
            " those can be used"
        )


def _constant(word: str) -> str | None:
    return None if word == "NaN" else word


def _text(value: Any) -> str | None:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _texts(value: Any) -> list[str | None] | None:
    if isinstance(value, list):
        return [_text(one) for one in value]
    return [_text(value)]
