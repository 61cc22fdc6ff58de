"""Writing one feature set: plans, chunks, failures, run records."""

from __future__ import annotations

import json
import os
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

import ducho_core
from ducho_core.errors import CorruptionError, StoreError
from ducho_core.store import layout
from ducho_core.store import spec as specs
from ducho_core.store.atomic import make_folders, put_bytes
from ducho_core.store.failures import failures_of_chunk
from ducho_core.store.parquet import DataFile, put_table
from ducho_core.store.schema import (
    MESSAGE_LENGTH,
    STATUSES,
    conform,
    data_schema,
    dims_of,
    failures_schema,
    plan_schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ducho_core.extractor import JSON


class SetWriter:
    """One feature set, open for writing. Safe in several threads and processes at once.

    Attributes:
        path: the set's folder.
        spec: its SPEC.
        fingerprint: sha256 of the SPEC, 64 hex digits.
        slug: the readable half of its folder's name.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any], fingerprint: str) -> None:
        self.path = path
        self.spec = dict(spec)
        self.fingerprint = fingerprint
        self.slug = specs.slug(spec)
        self.keys: tuple[str, ...] = tuple(spec["keys"])

    @classmethod
    def create(cls, path: Path, spec: Mapping[str, JSON]) -> SetWriter:
        """Create a set's folders and its SPEC.json, or join the ones that are there.

        Raises:
            StoreError: they cannot be written, or the folder holds another SPEC.
        """
        make_folders(path, layout.SET_FOLDERS)
        put_bytes(path / layout.SPEC_FILE, path / "tmp", specs.canonical_json(spec))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> SetWriter:
        """Open the set in a folder.

        Raises:
            CorruptionError: its SPEC.json is damaged.
        """
        return cls(path, *read_spec(path))

    @property
    def temporary_folder(self) -> Path:
        return self.path / "tmp"

    def temporary(self, suffix: str) -> Path:
        """A new path in the set's folder for unfinished files; nothing is created."""
        return self.temporary_folder / f"{uuid.uuid4().hex}{suffix}"

    def schema(self, dims: Mapping[str, int]) -> pa.Schema:
        """Schema of a data file: keys, outputs, ``input_sha256`` (``binary(32)``).

        Args:
            dims: lengths of the embeddings, needed where the SPEC has null for one.
        """
        return data_schema(self.spec, dims)

    # plans

    def plan_numbers(self) -> list[int]:
        """Numbers of the plans that exist, ascending."""
        names = os.listdir(self.path / "plans")
        return sorted(number for name in names if (number := layout.parse_plan(name)) is not None)

    def read_plan(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The keys of a plan, the chunk of each, and the validators of their inputs.

        Raises:
            CorruptionError: the file is damaged.
        """
        with DataFile(self.path / "plans" / layout.plan_file(number)) as file:
            return file.read(columns)

    def plan_batches(
        self, number: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """A plan as in ``read_plan``, a row group at a time."""
        with DataFile(self.path / "plans" / layout.plan_file(number)) as file:
            yield from file.batches(columns)

    def put_fit(self, name: str, content: bytes) -> None:
        """Keep fitted state in fit/; a file that exists is left as it is."""
        put_bytes(self.path / "fit" / layout.check_run_id(name), self.temporary_folder, content)

    def commit_plan(self, number: int, table: pa.Table) -> bool:
        """Commit plan ``number``; False where somebody else put one there first.

        Args:
            number: the plan's number.
            table: keys, ``chunk`` (int32), and ``validator_INPUT`` (binary, nullable) for any
                inputs.
        """
        inputs = [
            name.removeprefix("validator_")
            for name in table.column_names
            if name.startswith("validator_")
        ]
        plan = conform(table, plan_schema(self.keys, inputs), f"plan {number}")
        target = self.path / "plans" / layout.plan_file(number)
        return put_table(
            target,
            self.temporary_folder,
            plan,
            {**self._footer, "plan": number},
            statistics=False,
            compress=True,
        )

    # chunks

    def committed(self) -> set[tuple[int, int]]:
        """(plan, chunk) of every committed chunk, from file names alone."""
        names = os.listdir(self.path / "data")
        return {chunk for name in names if (chunk := layout.parse_chunk(name)) is not None}

    def chunk_path(self, plan: int, chunk: int) -> Path:
        return self.path / "data" / layout.chunk_file(plan, chunk)

    def chunk_row_count(self, plan: int, chunk: int) -> int:
        """Rows of a committed chunk, from its footer."""
        with DataFile(self.chunk_path(plan, chunk)) as file:
            return file.rows

    def read_chunk(self, plan: int, chunk: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of a committed chunk, checksums verified.

        Raises:
            CorruptionError: the file is damaged.
        """
        with DataFile(self.chunk_path(plan, chunk)) as file:
            return file.read(columns)

    def read_failures(self, plan: int, chunk: int) -> pa.Table | None:
        """Failures of a chunk over all attempts, one row a key; None where there are none.

        Where attempts disagree, the one of the run that committed the chunk counts, else the
        last.
        """
        return failures_of_chunk(self.path, self.keys, plan, chunk)

    def commit_chunk(
        self,
        plan: int,
        chunk: int,
        rows: pa.Table,
        failures: pa.Table | None,
        run_id: str,
    ) -> bool:
        """Commit one chunk: its failures first, then its rows.

        Args:
            plan: number of the plan.
            chunk: number of the chunk in the plan.
            rows: columns as in ``schema``; no rows are fine.
            failures: keys, ``status``, ``stage``, ``code``, ``message``, ``input_sha256``
                (nullable), ``run_id``; None or empty where every key has a row.
            run_id: the run that does it.

        Returns:
            False where somebody else committed the chunk first; nothing is changed then.

        Raises:
            StoreError: the tables do not fit the set, or cannot be written; the message names
                the path, nothing half-written is left, committed chunks are as they were.
        """
        where = f"chunk {plan}-{chunk} of {self.slug}"
        table = conform(rows, self.schema(dims_of(rows.schema)), where)
        if failures is not None and failures.num_rows:
            self._commit_failures(plan, chunk, failures, where)
        footer = {**self._footer, "plan": plan, "chunk": chunk, "run_id": run_id}
        return put_table(self.chunk_path(plan, chunk), self.temporary_folder, table, footer)

    def _commit_failures(self, plan: int, chunk: int, failures: pa.Table, where: str) -> None:
        table = conform(failures, failures_schema(self.keys), f"failures of {where}")
        unknown = set(table["status"].unique().to_pylist()) - set(STATUSES)
        if unknown:
            raise StoreError(f"failures of {where} have the unknown status {sorted(unknown)}")
        at = table.schema.get_field_index("message")
        short = pc.utf8_slice_codeunits(table["message"], 0, MESSAGE_LENGTH)
        table = table.set_column(at, table.schema.field(at), short)
        footer = {**self._footer, "plan": plan, "chunk": chunk}
        attempt = 0
        while True:
            target = self.path / "failures" / layout.failures_file(plan, chunk, attempt)
            # A name that is seen is taken for good; one that is not may still be lost.
            if not target.exists() and put_table(
                target,
                self.temporary_folder,
                table,
                {**footer, "attempt": attempt},
                statistics=False,
                compress=True,
            ):
                return
            attempt += 1

    def write_run(self, run_id: str, stage: str, record: Mapping[str, JSON]) -> None:
        """Record a run's circumstances in runs/; a record that exists is left as it is.

        Args:
            run_id: letters, digits, ``.``, ``_``, ``-``.
            stage: ``start`` or ``end``.
            record: what to keep.
        """
        name = f"{layout.check_run_id(run_id)}-{layout.check_run_id(stage)}.json"
        text = json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True, default=str)
        content = text.encode("utf-8", "backslashreplace") + b"\n"
        put_bytes(self.path / "runs" / name, self.temporary_folder, content)

    @cached_property
    def _footer(self) -> dict[str, Any]:
        shared = specs.without_revision(self.spec)
        return {
            "spec": specs.canonical_json(shared),
            "spec_sha256": specs.fingerprint(shared),
            "writer": f"ducho-core=={ducho_core.__version__}",
        }


def read_spec(folder: Path) -> tuple[dict[str, Any], str]:
    """SPEC and fingerprint of the set in a folder.

    Raises:
        CorruptionError: SPEC.json does not give the fingerprint in the folder's name.
    """
    path = folder / layout.SPEC_FILE
    try:
        content = path.read_bytes()
        spec = json.loads(content)
        digest = specs.fingerprint(spec)
        intact = specs.canonical_json(spec) == content and specs.folder_name(spec) == folder.name
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptionError(f"{path} is damaged: {error}. Restore it from a copy") from error
    if not intact:
        raise CorruptionError(
            f"{path} is damaged or renamed: its sha256 is {digest[:12]}…, the folder is called"
            f" {folder.name}. Restore it from a copy"
        )
    return spec, digest
