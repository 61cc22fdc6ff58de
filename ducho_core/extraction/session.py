"""One extraction from request to report: the order of a run stands here."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ducho_core.errors import UsageError
from ducho_core.extraction.interrupt import Interruption
from ducho_core.extraction.job import Job
from ducho_core.extraction.planning import Plan, Planner, plan_until_won
from ducho_core.extraction.preparing import Chunk
from ducho_core.extraction.report import Report
from ducho_core.extraction.request import ExtractionRequest, merge_options
from ducho_core.extraction.settings import Target, make_targets
from ducho_core.extraction.spool import Spool
from ducho_core.extraction.versions import versions_behind
from ducho_core.extractor import ResolveContext, Resolved
from ducho_core.options import build_options, parse_options
from ducho_core.store import Store
from ducho_core.store.spec import fingerprint, folder_name

if TYPE_CHECKING:
    from ducho_core.extraction.engine import Engine
    from ducho_core.loader import Loader
    from ducho_core.registry import Found, Registry
    from ducho_core.specs import ExtractorSpec
    from ducho_core.store.writer import SetWriter


class Observer(Protocol):
    """Told how an extraction goes on."""

    def say(self, text: str) -> None:
        """Something the user should know."""

    def planning(self, rows: int) -> None:
        """So many more rows of the source have been read."""

    def extracting(self, name: str, rows: int) -> None:
        """So many items are pending and extraction begins."""

    def advanced(self, items: int) -> None:
        """So many more items have been dealt with."""

    def failed(self, failures: int) -> None:
        """So many more items have failed."""

    def finished(self) -> None:
        """No more progress will be told."""


class Silent:
    """An observer that keeps everything to itself."""

    def say(self, text: str) -> None: ...

    def planning(self, rows: int) -> None: ...

    def extracting(self, name: str, rows: int) -> None: ...

    def advanced(self, items: int) -> None: ...

    def failed(self, failures: int) -> None: ...

    def finished(self) -> None: ...


class Session:
    """Carries out one request.

    Args:
        request: what the user asks for.
        registry: where plugins come from.
        store: the store's folder.
        observer: told how it goes on.
        interruption: says when the user wants to stop.
    """

    def __init__(
        self,
        request: ExtractionRequest,
        registry: Registry,
        store: str | os.PathLike[str],
        *,
        observer: Observer | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        self._request = request
        self._registry = registry
        self._store_path = Path(store)
        self._observer = observer or Silent()
        self._interruption = interruption or Interruption()
        self._found: Found[ExtractorSpec] = registry.extractor(request.plugin)
        self._spec = self._found.spec
        self._options, self._run_options = self._parse_options()
        self._precision = request.precision or self._spec.default_precision
        if request.slots == "joint" and not self._spec.joint:
            raise UsageError(
                f"{self._found.canonical} takes one image or text at a time; leave --slots joint"
                " out, and put the rows of an item together afterwards: ducho fuse SET --how pool"
            )
        self._loader: Loader = self._open_loader()
        for remark in self._loader.remarks:
            self._observer.say(remark)

    def run(self) -> list[Report]:
        """Extract what is pending; one report a feature set.

        Raises:
            DuchoError: the run could not begin or go on; what was committed stays.
        """
        begun = time.perf_counter()
        store = Store(self._store_path, create=True)
        store.probe()
        resolved = self._resolve()
        reports = []
        engine_type = self._registry.engine(self._request.engine).import_implementation()
        with engine_type(
            stop=self._interruption.event,
            say=self._observer.say,
            on_items=self._observer.advanced,
        ) as engine:
            for target in self._targets(resolved):
                if self._interruption.event.is_set():
                    break
                reports.append(self._run_target(store, resolved, target, engine, begun))
                begun = time.perf_counter()
        return reports

    def dry_run(self) -> list[Report]:
        """Plan without writing anything; one report a feature set, with what is pending."""
        reports = []
        exists = (self._store_path / "STORE.json").is_file()
        store = Store(self._store_path) if exists else None
        for target in self._targets(self._resolve()):
            writer = store.find(fingerprint(target.spec)) if store is not None else None
            name = self._set_name(target) or folder_name(target.spec)
            report = Report(
                name=name,
                path=str(target_path(target)),
                fingerprint=fingerprint(target.spec),
            )
            with tempfile.TemporaryDirectory(prefix="ducho-") as folder:
                spool = Spool(Path(folder) / "spool.arrow")
                try:
                    planner = self._planner(target, writer, spool, Path(folder) / "plans.arrow")
                    planner.dry_run()
                    _count_plan(report, planner.plan)
                finally:
                    spool.close()
            reports.append(report)
        return reports

    def _parse_options(self) -> tuple[Any, Any]:
        request, found = self._request, self._found
        options = merge_options(request.options, model=request.model, device=request.device)
        options_type, run_type = found.options_type(), found.run_options_type()
        if isinstance(options, Mapping):
            return build_options(found.canonical, options_type, run_type, options)
        return parse_options(found.canonical, options_type, run_type, options)

    def _open_loader(self, only: Sequence[str] | None = None) -> Loader:
        request = self._request
        binding = request.binding(self._spec, str(self._store_path))
        if only is not None:
            modalities = {one.modality for one in self._loader.inputs if one.name in only}
            binding = binding.narrowed(modalities)
        found = (
            self._registry.loader(request.loader)
            if request.loader
            else self._registry.loader_for(request.source)
        )
        options = request.loader_options
        if "set" in found.spec.schemes:
            options = merge_options(options, store=str(self._store_path))
        if isinstance(options, Mapping):
            parsed, _ = build_options(found.canonical, found.options_type(), None, options)
        else:
            parsed, _ = parse_options(found.canonical, found.options_type(), None, options)
        loader: Loader = found.import_implementation().open(request.source, binding, parsed)
        if request.slots == "joint" and "slot" in loader.keys:
            raise UsageError(
                f"--slots joint: {request.source} has a row for each slot, so they cannot be put"
                " into one; give the item's slots as one column with a list, or as a path with *"
            )
        return loader

    def _resolve(self) -> Resolved:
        context = ResolveContext(
            precision=self._precision,
            run_options=self._run_options,
            inputs=self._loader.inputs,
        )
        resolved: Resolved = self._found.import_implementation().resolve(self._options, context)
        for remark in resolved.remarks:
            self._observer.say(remark)
        return resolved

    def _targets(self, resolved: Resolved) -> list[Target]:
        request = self._request
        targets = make_targets(
            self._found.canonical,
            self._spec,
            resolved,
            self._loader,
            slots=request.slots,
            stored_dtype=request.dtype,
            catalogue=request.catalogue,
            revision=0,
            variant=request.variant,
            narrowed=self._open_loader,
        )
        self._several = len(targets) > 1
        return targets

    def _set_name(self, target: Target) -> str | None:
        if self._request.name and self._several:
            return f"{self._request.name}-{'-'.join(target.requires)}"
        return self._request.name

    def _planner(
        self, target: Target, writer: SetWriter | None, spool: Spool, plans: Path
    ) -> Planner:
        request = self._request
        fields = [one for one in target.loader.inputs if one.name in target.requires]
        return Planner(
            loader=target.loader,
            fields=fields,
            writer=writer,
            spool=spool,
            plans=plans,
            chunk_size=request.chunk_size or self._spec.chunk_size,
            ramp=request.chunk_size is None,
            retry_failed=request.retry_failed,
            rehash=request.rehash,
            on_rows=self._observer.planning,
        )

    def _run_target(
        self, store: Store, resolved: Resolved, target: Target, engine: Engine, begun: float
    ) -> Report:
        name = self._set_name(target)
        writer = store.create_set(target.spec, name=name)
        report = Report(
            name=name or writer.path.name,
            path=str(writer.path.relative_to(store.path)),
            fingerprint=writer.fingerprint,
        )
        with _spool_in(writer) as make_spool:
            spools: list[Spool] = []

            def make() -> Planner:
                spools.append(make_spool())
                return self._planner(target, writer, spools[-1], writer.temporary(".plans"))

            plan, planner = plan_until_won(make)
            report.seconds["plan"] = time.perf_counter() - begun
            _count_plan(report, plan)
            if plan.pending and not self._interruption.event.is_set():
                self._extract(store, resolved, target, engine, writer, report, planner, spools[-1])
        report.interrupted = self._interruption.event.is_set()
        report.seconds["total"] = time.perf_counter() - begun
        return report

    def _extract(
        self,
        store: Store,
        resolved: Resolved,
        target: Target,
        engine: Engine,
        writer: SetWriter,
        report: Report,
        planner: Planner,
        spool: Spool,
    ) -> None:
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        job = self._job(store, resolved, target, run_id)
        writer.write_run(run_id, "start", self._circumstances(job, report))
        self._observer.extracting(report.name, report.rows)
        loaded_before = engine.load_seconds
        try:
            chunks = _chunks(planner, spool, writer, report)
            for result in engine.run(job, chunks):
                report.add(result)
                self._observer.failed(sum(result.failed.values()))
        finally:
            self._observer.finished()
            report.loaded = engine.load_seconds > loaded_before
            report.seconds["load"] = engine.load_seconds - loaded_before
            end = {"finished": _now(), "extractor": engine.circumstances, **report.as_dict()}
            writer.write_run(run_id, "end", end)

    def _job(self, store: Store, resolved: Resolved, target: Target, run_id: str) -> Job:
        request, spec = self._request, self._spec
        return Job(
            plugin=self._found.canonical,
            implementation=self._found.import_implementation(),
            resolved=resolved,
            run_options=self._run_options,
            store=store.path,
            spec=target.spec,
            outputs=target.outputs,
            fields=tuple(one for one in target.loader.inputs if one.name in target.requires),
            root=target.loader.root,
            batch_size=request.batch_size or spec.batch_size,
            batch_budget=request.batch_budget or spec.batch_budget,
            padded=spec.padded,
            workers=request.workers or min(4, os.cpu_count() or 1),
            run_id=run_id,
        )

    def _circumstances(self, job: Job, report: Report) -> dict[str, Any]:
        return {
            "started": _now(),
            "source": os.path.basename(os.path.normpath(self._request.source)),
            "pending": report.rows,
            "device": getattr(self._run_options, "device", None),
            "batch_size": job.batch_size,
            "batch_budget": job.batch_budget,
            "workers": job.workers,
            "engine": self._registry.engine(self._request.engine).canonical,
            "precision_word": self._precision,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
            "processors": os.cpu_count(),
            "versions": versions_behind(self._found.distribution),
        }


def target_path(target: Target) -> Path:
    """Where a store keeps the set of a target, relative to the store."""
    from ducho_core.store.spec import inputs_name

    catalogue: Any = target.spec["catalogue"]
    return Path(catalogue["name"]) / inputs_name(target.spec) / folder_name(target.spec)


def _chunks(planner: Planner, spool: Spool, writer: SetWriter, report: Report) -> Iterator[Chunk]:
    filed = set(spool.chunks())
    for chunk in planner.plan.pending:
        # Only saves work: the commit itself decides who was first.
        if writer.chunk_path(*chunk).exists():
            report.elsewhere += planner.chunk_rows[chunk]
            continue
        inputs = spool.read(chunk) if chunk in filed else planner.empty_inputs()
        yield Chunk(*chunk, inputs=inputs, planned=planner.chunk_rows[chunk])


def _count_plan(report: Report, plan: Plan) -> None:
    report.rows = plan.rows + plan.withdrawn
    report.skipped = plan.stored
    report.failed_before = plan.failed
    report.absent_before = plan.absent
    report.duplicates = plan.duplicates


@contextmanager
def _spool_in(writer: SetWriter) -> Iterator[Any]:
    """Spools in the set's own temporary folder, on the disk that will take the result."""
    made: list[Spool] = []

    def make() -> Spool:
        for spool in made:
            spool.close()
        made.append(Spool(writer.temporary(".spool")))
        return made[-1]

    try:
        yield make
    finally:
        for spool in made:
            spool.close()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def extract(
    source: str | os.PathLike[str],
    plugin: str,
    *,
    store: str | os.PathLike[str] = "features",
    observer: Observer | None = None,
    registry: Registry | None = None,
    **settings: Any,
) -> list[Report]:
    """Extract features from Python, as ``ducho extract`` does.

    Args:
        source: a folder, a table, or ``set:NAME:OUTPUT``.
        plugin: PLUGIN or PLUGIN/NAME.
        store: the store's folder; created where there is none.
        observer: told how it goes on.
        registry: where plugins come from; discovered where not given.
        settings: the fields of ``ExtractionRequest``, such as ``image="img/{item_id}.jpg"``.

    Returns:
        One report a feature set.

    Raises:
        DuchoError: as the command line says it.
    """
    import msgspec

    from ducho_core.registry import Registry as Discover

    try:
        request = msgspec.convert(
            {"source": os.fspath(source), "plugin": plugin, **settings}, ExtractionRequest
        )
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    return Session(request, registry or Discover.discover(), store, observer=observer).run()
