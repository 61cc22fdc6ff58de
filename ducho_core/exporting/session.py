"""One export from request to report: the order of an export stands here."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ducho_core.errors import ContractError, UsageError
from ducho_core.exporter import ExportContext, ExportNotes
from ducho_core.exporting.aligning import Alignment, Demands
from ducho_core.exporting.folder import Folder
from ducho_core.exporting.idmap import IdMap
from ducho_core.exporting.items import given_items
from ducho_core.exporting.report import ExportReport
from ducho_core.exporting.report import Universe as Rows
from ducho_core.exporting.request import ExportRequest
from ducho_core.exporting.rows import AlignedRows, export_inputs
from ducho_core.exporting.target import check_apart, check_target
from ducho_core.extraction.session import Silent
from ducho_core.fusion.inputs import incomplete, open_inputs
from ducho_core.fusion.join import Join
from ducho_core.options import build_options, parse_options, place_paths, spec_options
from ducho_core.store import Store

if TYPE_CHECKING:
    from ducho_core.exporter import Exporter, Universe
    from ducho_core.extraction.session import Observer
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.registry import Registry
    from ducho_core.specs import ExporterSpec


class Export:
    """Carries out one request.

    Args:
        request: what the user asks for.
        registry: where exporters come from.
        store: the store's folder.
        observer: told how it goes on.
        folder: what options that are paths are relative to; the working folder if None.

    Raises:
        DuchoError: the request cannot be carried out, whatever the store holds.
    """

    def __init__(
        self,
        request: ExportRequest,
        registry: Registry,
        store: str | os.PathLike[str],
        *,
        observer: Observer | None = None,
        folder: str | None = None,
    ) -> None:
        self._request = request
        self._found = registry.exporter(request.to)
        self._spec: ExporterSpec = self._found.spec
        self._options = place_paths(self._parse_options(), folder)
        self._observer = observer or Silent()
        self._store_path = store
        if self._spec.separate and request.missing in ("zero", "mean"):
            raise UsageError(
                f"{self._found.canonical} writes each set by itself, so nothing has to be filled"
                f" in: leave out --missing {request.missing}"
            )
        if request.max_missing is not None and not 0 <= request.max_missing <= 1:
            raise UsageError(
                f"--max-missing {request.max_missing} is no share: a number from 0 to 1"
            )
        check_apart(request.out, store)
        check_target(request.out, overwrite=request.overwrite)
        most = self._spec.most
        if most is not None and len(request.sets) > most:
            raise UsageError(
                f"{self._found.canonical} takes at most {most} feature sets, not"
                f" {len(request.sets)}"
            )

    def run(self) -> ExportReport:
        """Write the export and put it in place.

        Raises:
            DuchoError: it could not be written; the target is as it was.
        """
        begun = time.perf_counter()
        request = self._request
        store = Store(self._store_path)
        inputs = open_inputs(store, request.sets)
        self._check_keys(inputs)
        keys = inputs[0].features.keys
        id_map, since = self._earlier(keys, [one.label for one in inputs])
        further = None if id_map is None else id_map.further
        context = ExportContext(inputs=export_inputs(inputs), keys=keys, earlier=further)
        exporter = self._found.import_implementation().open(self._options, context)
        universe = self._universe(exporter)
        self._check_universe(universe, keys)
        missing = request.missing or ("leave" if self._spec.separate else "error")
        demands = Demands(
            missing=missing,
            max_missing=request.max_missing,
            universe=universe,
            id_map=id_map,
            since=since,
        )
        folder = Folder(request.out, overwrite=request.overwrite, earlier=further)
        try:
            join = Join(inputs)
            coverage = join.coverage()
            if len(inputs) > 1:
                self._observer.say(str(coverage))
            alignment = Alignment(join, coverage, demands, folder)
            try:
                notes = self._write(exporter, alignment.rows, folder)
                notes = replace(notes, remarks=(*incomplete(inputs), *notes.remarks))
                kept, changes = alignment.finish()
                report = ExportReport(
                    exporter=self._found.canonical,
                    folder=request.out,
                    rows=len(alignment.rows),
                    keys=keys,
                    missing=missing,
                    coverage=coverage,
                    universe=None
                    if universe is None
                    else Rows(name=universe.name, rows=alignment.universe_rows),
                    id_map=kept,
                    since=changes,
                    inputs=alignment.inputs(),
                    files=(),
                    notes=notes,
                    seconds=time.perf_counter() - begun,
                )
            finally:
                alignment.close()
            files = folder.finish(self._record(report))
        except BaseException:
            folder.abandon()
            raise
        return replace(report, files=tuple(files))

    def _earlier(
        self, keys: Sequence[str], labels: Sequence[str]
    ) -> tuple[IdMap | None, IdMap | None]:
        id_map = IdMap(self._request.id_map) if self._request.id_map is not None else None
        since = IdMap(self._request.since) if self._request.since is not None else None
        for one in (id_map, since):
            if one is not None:
                one.check_keys(keys)
        if since is not None:
            since.check_labels(labels)
        return id_map, since

    def _universe(self, exporter: Exporter) -> Universe | None:
        universe = exporter.universe()
        if self._request.items is None:
            return universe
        if universe is not None:
            raise UsageError(
                f"{self._found.canonical} writes the rows of {universe.name}: leave --items out"
            )
        return given_items(self._request.items)

    def _check_universe(self, universe: Universe | None, keys: Sequence[str]) -> None:
        if universe is None:
            return
        if self._request.items is not None and tuple(keys) != universe.keys:
            raise UsageError(f"--items is for sets of items, not of {', '.join(keys)}")
        if self._request.missing == "drop":
            raise UsageError(
                f"the rows are those of {universe.name}, so none can be dropped: --missing mean"
                " and zero fill them in"
            )
        if self._request.since is not None and self._request.items is not None:
            raise UsageError("--items is all rows and --since some of them: give one of the two")
        if self._request.since is not None:
            raise UsageError(
                f"{self._found.canonical} writes a dataset with all rows of {universe.name}, never"
                " a part of it: leave out --since; --id-map keeps the numbers of an earlier export"
            )

    def _write(self, exporter: Exporter, rows: AlignedRows, folder: Folder) -> ExportNotes:
        self._observer.extracting(f"export to {self._found.canonical}", len(rows))
        try:
            notes: object = exporter.write(rows, folder)
        finally:
            self._observer.finished()
        if not isinstance(notes, ExportNotes):
            raise ContractError(
                f"{self._found.canonical} returned {type(notes).__name__}, not ExportNotes"
            )
        return notes

    def _check_keys(self, inputs: Sequence[SetInput]) -> None:
        keys, name = inputs[0].features.keys, inputs[0].name
        left = [key for key in keys if key not in self._spec.keys]
        if not left or (self._spec.users and keys == ("user_id",)):
            return
        label = inputs[0].label
        if "slot" in left:
            what = "several rows an item (slots)"
            cure = f"pool them first: ducho fuse {name} --how pool --name {label}-items"
        elif "item_id" in keys:
            what = "a row for each interaction of a user and an item"
            cure = (
                f"pool them first: ducho fuse {name} --how recsys/reviews -o split=DIR --name"
                f" {label}-items (of ducho-recsys; DIR is what ducho split wrote)"
            )
        else:
            what, cure = "rows of users", "parquet and csv can"
        raise UsageError(f"{name} has {what}, which {self._found.canonical} cannot carry; {cure}")

    def _parse_options(self) -> Any:
        name, kind = self._found.canonical, self._found.options_type()
        given = self._request.options
        if isinstance(given, Mapping):
            return build_options(name, kind, None, given)[0]
        return parse_options(name, kind, None, given)[0]

    def _record(self, report: ExportReport) -> dict[str, Any]:
        told = report.as_dict()
        for name in ("folder", "files", "seconds"):
            del told[name]
        return {
            **told,
            "options": spec_options(self._options),
            "distribution": f"{self._found.distribution}=={self._found.version}",
            "written": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }


def export(
    sets: Sequence[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] = "features",
    observer: Observer | None = None,
    registry: Registry | None = None,
    **settings: Any,
) -> ExportReport:
    """Export feature sets from Python, as ``ducho export`` does.

    Args:
        sets: the sets, ``NAME[:OUTPUT]`` each.
        to: the exporter: NAME or PLUGIN/NAME.
        out: the folder that is written: absent, empty, or an earlier export.
        store: the store's folder.
        observer: told how it goes on.
        registry: where plugins come from; discovered where not given.
        settings: the other fields of ``ExportRequest``: ``options``, ``missing``,
            ``max_missing``, ``items``, ``id_map``, ``since``, ``overwrite``.

    Raises:
        DuchoError: as the command line says it; the target is as it was.
    """
    import msgspec

    from ducho_core.registry import Registry as Discover

    listed = [sets] if isinstance(sets, str) else list(sets)
    for name in ("items", "id_map", "since"):
        if settings.get(name) is not None:
            settings[name] = os.fspath(settings[name])
    try:
        request = msgspec.convert(
            {"sets": listed, "to": to, "out": os.fspath(out), **settings}, ExportRequest
        )
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    return Export(request, registry or Discover.discover(), store, observer=observer).run()
