"""One fusion from request to report: the order of a fusion stands here."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.errors import UsageError
from ducho_core.extraction.session import Silent
from ducho_core.extraction.versions import versions_behind
from ducho_core.fuser import FuserContext, FuserInput, RowFuser
from ducho_core.fusion import fitting
from ducho_core.fusion.committing import ChunkCommitter
from ducho_core.fusion.inputs import incomplete, open_inputs
from ducho_core.fusion.join import Join
from ducho_core.fusion.kinds import make_layout
from ducho_core.fusion.likeness import check_alike
from ducho_core.fusion.planning import pending_chunks, plan_new
from ducho_core.fusion.report import FusionReport
from ducho_core.fusion.request import FuseRequest
from ducho_core.fusion.settings import make_spec, sets_but_for_fit, with_fit
from ducho_core.fusion.taking import refuse_fitted, take
from ducho_core.options import build_options, parse_options, place_paths
from ducho_core.store import FeatureSet, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.extraction.session import Observer
    from ducho_core.fuser import Fuser
    from ducho_core.fusion.join import Coverage
    from ducho_core.fusion.joined import JoinedRows
    from ducho_core.fusion.layouts import Layout
    from ducho_core.fusion.taking import Taken
    from ducho_core.registry import Registry
    from ducho_core.store.writer import SetWriter

_ADVICE = (
    "Extract what is missing, or say what to do with it: --missing drop leaves these keys out,"
    " zero and mean fill them in"
)


class Fusion:
    """Carries out one request.

    Args:
        request: what the user asks for.
        registry: where fusers come from.
        store: the store's folder, which holds the sets and takes the new one.
        observer: told how it goes on.
        stop: set when the user wants to stop.
        folder: what options that are paths are relative to; the working folder if None.
    """

    def __init__(
        self,
        request: FuseRequest,
        registry: Registry,
        store: str | os.PathLike[str],
        *,
        observer: Observer | None = None,
        stop: threading.Event | None = None,
        folder: str | None = None,
    ) -> None:
        self._request = request
        self._found = registry.fuser(request.how)
        self._observer = observer or Silent()
        self._stop = stop or threading.Event()
        self._options = place_paths(self._parse_options(), folder)
        self._store_path = store
        spec, count = self._found.spec, len(request.sets)
        if count < spec.fewest or (spec.most is not None and count > spec.most):
            most = "or more" if spec.most is None else f"to {spec.most}"
            words = f"{spec.fewest} {most}" if spec.most != spec.fewest else f"{spec.fewest}"
            noun = "set" if words == "1" else "sets"
            raise UsageError(f"{self._found.canonical} takes {words} feature {noun}, not {count}")
        if spec.takes == "text" and request.missing == "mean":
            raise UsageError("texts have no mean: --missing is error, drop or zero (no text) here")

    def run(self) -> FusionReport:
        """Fuse what is pending.

        Raises:
            DuchoError: the fusion could not begin or go on; what was committed stays.
        """
        begun = time.perf_counter()
        store = Store(self._store_path)
        store.probe()
        inputs = open_inputs(store, self._request.sets, self._found.spec.takes)
        for line in incomplete(inputs):
            self._observer.say(line)
        join = Join(inputs)
        pa.default_memory_pool().release_unused()
        coverage = join.coverage()
        if len(inputs) > 1:
            self._observer.say(str(coverage))
        join.settle(self._request.missing, coverage, _ADVICE)
        context = FuserContext(
            inputs=tuple(
                FuserInput(
                    name=one.name,
                    label=one.made_by,
                    dim=one.dim,
                    keys=one.features.keys,
                    fingerprint=one.features.fingerprint,
                    output=one.output,
                )
                for one in inputs
            ),
            missing=self._request.missing,
        )
        fuser = self._found.import_implementation().open(self._options, context)
        taken = take(fuser, join, self._found.canonical)
        if taken is not None:
            refuse_fitted(store, inputs, fuser, self._found.canonical)
        layout = make_layout(fuser, join, lambda: store.temporary(".rows"), self._found.canonical)
        try:
            report = self._fuse(store, fuser, layout, coverage, taken)
        finally:
            layout.rows.close()
        report.seconds = time.perf_counter() - begun
        return report

    def _fuse(
        self,
        store: Store,
        fuser: Fuser,
        layout: Layout,
        coverage: Coverage,
        taken: Taken | None,
    ) -> FusionReport:
        missing = self._request.missing
        join = layout.rows.join
        fitted = isinstance(fuser, RowFuser) and fitting.needs_fit(fuser, layout.rows, missing)
        depends = fitted and self._request.fit_from is None
        depends |= not isinstance(fuser, RowFuser) or taken is not None
        depends |= missing in ("zero", "mean") and len(join.inputs) > 1
        if depends:
            join.release()  # digests of all rows take memory, too
        spec = make_spec(
            self._request,
            self._found,
            self._options if fuser.recorded is None else fuser.recorded,
            fuser,
            join.inputs,
            layout.keys,
            snapshots=depends,
            taken=taken,
        )
        pa.default_memory_pool().release_unused()
        content, reused, declared = None, False, fuser.outputs
        if fitted:
            assert isinstance(fuser, RowFuser)
            content, reused = self._fit(store, spec, fuser, layout.rows)
            spec = with_fit(spec, hashlib.sha256(content).hexdigest())
        elif self._request.fit_from is not None:
            raise UsageError(
                f"{self._found.canonical} has nothing to fit with these options: leave out"
                " --fit-from"
            )
        dims = fitting.settled_dims(fuser, declared, self._found.canonical)
        writer = store.create_set(spec, name=self._request.name)
        if content is not None:
            writer.put_fit(fitting.FIT_FILE, content)
        report = FusionReport(
            name=self._request.name or writer.path.name,
            path=str(writer.path.relative_to(store.path)),
            fingerprint=writer.fingerprint,
            how=self._found.canonical,
            missing=missing,
            coverage=coverage,
            dims=dims,
            rows=layout.count,
            dropped=len(join) - join.count - (taken.left if taken else 0),
            untaken=taken.left if taken else 0,
            takes_only=fuser.takes_only,
            fit=None if content is None else hashlib.sha256(content).hexdigest(),
            fit_reused=reused,
        )
        report.filled = tuple(int(np.count_nonzero(rows[join.kept] < 0)) for rows in join.rows)
        self._commit(writer, layout, report)
        return report

    def _fit(
        self, store: Store, spec: dict[str, Any], fuser: RowFuser, rows: JoinedRows
    ) -> tuple[bytes, bool]:
        missing = self._request.missing
        content = None
        if self._request.fit_from is not None:
            content = self._fit_of(store.open(self._request.fit_from), spec)
        else:
            for earlier in sets_but_for_fit(store, spec):
                content = fitting.read_fit(earlier.path, earlier.spec)
                if content is not None:
                    break
        reused = content is not None
        if content is None:
            self._observer.say("fitting")
            content = fitting.fit(fuser, rows, missing, self._stop)
        fitting.restore(content, fuser, rows, missing)
        if self._request.fit_from is not None:
            check_alike(store, store.open(self._request.fit_from), rows.join.inputs)
        return content, reused

    def _fit_of(self, features: FeatureSet, spec: dict[str, Any]) -> bytes:
        theirs = features.spec
        if "fuser" not in theirs or theirs["derived"]["fit"] is None:
            raise UsageError(f"{features.name} was not fitted: --fit-from takes a fitted set")
        for field in ("fuser", "options"):
            mine = {**spec[field], "label": None} if field == "fuser" else spec[field]
            other = {**theirs[field], "label": None} if field == "fuser" else theirs[field]
            if mine != other:
                raise UsageError(
                    f"{features.name} was fitted with another {field}, {other}, not {mine}: its"
                    " fit cannot be taken over"
                )
        content = fitting.read_fit(features.path, theirs)
        if content is None:
            raise UsageError(f"{features.path / 'fit'} is empty: fit {features.name} anew")
        return content

    def _commit(self, writer: SetWriter, layout: Layout, report: FusionReport) -> None:
        report.skipped = len(FeatureSet(writer.path))
        if not writer.plan_numbers():
            layout.rows.join.release()  # planning holds all keys, and looks none up
        plan_new(writer, layout)
        pa.default_memory_pool().release_unused()
        # A first pass for the row numbers alone tells how the inputs are best read.
        layout.prepare(one.numbers[one.numbers >= 0] for one in pending_chunks(writer, layout))
        pending = sum(len(one.numbers) for one in pending_chunks(writer, layout))
        if not pending:
            return
        run_id = new_run_id()
        writer.write_run(run_id, "start", self._circumstances(pending))
        self._observer.extracting(report.name, pending)
        commit = ChunkCommitter(
            writer, layout, report, run_id, str(self._request.dtype), self._observer.failed
        )
        try:
            for chunk in pending_chunks(writer, layout):
                if self._stop.is_set():
                    report.interrupted = True
                    break
                if writer.chunk_path(chunk.plan, chunk.chunk).exists():
                    report.elsewhere += len(chunk.numbers)
                else:
                    commit(chunk)
                self._observer.advanced(len(chunk.numbers))
        finally:
            self._observer.finished()
            writer.write_run(run_id, "end", {"finished": _now(), **report.as_dict()})

    def _parse_options(self) -> Any:
        name, kind = self._found.canonical, self._found.options_type()
        given = self._request.options
        if isinstance(given, Mapping):
            return build_options(name, kind, None, given)[0]
        return parse_options(name, kind, None, given)[0]

    def _circumstances(self, pending: int) -> dict[str, Any]:
        return {
            "started": _now(),
            "pending": pending,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
            "processors": os.cpu_count(),
            "versions": versions_behind(self._found.distribution),
        }


def new_run_id() -> str:
    """A name for a run; the footers of the chunks that it commits hold it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def fuse(
    sets: Sequence[str],
    how: str,
    *,
    store: str | os.PathLike[str] = "features",
    observer: Observer | None = None,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    **settings: Any,
) -> FusionReport:
    """Fuse feature sets from Python, as ``ducho fuse`` does.

    Args:
        sets: the sets, ``NAME[:OUTPUT]`` each.
        how: the fuser: NAME or PLUGIN/NAME.
        store: the store's folder, which takes the new set too.
        observer: told how it goes on.
        registry: where plugins come from; discovered where not given.
        stop: an event that ends the run after the chunk in hand.
        settings: the other fields of ``FuseRequest``: ``options``, ``missing``, ``name``,
            ``fit_from``, ``dtype``, ``variant``.

    Raises:
        DuchoError: as the command line says it.
    """
    import msgspec

    from ducho_core.registry import Registry as Discover

    listed = [sets] if isinstance(sets, str) else list(sets)
    try:
        request = msgspec.convert({"sets": listed, "how": how, **settings}, FuseRequest)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    found = registry or Discover.discover()
    return Fusion(request, found, store, observer=observer, stop=stop).run()
