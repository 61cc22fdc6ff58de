"""How the store writes and reads Parquet: settings, checksums, footer, seal.

Pages carry a checksum that is verified on every read, as is the footer's seal. The footer's
``ducho.content_sha256`` covers the meaning of the whole file, however it is encoded.
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.errors import CorruptionError, StoreError
from ducho_core.store import seal as seals
from ducho_core.store.atomic import put_if_absent
from ducho_core.store.digest import content_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PREFIX = "ducho."
FORMAT_VERSION = 1

_GROUP_BYTES = 16 * 2**20
_DIGEST_ASIDE_BYTES = 2**20


def put_table(
    target: Path,
    temporary_folder: Path,
    table: pa.Table,
    footer: Mapping[str, Any],
    *,
    statistics: bool = True,
    compress: bool = False,
) -> bool:
    """Commit a table under ``target`` unless that name exists.

    Args:
        target: final name.
        temporary_folder: folder on the same file system.
        table: what to write; embeddings have neither nulls nor compression.
        footer: JSON values, or canonical JSON as bytes, stored under ``ducho.NAME``.
        statistics: whether keys get minimum and maximum, for readers that skip row groups.
        compress: whether every column is compressed; texts always are.

    Returns:
        True where this call created the file.

    Raises:
        StoreError: it cannot be written.
    """

    def fill(path: str, descriptor: int) -> None:
        _write(path, table, footer, statistics=statistics, compress=compress)
        seals.seal(descriptor)

    return put_if_absent(target, temporary_folder, fill, needed=table.nbytes)


def group_rows(row_bytes: int) -> int:
    """Rows a row group, so that a group is about 16 MiB: 1,024 to 8,192."""
    return max(1024, min(8192, _GROUP_BYTES // max(1, row_bytes)))


class DamagedFileError(CorruptionError):
    """One file of a set is damaged.

    Attributes:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        if self.path.parent.name == "data":
            cure = (
                "Remove that file and run the same extraction again, which recomputes just this"
                " chunk; `ducho store verify --read-data` finds every damaged file"
            )
        else:
            cure = "Restore that file from a copy; `ducho store verify` lists everything damaged"
        return f"{self.path} is damaged: {self.reason}. {cure}"


class DataFile:
    """One Parquet file of the store, opened for reading with its checksums verified.

    Attributes:
        path: the file.
        schema: its Arrow schema without metadata.
        rows: number of rows.
        groups: number of row groups.

    Raises:
        CorruptionError: its footer is damaged.
        StoreError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            seals.check_seal(path)
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            self._metadata = self._file.metadata
            self.schema: pa.Schema = self._file.schema_arrow.remove_metadata()
            self.rows: int = self._metadata.num_rows
            self.groups: int = self._metadata.num_row_groups
        except (pa.ArrowException, ValueError, MemoryError) as error:
            raise DamagedFileError(path, str(error)) from error
        except OSError as error:
            raise _unreadable(path, error) from error

    @property
    def group_sizes(self) -> list[int]:
        """Rows of each row group."""
        return [self._metadata.row_group(group).num_rows for group in range(self.groups)]

    def footer(self) -> dict[str, Any]:
        """The ``ducho.`` values of the footer, without the prefix and the seal."""
        pairs = self._metadata.metadata or {}
        try:
            return {
                name.decode().removeprefix(PREFIX): json.loads(value)
                for name, value in pairs.items()
                if name.startswith(PREFIX.encode()) and name.decode() not in seals.OPEN
            }
        except ValueError as error:
            raise DamagedFileError(self.path, "its footer holds no JSON") from error

    def read_group(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one row group, checksums verified.

        Raises:
            CorruptionError: a page is damaged.
        """
        return self._read(lambda: self._file.read_row_group(group, columns=_names(columns)))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the whole file, checksums verified.

        Raises:
            CorruptionError: a page is damaged.
        """
        return self._read(lambda: self._file.read(columns=_names(columns)))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read row group by row group, checksums verified."""
        for group in range(self.groups):
            yield from self.read_group(group, columns).to_batches()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def _read(self, read: Any) -> pa.Table:
        try:
            table: pa.Table = read()
        except (pa.ArrowException, ValueError, MemoryError) as error:
            raise DamagedFileError(self.path, str(error)) from error
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return table.replace_schema_metadata(None)


def _unreadable(path: Path, error: OSError) -> StoreError:
    # Arrow reports damage in a page as an OSError without errno.
    if error.errno is None:
        return DamagedFileError(path, str(error))
    return StoreError(f"cannot read {path}: {error.strerror or error}")


def _names(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)


def _write(
    path: str,
    table: pa.Table,
    footer: Mapping[str, Any],
    *,
    statistics: bool,
    compress: bool,
) -> None:
    packed = [field.name for field in table.schema if compress or _is_text(field)]
    keys = [field.name for field in table.schema if statistics and _is_key(field)]
    rows = table.num_rows
    with (
        _content_digest(table) as digest,
        pa.OSFile(path, "wb") as sink,
        pq.ParquetWriter(
            sink,
            table.schema,
            compression=dict.fromkeys(packed, "zstd") if packed else "none",
            use_dictionary=False,
            write_statistics=keys or False,
            write_page_checksum=True,
        ) as writer,
    ):
        writer.write_table(table, row_group_size=group_rows(table.nbytes // max(1, rows)))
        values = {
            **footer,
            "format_version": FORMAT_VERSION,
            "rows": rows,
            "content_sha256": digest(),
        }
        pairs = {
            f"{PREFIX}{name}": value if isinstance(value, bytes) else json.dumps(value)
            for name, value in values.items()
        }
        writer.add_key_value_metadata({**pairs, **seals.OPEN})


@contextlib.contextmanager
def _content_digest(table: pa.Table) -> Iterator[Callable[[], str]]:
    """Compute the content digest while the table is being encoded."""
    if table.nbytes < _DIGEST_ASIDE_BYTES:
        yield lambda: content_sha256(table)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="ducho-digest") as pool:
        yield pool.submit(content_sha256, table).result


def _is_text(field: pa.Field) -> bool:
    return bool(field.nullable and pa.types.is_string(field.type))


def _is_key(field: pa.Field) -> bool:
    return bool(not field.nullable and pa.types.is_string(field.type))
