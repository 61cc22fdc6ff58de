"""TSV and CSV files.

They are read by the standard library's parser in its strict mode rather than by Arrow's: it
tells the line of every fault, keeps quoted line ends and never guesses at a quote.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.reading import TableColumn, TableReader, check_file, rows_for
from ducho_core.loaders.suggest import AUDIO_SUFFIXES, IMAGE_SUFFIXES, option_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from ducho_core.loaders.options import TableOptions

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_WORDS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space"}
_FIELD_LIMIT = 16 * 2**20
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class DelimitedReader(TableReader):
    """A TSV or CSV file, opened.

    Args:
        path: the file.
        separator: what its suffix says stands between fields.
        options: what the user says.

    Raises:
        SourceError: the file cannot be read, or its header cannot be right.
        UsageError: an option does not fit.
    """

    def __init__(self, path: str, separator: str, options: TableOptions) -> None:
        super().__init__(path)
        check_file(path)
        self._options = options
        self._encoding = codec(options.encoding)
        self._separator = _separator(options.separator) or separator
        if csv.field_size_limit() < _FIELD_LIMIT:
            csv.field_size_limit(_FIELD_LIMIT)
        first = next(self._rows(header=False), None)
        if first is None:
            raise SourceError(f"{path} holds nothing but blank lines")
        self._width = len(first)
        names = self._header(first)
        self._positions = {name: position for position, name in enumerate(names) if name}
        self.columns = tuple(TableColumn(name) for name in self._positions)
        row = next(self._rows(), None)
        if row is None:
            raise SourceError(f"{path} has a header and no rows")
        self._check_widths([row], 0)
        if not options.header and any(map(_like_data, names)):
            stand_ins = ",".join(f"c{at + 1}" for at in range(self._width))
            self.hint = (
                "; if the first line is no header, name the columns:"
                f" {option_flag(f'header={stand_ins}')}"
            )
        self.sample = {name: row[position] for name, position in self._positions.items()}

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        positions = [self._positions[name] for name in names]
        done = 0
        count = 256
        with self._open() as (file, lines):
            parser = self._parser(lines)
            self._skip_header(parser)
            before = parser.line_num
            while rows := self._slice(parser, count):
                self._check_widths(rows, done)
                if parser.line_num - before > len(rows):
                    self._check_swallowed(rows, done)
                before = parser.line_num
                done += len(rows)
                count = rows_for(file.tell() / done)
                arrays = [pa.array([row[at] for row in rows], pa.string()) for at in positions]
                yield pa.record_batch(arrays, names=list(names))

    def where(self, row: int) -> str:
        with self._open() as (_, lines):
            parser = self._parser(lines)
            self._skip_header(parser)
            number = -1
            before = parser.line_num
            for fields in parser:
                number += bool(fields)
                if number == row:
                    return f"line {before + 1}"
                before = parser.line_num
        raise AssertionError("the row was read before")

    def _slice(self, parser: Any, count: int) -> list[list[str]]:
        """The next rows, blank lines left out; empty at the end."""
        try:
            while rows := list(islice(parser, count)):
                if not all(rows):
                    rows = [row for row in rows if row]
                if rows:
                    return rows
        except csv.Error as error:
            raise self._quote_error(error) from error
        except UnicodeError as error:
            raise undecodable(self.path, self._encoding, error) from error
        return []

    def _check_widths(self, rows: list[list[str]], done: int) -> None:
        if set(map(len, rows)) == {self._width}:
            return
        index = next(index for index, row in enumerate(rows) if len(row) != self._width)
        found = len(rows[index])
        advice = (
            f"; a field that holds a {self._separator_word()} must stand in double quotes"
            if found > self._width and self._options.quoting != "none"
            else ""
        )
        raise SourceError(
            f"{self.path}, {self.where(done + index)}: {found} fields, but the header has"
            f" {self._width}{advice}"
        )

    def _check_swallowed(self, rows: list[list[str]], done: int) -> None:
        """Refuse a quoted field of a TSV that holds both a line end and a tab."""
        if self._separator != "\t" or self._options.quoting != "auto":
            return
        for index, row in enumerate(rows):
            for field in row:
                if "\n" in field and "\t" in field:
                    raise SourceError(
                        f"{self.path}, {self.where(done + index)}: the quoted field that starts"
                        f" here, {field[:40]!r}…, runs over {field.count(chr(10)) + 1} lines and"
                        " holds tabs: a stray quote has probably swallowed them. If quotes are"
                        f" ordinary characters in this file: {option_flag('quoting=none')};"
                        f" if it is right as it is: {option_flag('quoting=minimal')}"
                    )

    def _quote_error(self, error: csv.Error) -> SourceError:
        line = self._faulty_line()
        if "field larger" in str(error):
            what = (
                f"a field of more than {_FIELD_LIMIT // 2**20} Mi characters starts on or after"
                " this line, probably behind a stray quote"
            )
        elif "unexpected end" in str(error):
            what = "a quote that opens on or after this line is never closed"
        elif "expected after" in str(error):
            what = "text follows a closing quote"
        else:
            what = str(error)
        return SourceError(
            f"{self.path}, line {line}: {what}. If quotes are ordinary characters in this file:"
            f" {option_flag('quoting=none')}"
        )

    def _faulty_line(self) -> int:
        """The line on which the first row that cannot be parsed starts."""
        with self._open() as (_, lines):
            parser = self._parser(lines)
            before = 0
            try:
                for _ in parser:
                    before = parser.line_num
            except csv.Error:
                pass
        return before + 1

    def _header(self, first: list[str]) -> list[str]:
        names = [name.strip() for name in self._options.header or first]
        if self._options.header and len(names) != len(first):
            raise UsageError(
                f"{self.path}, line 1: {len(first)} fields, but the option header names"
                f" {len(names)} columns: {', '.join(names)}"
            )
        if len(first) == 1 and self._options.separator is None:
            self._check_separator(first[0])
        twice = [name for name, count in Counter(names).items() if name and count > 1]
        if twice:
            places = [str(at + 1) for at, name in enumerate(names) if name == twice[0]]
            raise SourceError(
                f"{self.path}: the header has the name {twice[0]!r} at columns"
                f" {' and '.join(places)}; a name may come once"
            )
        blank = [str(at + 1) for at, name in enumerate(names) if not name]
        if len(blank) == len(names):
            raise SourceError(f"{self.path}: the first line names no column")
        if blank:
            self.remarks = (f"{self.name}: left out, without a name: column {', '.join(blank)}",)
        return names

    def _check_separator(self, header: str) -> None:
        counts = {mark: header.count(mark) for mark in "\t,;|" if mark != self._separator}
        likely = max(counts, key=lambda mark: counts[mark])
        if counts[likely]:
            raise UsageError(
                f"{self.path}: the header is one column, {header[:60]!r}, with"
                f" {self._separator_word()} as the separator; it looks separated by"
                f" {_WORDS[likely]}: {option_flag(f'separator={_WORDS[likely]}')}"
            )

    def _separator_word(self) -> str:
        return _WORDS.get(self._separator, repr(self._separator))

    def _rows(self, *, header: bool = True) -> Iterator[list[str]]:
        """Rows one by one, for the first ones."""
        with self._open() as (_, lines):
            parser = self._parser(lines)
            if header:
                self._skip_header(parser)
            while rows := self._slice(parser, 1):
                yield from rows

    def _skip_header(self, parser: Any) -> None:
        if not self._options.header:
            self._slice(parser, 1)

    def _parser(self, lines: io.TextIOWrapper) -> Any:
        if self._options.quoting == "none":
            return csv.reader(lines, delimiter=self._separator, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self._separator, strict=True)

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, io.TextIOWrapper]]:
        """The file's bytes, to tell how far it is read, and its lines."""
        with (
            open(self.path, "rb", buffering=2**18) as file,
            io.TextIOWrapper(file, encoding=self._encoding, newline="") as lines,
        ):
            yield file, lines


def _like_data(name: str) -> bool:
    """Whether a column's name looks like a cell: a number, a file, a sentence."""
    suffixes = IMAGE_SUFFIXES + AUDIO_SUFFIXES
    return name.isdigit() or name.lower().endswith(suffixes) or name.count(" ") >= 3


def codec(name: str) -> str:
    """The codec of an ``encoding`` option; UTF-8 may start with a byte order mark.

    Raises:
        UsageError: there is no such encoding.
    """
    try:
        known = codecs.lookup(name)
    except LookupError:
        known = None
    if known is None or not known._is_text_encoding:
        raise UsageError(
            f"the option encoding: there is no text encoding {name!r}; common ones are utf-8,"
            " cp1252, latin-1, utf-16, gb18030, shift_jis"
        )
    return "utf-8-sig" if known.name == "utf-8" else known.name


def undecodable(path: str, encoding: str, error: UnicodeError) -> SourceError:
    """What to say where a file is not in the encoding it should be in."""
    with open(path, "rb") as file:
        start = file.read(4)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return SourceError(
                f"{path} is {name.upper()}, not {_plain(encoding)}:"
                f" {option_flag(f'encoding={name}')}"
            )
    byte = ""
    if isinstance(error, UnicodeDecodeError):
        byte = f" (byte 0x{error.object[error.start]:02x})"
    line = _undecodable_line(path, encoding)
    return SourceError(
        f"{path}{f', line {line}' if line else ''}: not {_plain(encoding)}{byte}. Name the file's"
        f" encoding: {option_flag('encoding=cp1252')}, or whatever it was written in"
    )


def _undecodable_line(path: str, encoding: str) -> int | None:
    if encoding.startswith(("utf-16", "utf-32")):
        return None
    decode: Callable[[bytes], str] = lambda line: line.decode(encoding)  # noqa: E731
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                decode(line)
            except UnicodeError:
                return number
    return None


def _plain(encoding: str) -> str:
    return "UTF-8" if encoding == "utf-8-sig" else encoding


def _separator(word: str | None) -> str | None:
    if word is None:
        return None
    mark = _NAMED.get(word.lower(), word)
    if len(mark) != 1 or mark in '"\r\n':
        raise UsageError(
            f"the option separator={word!r}: give one character, or tab, comma, semicolon, pipe"
            " or space"
        )
    return mark
