"""The exporter contract: feature sets to files for another system.

The core joins the sets by key, applies the policy for missing rows, counts, owns the folder and
writes the report. An exporter writes its format through the folder that it is handed, and never
makes a path from an id by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from ducho_core.fuser import Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInput:
    """One embedding that is exported.

    Attributes:
        name: how the user calls it.
        label: a word for columns and file names, ``[a-z0-9][a-z0-9_-]*``, different for each.
        dim: length of its vectors.
        fingerprint: of its feature set.
        output: which embedding of that set it is.
        rows: rows that its set has.
        spec: the set's SPEC, which says how it was made.
    """

    name: str
    label: str
    dim: int
    fingerprint: str
    output: str
    rows: int
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportContext:
    """What an exporter is opened on.

    Attributes:
        inputs: the embeddings, in the order given.
        keys: their key columns.
        earlier: the ids of a further map of the export whose numbers are kept, by its name.
    """

    inputs: tuple[ExportInput, ...]
    keys: tuple[str, ...]
    earlier: Callable[[str], list[str] | None] | None = None

    def previous_ids(self, name: str) -> list[str] | None:
        """Ids in a map of the export whose numbers are kept (``--id-map``).

        Args:
            name: as in ``ExportFolder.write_ids``.

        Returns:
            The ids in the order of their numbers, or None where there is no such export, or no
            such map in it.

        Raises:
            UsageError: the map is damaged.
        """
        return None if self.earlier is None else self.earlier(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """The rows that an export has to have, whatever the sets hold.

    Attributes:
        name: how it is called in messages, such as "split 1f0c".
        keys: its key columns, those of the sets.
        batches: gives its keys, each once, in the order in which they are to be numbered:
            ``string`` columns without nulls. May be called again.
    """

    name: str
    keys: tuple[str, ...]
    batches: Callable[[], Iterable[pa.RecordBatch | pa.Table]]

    @classmethod
    def of_items(cls, name: str, items: pa.Array | pa.ChunkedArray) -> Universe:
        """A universe of items, given by their ids in order."""
        import pyarrow

        table = pyarrow.table({"item_id": items.cast(pyarrow.string())})
        return cls(name=name, keys=("item_id",), batches=table.to_batches)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportBatch:
    """Rows that belong together.

    Attributes:
        start: position of the first one among all rows that are written.
        numbers: the number of each row in ``ids.parquet``, (n,) int64, rising. Other than
            ``start``, ``start + 1``, … only where rows are left out that have not changed.
        keys: one ``string`` column per key column, n rows.
        values: the vectors of each input, (n, dim) float32.
        present: for each input which rows it has, (n,) bool. Where an exporter writes each
            input by itself the others are to be left out; elsewhere they are filled in.
    """

    start: int
    numbers: npt.NDArray[np.int64]
    keys: pa.RecordBatch
    values: tuple[Vectors, ...]
    present: tuple[npt.NDArray[np.bool_], ...]

    def __len__(self) -> int:
        return int(self.keys.num_rows)


class ExportRows(Protocol):
    """The aligned rows of all inputs, in the order in which they are to be numbered.

    Attributes:
        keys: the key columns.
        inputs: as in the context.
        filled: for each input, how many rows the policy fills in.
    """

    keys: tuple[str, ...]
    inputs: tuple[ExportInput, ...]
    filled: tuple[int, ...]

    def __len__(self) -> int:
        """Number of rows."""

    def batches(self) -> Iterator[ExportBatch]:
        """All rows once, in order; may be called again."""

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """The keys alone, in the same order; much cheaper."""


class ItemFiles(Protocol):
    """A folder with one file an item, whose names the core makes from the keys."""

    def write(self, key: Sequence[str], content: bytes) -> None:
        """Write the file of one key."""


class ExportFolder(Protocol):
    """The folder of one export, which the core owns; nothing can be written beside it."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Create a file and open it for writing and seeking.

        Args:
            name: parts of ``[A-Za-z0-9._-]`` joined by ``/``, none of them beginning with a
                dot; never made from an id.

        Raises:
            ContractError: it is no such name, or was created before.
        """

    def tree(self, name: str) -> AbstractContextManager[Path]:
        """A new, empty folder for a library that lays out its files by itself.

        At the end of the context all that lies in it becomes part of the export, so the library
        must have closed its files by then. Until the export is in place the folder has another
        name, which must not get into the files.

        Args:
            name: as for ``open``; nothing else can be written below it.

        Raises:
            ContractError: it is no such name, is there already, or something in it is neither
                a file nor a folder.
        """

    def write_ids(self, name: str, column: str, ids: Sequence[str]) -> None:
        """Write a further map, such as that of users, to ``NAME.parquet``.

        The core writes the map of the rows, ``ids.parquet``, by itself.

        Args:
            name: of the map, ``[a-z][a-z_]*``.
            column: what the ids are called.
            ids: each once, in the order of their numbers; those of ``previous_ids`` first.

        Raises:
            ContractError: an id comes twice, or one of the earlier map has another number.
        """

    def item_files(self, parts: Sequence[str], suffix: str, rows: ExportRows) -> ItemFiles:
        """A folder for one file an item.

        The file of an ordinary id is called like the id. What a file system could take for
        something else (separators, dots at the start, control characters, reserved names) is
        percent-encoded; so are the capitals of ids that differ in case alone; a name that is
        too long becomes ``%long-`` and a sha256. So no two ids share a file. Wherever names
        differ from ids the core writes ``ids.tsv`` at the top.

        Args:
            parts: names of the folders, the outermost first; any text, encoded in the same way.
            suffix: of the files, such as ``.npy``.
            rows: all rows whose keys will be written.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportNotes:
    """What an exporter has to say at the end.

    Attributes:
        remarks: what the user should know, a sentence each.
        next_step: the command or call with which the other system takes the files.
    """

    remarks: tuple[str, ...] = ()
    next_step: str | None = None


class Exporter(ABC):
    """An exporter with its options, opened on inputs."""

    @classmethod
    @abstractmethod
    def open(cls, options: Any, context: ExportContext) -> Self:
        """Hold the options against the inputs; write nothing.

        Raises:
            UsageError: these sets cannot be exported so.
        """

    def universe(self) -> Universe | None:
        """The rows that the export has to have; None where the sets settle that.

        Where there is one, the core aligns every set to it: keys of the sets that it lacks are
        left out, those that a set lacks are filled in by the policy, and both are counted.
        """
        return None

    @abstractmethod
    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """Write all rows. The core adds ``export.json`` and puts the folder in place.

        Raises:
            UsageError: an id or value cannot be written in this format; names it.
        """


__all__ = [
    "ExportBatch",
    "ExportContext",
    "ExportFolder",
    "ExportInput",
    "ExportNotes",
    "ExportRows",
    "Exporter",
    "ItemFiles",
    "Universe",
]
