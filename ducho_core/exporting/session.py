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
from ducho_core.exporting.folder import Folder, check_apart, check_target
from ducho_core.exporting.report import ExportedInput, ExportReport
from ducho_core.exporting.request import ExportRequest
from ducho_core.exporting.rows import AlignedRows, export_inputs
from ducho_core.extraction.session import Silent
from ducho_core.fusion.fitting import take_means
from ducho_core.fusion.inputs import open_inputs
from ducho_core.fusion.join import Join
from ducho_core.fusion.joined import JoinedRows
from ducho_core.options import build_options, parse_options, place_paths, spec_options
from ducho_core.store import Store

if TYPE_CHECKING:
    from ducho_core.exporter import Exporter
    from ducho_core.extraction.session import Observer
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.registry import Registry
    from ducho_core.specs import ExporterSpec

_ADVICE = (
    "Say what to do with them: --missing drop leaves these keys out, zero and mean fill them in"
)


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
        store = Store(self._store_path)
        inputs = open_inputs(store, self._request.sets)
        self._check_keys(inputs)
        context = ExportContext(inputs=export_inputs(inputs), keys=inputs[0].features.keys)
        exporter = self._found.import_implementation().open(self._options, context)
        folder = Folder(self._request.out, overwrite=self._request.overwrite)
        try:
            join = Join(inputs)
            coverage = join.coverage()
            missing = self._request.missing or ("leave" if self._spec.separate else "error")
            if len(inputs) > 1:
                self._observer.say(str(coverage))
            join.settle(missing, coverage, _ADVICE)
            joined = JoinedRows(join, folder.scratch)
            try:
                if missing == "mean":
                    take_means(joined)
                rows = AlignedRows(joined)
                notes = self._write(exporter, rows, folder)
            finally:
                joined.close()
            report = ExportReport(
                exporter=self._found.canonical,
                folder=self._request.out,
                rows=len(rows),
                keys=rows.keys,
                missing=missing,
                coverage=coverage,
                inputs=_inputs(rows, missing),
                files=(),
                notes=notes,
                seconds=time.perf_counter() - begun,
            )
            files = folder.finish(self._record(report))
        except BaseException:
            folder.abandon()
            raise
        return replace(report, files=tuple(files))

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
        if not left:
            return
        what = "several rows an item (slots)" if "slot" in left else "rows of users and items"
        cure = (
            f"pool them first: ducho fuse {name} --how pool --name {inputs[0].label}-items"
            if left == ["slot"]
            else "parquet and csv can"
        )
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


def _inputs(rows: AlignedRows, missing: str) -> tuple[ExportedInput, ...]:
    found = []
    for at, one in enumerate(rows.inputs):
        present = len(rows) - rows.filled[at]
        found.append(
            ExportedInput(
                name=one.name,
                label=one.label,
                output=one.output,
                fingerprint=one.fingerprint,
                dim=one.dim,
                rows=one.rows,
                present=present,
                filled=0 if missing == "leave" else rows.filled[at],
                dropped=one.rows - present,
                zero=rows.zeros[at],
                zero_examples=tuple(rows.zero_keys[at]),
            )
        )
    return tuple(found)


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
            ``overwrite``.

    Raises:
        DuchoError: as the command line says it; the target is as it was.
    """
    import msgspec

    from ducho_core.registry import Registry as Discover

    listed = [sets] if isinstance(sets, str) else list(sets)
    try:
        request = msgspec.convert(
            {"sets": listed, "to": to, "out": os.fspath(out), **settings}, ExportRequest
        )
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    return Export(request, registry or Discover.discover(), store, observer=observer).run()
