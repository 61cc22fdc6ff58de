"""Checking a feature set: is everything there that was committed, and is it intact."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core.errors import StoreError
from ducho_core.store import layout
from ducho_core.store import seal as seals
from ducho_core.store import spec as specs
from ducho_core.store.digest import content_sha256
from ducho_core.store.failures import without_keys
from ducho_core.store.parquet import FORMAT_VERSION, DamagedFileError, DataFile
from ducho_core.store.problems import RECOMPUTE, RESTORE, Checked, Problem, ProblemLog
from ducho_core.store.schema import data_schema, dims_of, embedding_values, failures_schema
from ducho_core.store.writer import SetWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ducho_core.store.store import Store


def verify_set(store: Path, folder: Path, *, read_data: bool = False) -> Checked:
    """Check one feature set.

    Args:
        store: the store's folder.
        folder: the set's folder.
        read_data: whether to read every byte: page checksums and headers, content digest,
            values that are not finite. Otherwise footers and keys are read.
    """
    return _Verifier(store, folder, read_data=read_data).run()


def verify_store(store: Store) -> list[Problem]:
    """Check what lies above the sets: names, and sets without a SPEC."""
    problems = []
    known = {
        one.fingerprint for one in _openable(layout.set_folders(store.path)) if one is not None
    }
    for name, fingerprint in store.names().items():
        if fingerprint not in known:
            problems.append(
                Problem(
                    set="",
                    file=f"{layout.NAMES}/{name}",
                    kind="name",
                    message=f"the name {name!r} is bound to a set that is not here",
                    keys_affected=None,
                    examples=(),
                    action="remove the file, or bring the set back",
                )
            )
    for folder in layout.folders_without_spec(store.path):
        inside = os.path.relpath(folder, store.path)
        problems.append(
            Problem(
                set=inside,
                file=f"{inside}/{layout.SPEC_FILE}",
                kind="spec",
                message="the set has plans or data, and no SPEC.json",
                keys_affected=None,
                examples=(),
                action=f"{RESTORE}; every data file's footer holds the SPEC",
            )
        )
    return problems


def _openable(folders: Iterator[Path]) -> Iterator[SetWriter | None]:
    for folder in folders:
        try:
            yield SetWriter.open(folder)
        except StoreError:
            yield None


class _Verifier:
    def __init__(self, store: Path, folder: Path, *, read_data: bool) -> None:
        self._folder = folder
        self._read_data = read_data
        self._log = ProblemLog(store, folder)

    def run(self) -> Checked:
        try:
            self._set = SetWriter.open(self._folder)
        except StoreError as error:
            self._log.add(self._folder / layout.SPEC_FILE, "spec", error, RESTORE)
            return self._result(0, 0, 0)
        self._keys = list(self._set.keys)
        self._spec_sha256 = specs.spec_sha256(self._set.spec)
        self._schema: pa.Schema | None = None
        # Data before plans: a run that is writing commits them the other way round.
        committed = self._data_names()
        plans = self._plans()
        stored = []
        for chunk in sorted(committed):
            planned = plans.get(chunk[0])
            if planned is not None:
                planned = planned.filter(pc.equal(planned["chunk"], chunk[1]))
            keys = self._data_file(chunk, planned)
            if keys is not None:
                stored.append(keys)
        self._duplicates(stored)
        self._failures()
        self._runs()
        expected = {
            (number, chunk)
            for number, plan in plans.items()
            if plan is not None
            for chunk in plan["chunk"].unique().to_pylist()
        }
        rows = sum(keys.num_rows for keys in stored)
        return self._result(rows, len(committed), len(expected - committed))

    def _result(self, rows: int, chunks: int, pending: int) -> Checked:
        return Checked(
            set=self._log.set,
            rows=rows,
            chunks=chunks,
            pending=pending,
            problems=tuple(self._log.problems),
        )

    def _data_names(self) -> set[tuple[int, int]]:
        committed = set()
        for entry in self._listed("data"):
            chunk = layout.parse_chunk(entry)
            if chunk is not None:
                committed.add(chunk)
                continue
            path = self._folder / "data" / entry
            message = "it is no chunk, and every reader of data/ stumbles over it"
            self._log.add(path, "stray_file", message, "move it out of data/")
        return committed

    def _plans(self) -> dict[int, pa.Table | None]:
        plans: dict[int, pa.Table | None] = {}
        for entry in self._listed("plans"):
            number = layout.parse_plan(entry)
            path = self._folder / "plans" / entry
            if number is None:
                self._log.add(path, "stray_file", "it is no plan", "move it out of plans/")
                continue
            plans[number] = self._plan(path, number)
        for number in set(range(max(plans, default=0))) - plans.keys():
            path = self._folder / "plans" / layout.plan_file(number)
            self._log.add(path, "plan", "the plan is missing, later ones exist", RESTORE)
        return plans

    def _plan(self, path: Path, number: int) -> pa.Table | None:
        try:
            with DataFile(path) as file:
                footer = file.footer()
                columns = None if self._read_data else [*self._keys, "chunk"]
                plan = file.read(columns)
            if self._read_data:
                self._content(path, plan, footer)
        except StoreError as error:
            self._log.add(path, "plan", error, RESTORE)
            return None
        if footer.get("plan") != number or footer.get("spec_sha256") != self._spec_sha256:
            self._log.add(path, "misplaced", "it belongs to another set or number", RESTORE)
        return plan.select([*self._keys, "chunk"])

    def _data_file(self, chunk: tuple[int, int], planned: pa.Table | None) -> pa.Table | None:
        path = self._set.chunk_path(*chunk)
        try:
            with DataFile(path) as file:
                footer = file.footer()
                if not self._fits(path, file, footer, chunk, planned):
                    return None
                if self._read_data:
                    keys = self._whole(path, file, footer)
                else:
                    keys = file.read(self._keys)
        except StoreError as error:
            self._log.add(path, "unreadable", error, RECOMPUTE, planned)
            return None
        if planned is not None:
            stray = without_keys(keys, planned, self._keys)
            if stray.num_rows:
                message = "it has rows that its plan does not give to this chunk"
                self._log.add(path, "unplanned", message, RECOMPUTE, stray)
        else:
            message = f"there is no plan {chunk[0]} that gives keys to it"
            self._log.add(path, "unplanned", message, "restore the plan from a copy", keys)
        return keys

    def _fits(
        self,
        path: Path,
        file: DataFile,
        footer: dict[str, Any],
        chunk: tuple[int, int],
        planned: pa.Table | None,
    ) -> bool:
        if footer.get("spec_sha256") != self._spec_sha256:
            self._log.add(path, "spec", "it was made with another SPEC", RECOMPUTE, planned)
            return False
        if specs.fingerprint(footer.get("spec", {})) != self._spec_sha256:
            self._log.add(path, "spec", "the SPEC in its footer is damaged", RECOMPUTE, planned)
            return False
        if (footer.get("plan"), footer.get("chunk")) != chunk:
            said = f"chunk {footer.get('plan')}-{footer.get('chunk')}"
            self._log.add(
                path, "misplaced", f"its footer says that it is {said}", RECOMPUTE, planned
            )
            return False
        if footer.get("format_version") != FORMAT_VERSION or footer.get("rows") != file.rows:
            message = f"it has {file.rows} rows, its footer says {footer.get('rows')}"
            self._log.add(path, "row_count", message, RECOMPUTE, planned)
            return False
        if self._schema is None:
            self._schema = data_schema(self._set.spec, dims_of(file.schema))
        if not file.schema.equals(self._schema):
            message = f"its columns are {_columns(file.schema)}, not {_columns(self._schema)}"
            self._log.add(path, "schema", message, RECOMPUTE, planned)
            return False
        return True

    def _whole(self, path: Path, file: DataFile, footer: dict[str, Any]) -> pa.Table:
        table = file.read()
        self._content(path, table, footer)
        for name in dims_of(table.schema):
            values = np.concatenate([embedding_values(one) for one in table[name].chunks])
            unfit = ~np.isfinite(values).all(axis=1)
            if unfit.any():
                message = f"{int(unfit.sum())} rows of {name} hold NaN or infinity"
                keys = table.select(self._keys).filter(pa.array(unfit))
                self._log.add(path, "non_finite", message, RECOMPUTE, keys)
        return table.select(self._keys)

    def _content(self, path: Path, table: pa.Table, footer: dict[str, Any]) -> None:
        try:
            seals.check_seal(path, headers=True)
        except ValueError as error:
            raise DamagedFileError(path, str(error)) from error
        if content_sha256(table) != footer.get("content_sha256"):
            raise DamagedFileError(path, "its rows do not match its content digest")

    def _duplicates(self, stored: list[pa.Table]) -> None:
        if not stored:
            return
        keys = pa.concat_tables(stored)
        counts = keys.group_by(self._keys).aggregate([([], "count_all")])
        twice = counts.filter(pc.greater(counts["count_all"], 1))
        if twice.num_rows:
            message = f"{twice.num_rows} keys have more than one row"
            action = (
                "find the files with `item_id` in data/, remove those of the later plan and run"
                " the same extraction again"
            )
            self._log.add(self._folder / "data", "duplicate_keys", message, action, twice)

    def _failures(self) -> None:
        expected = failures_schema(self._keys)
        for entry in self._listed("failures"):
            path = self._folder / "failures" / entry
            if layout.parse_failures(entry) is None:
                self._log.add(
                    path, "stray_file", "it holds no failures", "move it out of failures/"
                )
                continue
            try:
                with DataFile(path) as file:
                    table, footer = file.read(), file.footer()
                if self._read_data:
                    self._content(path, table, footer)
            except StoreError as error:
                action = "remove the file; only the reasons of these failures are lost"
                self._log.add(path, "failures", error, action)
                continue
            if not table.schema.equals(expected):
                self._log.add(path, "schema", f"its columns are {_columns(table.schema)}", RESTORE)

    def _runs(self) -> None:
        for entry in self._listed("runs"):
            path = self._folder / "runs" / entry
            try:
                json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                action = "remove the file; only the record of that run is lost"
                self._log.add(path, "unreadable", str(error), action)

    def _listed(self, name: str) -> list[str]:
        try:
            return sorted(os.listdir(self._folder / name))
        except FileNotFoundError:
            path = self._folder / name
            self._log.add(path, "unreadable", "the folder is missing", "create it again, empty")
            return []


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


__all__ = ["Checked", "Problem", "verify_set", "verify_store"]
