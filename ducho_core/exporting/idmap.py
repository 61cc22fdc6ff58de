"""``ids.parquet``: the number of every key, what was written of it, and how it is read again."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.errors import UsageError
from ducho_core.extraction.digest_index import DigestIndex, Digests, digest_keys, has_repeats
from ducho_core.store.schema import key_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    import numpy.typing as npt

IDS = "ids.parquet"
GONE = "gone.parquet"
ROW = "row"
WRITTEN = "written"
FURTHER = re.compile(r"[a-z][a-z_]*")
_DIGEST = ".digest"
_PRESENT = ".present"
_BLOCK = 65536
_BYTES = 16 * 2**20


class IdMap:
    """The id map of an earlier export.

    Args:
        given: the export's folder, or its ``ids.parquet``.

    Attributes:
        keys: its key columns.
        labels: the inputs whose rows it knows.

    Raises:
        UsageError: there is none, or it is damaged.
    """

    def __init__(self, given: str) -> None:
        self._given = given
        path = Path(given)
        self._path = path / IDS if path.is_dir() else path
        if not self._path.is_file():
            raise UsageError(
                f"{given} is no earlier export: there is no {IDS}; name the folder that an export"
                " wrote"
            )
        with self._open(self._path) as file:
            names = file.schema_arrow.names
        self.keys = tuple(name for name in KEY_COLUMNS if name in names)
        self.labels = tuple(name.removesuffix(_DIGEST) for name in names if name.endswith(_DIGEST))
        if not self.keys or ROW not in names:
            raise UsageError(
                f"{self._path.name} of {given} is no id map: it needs a key column and {ROW}, and"
                f" has {', '.join(names)}"
            )
        self._check()

    def __len__(self) -> int:
        return len(self._digests)

    def check_keys(self, keys: Sequence[str]) -> None:
        """See that it has these key columns.

        Raises:
            UsageError: it has others.
        """
        if self.keys != tuple(keys):
            raise UsageError(
                f"the ids of {self._given} have the key columns {', '.join(self.keys)}, these sets"
                f" {', '.join(keys)}"
            )

    def index(self) -> DigestIndex:
        """The digest of each key to its number."""
        found = DigestIndex()
        found.add(self._digests, np.arange(len(self), dtype=np.int64))
        return found

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """Its keys in the order of their numbers."""
        schema = pa.schema(key_fields(self.keys))
        for batch in self._batches(self.keys):
            yield pa.RecordBatch.from_arrays(
                [batch[name].cast(pa.string()) for name in self.keys], schema=schema
            )

    def rows(self, label: str) -> Digests:
        """The digest of an input's row of each key, (n, 2) uint64; zeros where it has none."""
        parts = []
        for batch in self._batches([f"{label}{_DIGEST}"]):
            filled = batch.column(0).fill_null(bytes(16))
            parts.append(np.frombuffer(b"".join(filled.to_pylist()), "<u8").reshape(-1, 2))
        return np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)

    def check_labels(self, labels: Iterable[str]) -> None:
        """See that it knows these inputs' rows.

        Raises:
            UsageError: it knows those of others.
        """
        if set(self.labels) != set(labels):
            raise UsageError(
                f"{self._given} was written of {', '.join(self.labels)}, not of"
                f" {', '.join(labels)}: what has changed can be said of the same sets only; name"
                " them as they were named"
            )

    def further(self, name: str) -> list[str] | None:
        """The ids of another map beside it, in the order of their numbers; None without one."""
        path = self._path.parent / f"{name}.parquet"
        if not FURTHER.fullmatch(name) or not path.is_file():
            return None
        with self._open(path) as file:
            if file.schema_arrow.names[1:] != [ROW]:
                raise UsageError(f"{path.name} of {self._given} is no id map")
            table = self._read(file)
        if table[ROW].to_pylist() != list(range(table.num_rows)) or table[0].null_count:
            raise self._damaged(path.name)
        ids: list[str] = table[0].to_pylist()
        if len(set(ids)) < len(ids):
            raise self._damaged(path.name)
        return ids

    @property
    def sha256(self) -> str:
        """Of the file."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _check(self) -> None:
        at, digests = 0, [np.empty((0, 2), np.uint64)]
        for batch in self._batches([*self.keys, ROW]):
            numbers = np.arange(at, at + batch.num_rows)
            if any(column.null_count for column in batch.columns):
                raise self._damaged(self._path.name)
            if not np.array_equal(batch[ROW].to_numpy(zero_copy_only=False), numbers):
                raise self._damaged(self._path.name)
            digests.append(digest_keys(batch, self.keys))
            at += batch.num_rows
        self._digests = np.concatenate(digests)
        if has_repeats(self._digests):
            raise self._damaged(self._path.name)

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._open(self._path) as file:
            try:
                yield from file.iter_batches(_BLOCK, columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(self._path.name, error) from error

    def _read(self, file: Any) -> pa.Table:
        try:
            return file.read()
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(self._path.name, error) from error

    def _open(self, path: Path) -> Any:
        try:
            return pq.ParquetFile(path, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(path.name, error) from error

    def _damaged(
        self, name: str, why: object = "its numbers are not 0, 1, 2, …, a key each"
    ) -> UsageError:
        return UsageError(
            f"{name} of {self._given} is damaged ({why}): restore it, or write an export without"
            " it"
        )


class MapWriter:
    """Writes ``ids.parquet``.

    Args:
        file: where to.
        keys: the key columns.
        labels: of the inputs.
        partial: whether some keys are numbered and not written.
    """

    def __init__(
        self, file: BinaryIO, keys: Sequence[str], labels: Sequence[str], *, partial: bool
    ) -> None:
        fields = [*key_fields(keys), pa.field(ROW, pa.int64(), nullable=False)]
        for label in labels:
            fields.append(pa.field(f"{label}{_PRESENT}", pa.bool_(), nullable=False))
            fields.append(pa.field(f"{label}{_DIGEST}", pa.binary(16)))
        if partial:
            fields.append(pa.field(WRITTEN, pa.bool_(), nullable=False))
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(
            file, self._schema, compression="zstd", use_dictionary=False, write_page_checksum=True
        )
        self._held: list[pa.RecordBatch] = []
        self._at = 0

    def add(
        self,
        keys: pa.RecordBatch,
        present: Sequence[npt.NDArray[np.bool_]],
        digests: Sequence[Digests],
        written: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Add the next rows."""
        count = keys.num_rows
        arrays: list[pa.Array] = [*keys.columns, pa.array(np.arange(self._at, self._at + count))]
        for here, found in zip(present, digests, strict=True):
            content = np.ascontiguousarray(found, "<u8").view("V16").reshape(-1)
            values = [
                bytes(one) if there else None for one, there in zip(content, here, strict=True)
            ]
            arrays += [pa.array(here), pa.array(values, pa.binary(16))]
        if written is not None:
            arrays.append(pa.array(written))
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._at += count
        if (
            sum(one.num_rows for one in self._held) >= _BLOCK
            or sum(one.nbytes for one in self._held) >= _BYTES
        ):
            self._flush()

    def close(self) -> None:
        """Write what is held, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held, schema=self._schema))
            self._held = []


def row_digests(values: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> Digests:
    """Digest the rows that are present, (n, 2) uint64; zeros for the others.

    Args:
        values: (n, dim) float32.
        present: (n,).
    """
    found = np.zeros((len(values), 2), np.uint64)
    rows = np.ascontiguousarray(values[present], "<f4")
    whole = b"".join([hashlib.blake2b(row, digest_size=16).digest() for row in rows])
    found[present] = np.frombuffer(whole, "<u8").reshape(-1, 2)
    return found


__all__ = ["GONE", "IDS", "IdMap", "MapWriter", "row_digests"]
