"""Reading one feature set."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.errors import SetNotFoundError, UsageError
from ducho_core.store.digest import row_digests, sorted_sha256
from ducho_core.store.failures import current_failures
from ducho_core.store.find import Finder, Key
from ducho_core.store.parquet import DamagedFileError, DataFile
from ducho_core.store.schema import (
    STATUSES,
    data_schema,
    dims_of,
    embedding_values,
    key_fields,
    scale_name,
)
from ducho_core.store.writer import SetWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt


class FeatureSet:
    """A feature set as it is when it is opened; what a run adds later is not seen.

    Every read verifies the checksums. Rows come in the order of plans and chunks.

    Attributes:
        path: the set's folder.
        spec: its SPEC.
        fingerprint: sha256 of the SPEC, 64 hex digits.
        name: how it was asked for.
        slug: the readable half of its folder's name.
        keys: the key columns.
        outputs: names of the outputs, in order.
        output: the output that was selected with ``NAME:OUTPUT``, else the only one, else None.
    """

    def __init__(self, path: Path, *, name: str | None = None, output: str | None = None) -> None:
        self._set = SetWriter.open(path)
        self.path = path
        self.spec: Mapping[str, Any] = self._set.spec
        self.fingerprint = self._set.fingerprint
        self.slug = self._set.slug
        self.name = name or path.name
        self.keys = self._set.keys
        self.outputs: tuple[str, ...] = tuple(one["name"] for one in self.spec["outputs"])
        self.output = output or (self.outputs[0] if len(self.outputs) == 1 else None)
        if output is not None:
            self._check_output(output)
        self.chunks: tuple[tuple[int, int], ...] = tuple(sorted(self._set.committed()))

    def __repr__(self) -> str:
        return f"FeatureSet({self.path.name}, {len(self.chunks)} chunks)"

    def __len__(self) -> int:
        """Number of rows."""
        return sum(self._rows)

    @property
    def files(self) -> list[Path]:
        """The Parquet files that hold its rows."""
        return [self._set.chunk_path(*chunk) for chunk in self.chunks]

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of its rows.

        Raises:
            StoreError: the SPEC leaves a length open and there is no chunk yet to tell it.
        """
        dims: dict[str, int] = {}
        if self.chunks:
            with DataFile(self.files[0]) as file:
                dims = dims_of(file.schema)
        return data_schema(self.spec, dims)

    @cached_property
    def dims(self) -> dict[str, int]:
        """Lengths of its embeddings by output name."""
        return dims_of(self.schema)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream the rows, a row group at a time.

        Args:
            columns: names of the columns to read; all by default.

        Raises:
            UsageError: there is no such column.
            CorruptionError: a file is damaged; names it and says what to do.
        """
        for file in self._opened(columns):
            yield from file.batches(columns)

    def to_numpy(self, output: str | None = None) -> tuple[pa.Table, npt.NDArray[Any]]:
        """All rows of one embedding.

        Returns:
            The keys, and the vectors in the same order: shape (n, dim), float32, or float16
            where the set stores that.
        """
        name = self.embedding(output)
        columns = [*self.keys, *self.value_columns(name)]
        values = np.empty((len(self), self.dims[name]), self._value_dtype)
        keys = [pa.schema(key_fields(self.keys)).empty_table()]
        at = 0
        for batch in self.batches(columns):
            values[at : at + batch.num_rows] = self.values(batch, name)
            keys.append(pa.Table.from_batches([batch.select(list(self.keys))]))
            at += batch.num_rows
        return pa.concat_tables(keys), values

    def select(self, keys: Sequence[Key], output: str | None = None) -> npt.NDArray[Any]:
        """Vectors of given keys, in the order given. Memory is bounded by the result.

        Args:
            keys: item_id strings (of a set about users user_id), or tuples in column order
                where there are more key columns.
            output: which embedding, where there are several.

        Returns:
            Shape (len(keys), dim), float32, or float16 where the set stores that.

        Raises:
            SetNotFoundError: some keys have no row; the message lists the first of them.
        """
        name = self.embedding(output)
        unique = dict.fromkeys(keys)
        places = {key: at for at, key in enumerate(unique)}
        values = np.empty((len(places), self.dims[name]), self._value_dtype)
        found = np.zeros(len(places), np.bool_)
        finder = Finder(places, self.keys)
        for file in self._opened(None):
            for group in range(file.groups):
                rows, targets = finder.find(file.read_group(group, self.keys))
                if not len(rows):
                    continue
                for batch in file.read_group(group, self.value_columns(name)).to_batches():
                    inside = (rows >= 0) & (rows < batch.num_rows)
                    values[targets[inside]] = self.values(batch, name)[rows[inside]]
                    rows = rows - batch.num_rows
                found[targets] = True
            if found.all():
                break
        if not found.all():
            raise self._missing([key for key, here in zip(places, found, strict=True) if not here])
        if len(places) == len(keys):
            return values
        return values[[places[key] for key in keys]]

    def failures(self, kind: str | None = None) -> pa.Table:
        """Keys without a row, as they stand now: the latest plan of each counts.

        Args:
            kind: ``failed``, ``absent`` or ``withdrawn``; all by default.

        Returns:
            Keys, ``status``, ``stage``, ``code``, ``message``, ``input_sha256``, ``run_id``.
        """
        if kind is not None and kind not in STATUSES:
            raise UsageError(f"{kind!r} is no kind of failure; choose {', '.join(STATUSES)}")
        table = current_failures(self.path, self.keys, self.chunks)
        return table if kind is None else table.filter(pc.equal(table["status"], kind))

    def snapshot_digest(self, rows: npt.NDArray[np.bool_] | None = None) -> str:
        """Sha256 over the sorted (key, row digest), in hex: the same rows, the same digest.

        It does not depend on chunks or order. Needs memory for all keys and 32 bytes a row.

        Args:
            rows: which rows it is about, (n,) in the order of ``batches``; all by default.
        """
        columns = self._key_columns()
        order = pc.sort_indices(
            pa.table(columns), [(name, "ascending") for name in self.keys]
        ).to_numpy()
        order = order.astype(np.uint32 if len(self) < 2**32 else np.uint64)
        pa.default_memory_pool().release_unused()
        if rows is not None:
            order = order[rows[order]]
        return sorted_sha256(self._digest_columns(columns), order)

    def _digest_columns(self, columns: dict[str, pa.Array]) -> Iterator[tuple[str, pa.Array]]:
        """The key columns, which are taken away, and then the row digests: never both."""
        for name in self.keys:
            yield name, columns.pop(name)
        pa.default_memory_pool().release_unused()
        digests = np.empty((len(self), 32), np.uint8)
        at = 0
        for batch in self.batches():
            joined = b"".join(row_digests(pa.Table.from_batches([batch])).to_pylist())
            digests[at : at + batch.num_rows] = np.frombuffer(joined, np.uint8).reshape(-1, 32)
            at += batch.num_rows
        buffer = pa.py_buffer(digests)
        yield (
            "row_sha256",
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(digests), [None, buffer]),
        )

    def _key_columns(self) -> dict[str, pa.Array]:
        batches = list(self.batches(self.keys))
        return {
            name: pa.concat_arrays([pa.array([], pa.string()), *(one[name] for one in batches)])
            for name in self.keys
        }

    def runs(self) -> list[dict[str, Any]]:
        """Records of the runs that wrote to it, oldest first, each with ``run`` and ``stage``."""
        records = []
        for path in sorted((self.path / "runs").glob("*.json")):
            run, _dash, stage = path.stem.rpartition("-")
            try:
                record = json.loads(path.read_bytes())
            except ValueError as error:
                raise DamagedFileError(path, str(error)) from error
            records.append({"run": run, "stage": stage, **record})
        return records

    def plan_progress(self) -> tuple[int, list[tuple[int, int]]]:
        """Number of planned keys (each once a plan), and the chunks that are still missing."""
        planned, missing = 0, []
        done = set(self.chunks)
        for number in self._set.plan_numbers():
            chunks = self._set.read_plan(number, ["chunk"])["chunk"]
            planned += len(chunks)
            wanted = {(number, chunk) for chunk in chunks.unique().to_pylist()}
            missing.extend(sorted(wanted - done))
        return planned, missing

    @cached_property
    def _rows(self) -> list[int]:
        counts = []
        for path in self.files:
            with DataFile(path) as file:
                counts.append(file.rows)
        return counts

    def _opened(self, columns: Sequence[str] | None) -> Iterator[DataFile]:
        if not self.chunks:
            return
        schema = self.schema
        unknown = [name for name in columns or () if name not in schema.names]
        if unknown:
            raise UsageError(
                f"{self.name} has no column {', '.join(map(repr, unknown))}; it has"
                f" {', '.join(schema.names)}"
            )
        for path in self.files:
            with DataFile(path) as file:
                if not file.schema.equals(schema):
                    raise DamagedFileError(path, "its columns are not those of the set")
                yield file

    @property
    def _value_dtype(self) -> type[np.floating[Any]]:
        return np.float16 if self.spec["stored_dtype"] == "float16" else np.float32

    def value_columns(self, name: str) -> list[str]:
        """The columns that ``values`` needs: the embedding's, and its scales where stored."""
        return [name, scale_name(name)] if self.spec["stored_dtype"] == "int8" else [name]

    def values(self, batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
        """The vectors of an embedding in a batch of its columns, scales applied, (n, dim)."""
        values = embedding_values(batch[name])
        if self.spec["stored_dtype"] != "int8":
            return values
        scale = batch[scale_name(name)].to_numpy()
        widened: npt.NDArray[Any] = values.astype(np.float32) * scale[:, None]
        return widened

    def embedding(self, output: str | None = None) -> str:
        """Name of the embedding that is meant: this one, the selected one, or the only one.

        Raises:
            UsageError: there are several or none, or it is something else.
        """
        embeddings = [one["name"] for one in self.spec["outputs"] if one["kind"] == "embedding"]
        name = output or self.output or (embeddings[0] if len(embeddings) == 1 else None)
        if name is None:
            raise UsageError(
                f"{self.name} has the embeddings {', '.join(embeddings) or 'none'}: say which,"
                f" {self.name}:OUTPUT"
            )
        self._check_output(name)
        if name not in embeddings:
            raise UsageError(f"output {name!r} of {self.name} is no embedding")
        return name

    def _check_output(self, output: str) -> None:
        if output not in self.outputs:
            raise UsageError(
                f"{self.name} has no output {output!r}; it has {', '.join(self.outputs)}"
            )

    def _missing(self, keys: Sequence[Key]) -> SetNotFoundError:
        shown = ", ".join(_shorten(repr(key)) for key in keys[:5])
        more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
        return SetNotFoundError(
            f"{self.name} has no row for {shown}{more}; `ducho store failures {self.name}` tells"
            " which keys failed or were absent"
        )


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"


__all__ = ["FeatureSet", "Key"]
