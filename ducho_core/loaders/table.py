"""``core/table``: the rows of a TSV, CSV, JSONL or Parquet file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ducho_core.errors import UsageError
from ducho_core.loader import Loader
from ducho_core.loaders.assemble import Assembler
from ducho_core.loaders.delimited import DelimitedReader
from ducho_core.loaders.header import Header
from ducho_core.loaders.jsonl import JsonLinesReader
from ducho_core.loaders.options import TableOptions
from ducho_core.loaders.settle import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from ducho_core.catalogue import Binding, InputField
    from ducho_core.loaders.reading import TableReader

SUFFIXES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")
"""What a table's name may end in."""


class TableLoader(Loader):
    """One table. Keys, texts and paths are strings throughout: ``007`` stays.

    TSV and CSV: a header line, a field in double quotes may hold separators and line ends, a
    doubled quote in it is one; a quote inside a plain field is a character like any other.
    An empty cell is null. List columns and globs give slots; an item that has none of them
    keeps one row, with the empty slot and a null input.

    Attributes:
        keys: see ``Loader``.
        inputs: see ``Loader``.
        root: see ``Loader``.
        remarks: see ``Loader``.
    """

    def __init__(
        self,
        assembler: Assembler,
        inputs: tuple[InputField, ...],
        root: str,
        remarks: tuple[str, ...],
    ) -> None:
        self._assembler = assembler
        self.keys = assembler.keys
        self.inputs = inputs
        self.root = Path(root) if any(one.storage == "path" for one in inputs) else None
        self.remarks = remarks

    @classmethod
    def open(cls, source: str, binding: Binding, options: Any) -> Self:
        """Read the header and settle keys and inputs. See ``Loader.open``."""
        reader = cls.open_reader(source, options)
        settled = settle(Header(source, binding, reader))
        root = root_of(binding, os.path.dirname(source))
        return cls(
            Assembler(reader, settled, binding, root),
            tuple(one.field for one in settled.inputs),
            root,
            (*reader.remarks, *settled.remarks),
        )

    @classmethod
    def open_reader(cls, source: str, options: Any) -> TableReader:
        """Open the table itself: all that a loader of another kind of table defines.

        Raises:
            SourceError: it cannot be read.
            UsageError: it is no such table, or an option does not fit.
        """
        return open_reader(source, options or TableOptions())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the table. See ``Loader.batches``."""
        return self._assembler.batches()


def open_reader(source: str, options: TableOptions) -> TableReader:
    """Open a table by its suffix.

    Raises:
        SourceError: it cannot be read.
        UsageError: its suffix is of no table, or an option does not fit.
    """
    suffix = os.path.splitext(source)[1].lower()
    if suffix in (".tsv", ".csv"):
        return DelimitedReader(source, "\t" if suffix == ".tsv" else ",", options)
    if suffix in (".jsonl", ".ndjson"):
        return JsonLinesReader(source, options)
    if suffix == ".parquet":
        from ducho_core.loaders.parquet import ParquetReader

        return ParquetReader(source, options)
    raise UsageError(
        f"{source}: a table's name ends in {', '.join(SUFFIXES)}; what is in this one? Rename it"
    )


def root_of(binding: Binding, folder: str) -> str:
    """The absolute path that relative paths are relative to and must stay in.

    Raises:
        UsageError: ``--root`` is no folder.
    """
    if binding.root is not None and not os.path.isdir(binding.root):
        raise UsageError(f"--root {binding.root} is no folder")
    return os.path.abspath(binding.root if binding.root is not None else folder or ".")
