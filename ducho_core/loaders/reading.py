"""What a table reader gives: columns of a few kinds, streamed in record batches."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ducho_core.errors import ContractError, SourceError
from ducho_core.loaders.suggest import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

MAX_ROWS = 8192
"""Rows of a batch at most."""

BATCH_BYTES = 8 * 2**20
"""About how much of a source one batch holds, where its rows are long."""

Kind = Literal["text", "texts", "bytes", "many_bytes", "other"]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: as in the header.
        kind: ``text``, a list of ``texts``, embedded content as ``bytes``, a list of it, or
            something ``other`` that cannot be used.
        type: the type in the file, where it is not text already: ``int64``.
        key: whether a key may be read from it without changing what it says.
    """

    name: str
    kind: Kind = "text"
    type: str | None = None
    key: bool = True


class TableReader(ABC):
    """An opened table.

    Attributes:
        path: the file.
        name: how messages call it.
        columns: its columns, in order.
        sample: column name to the first row's text, for guesses.
        remarks: what the reader had to decide.
        hint: one more sentence for a column that is not there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = file_name(path)
        self.columns: tuple[TableColumn, ...] = ()
        self.sample: dict[str, str] = {}
        self.remarks: tuple[str, ...] = ()
        self.hint = ""

    @abstractmethod
    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream some columns from the start, at most ``MAX_ROWS`` rows at a time.

        Yields:
            Batches with these columns, of type ``string``, ``list<string>``, ``binary`` or
            ``list<binary>``; a null is an empty cell.

        Raises:
            SourceError: a row cannot be read.
        """

    @abstractmethod
    def where(self, row: int) -> str:
        """How a person finds a row, counted from 0: ``line 17``."""


def check_batch(reader: TableReader, batch: pa.RecordBatch, names: Sequence[str]) -> None:
    """Hold what a reader gave against what it was asked for; other columns do no harm.

    Raises:
        ContractError: a column is missing or of another type.
    """
    import pyarrow as pa

    who = f"{reader.name}: {type(reader).__name__}.read gave"
    for name in names:
        if batch.schema.get_field_index(name) < 0:
            raise ContractError(f"{who} no column {name!r}; it was asked for {', '.join(names)}")
        found = batch.schema.field(name).type
        inner = found.value_type if pa.types.is_list(found) else found
        if inner not in (pa.string(), pa.binary()):
            raise ContractError(
                f"{who} the column {name!r} as {found}, not as string, binary or a list of them"
            )


def check_file(path: str) -> None:
    """Say no to a file that is not there, empty or unreadable.

    Raises:
        SourceError: with what is wrong.
    """
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise SourceError(f"{path} is empty")
    except FileNotFoundError:
        raise SourceError(
            f"there is no file {path}; you are in {os.getcwd()}"
            if not os.path.isabs(path)
            else f"there is no file {path}"
        ) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def rows_for(bytes_per_row: float) -> int:
    """How many rows a batch takes so that it stays at about ``BATCH_BYTES``."""
    return max(1, min(MAX_ROWS, int(BATCH_BYTES / max(bytes_per_row, 1))))
