"""What ``extract`` and ``run`` share: progress, the summary, exit codes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ducho_core.cli.output import emit, emit_json, say
from ducho_core.extraction.interrupt import Interruption, interruptible
from ducho_core.extraction.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from ducho_core.extraction.report import Report
    from ducho_core.extraction.request import ExtractionRequest
    from ducho_core.registry import Registry

EXIT_FAILURES = 3
_PLAIN_SECONDS = 60.0


def carry_out(
    requests: Sequence[ExtractionRequest],
    registry: Registry,
    store: str,
    *,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
) -> int:
    """Carry out extractions one after the other and print what they did.

    Returns:
        The exit code: 0 all stored, 1 chunks were left pending, 3 new failures, 128 + n after
        signal n.
    """
    code, reports = extract_all(
        requests,
        registry,
        store,
        dry_run=dry_run,
        allow_failures=allow_failures,
        as_json=as_json,
    )
    if as_json:
        emit_json([report.as_dict() for report in reports])
    return code


def extract_all(
    requests: Sequence[ExtractionRequest],
    registry: Registry,
    store: str,
    *,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
) -> tuple[int, list[Report]]:
    """As ``carry_out``, but JSON is left to the caller."""
    reports: list[Report] = []
    observer = TerminalObserver()
    with interruptible(observer.say) as interruption:
        # All requests are checked before the first model is loaded.
        sessions = [
            Session(one, registry, store, observer=observer, interruption=interruption)
            for one in requests
        ]
        for session in sessions:
            if interruption.event.is_set():
                break
            new = session.dry_run() if dry_run else session.run()
            reports.extend(new)
            if not as_json:
                for report in new:
                    emit(pending_summary(report) if dry_run else summary(report, store))
    return exit_code(reports, interruption, allow_failures=allow_failures), reports


def exit_code(
    reports: Sequence[Report], interruption: Interruption, *, allow_failures: bool
) -> int:
    if interruption.signal:
        return interruption.exit_code
    if any(report.left for report in reports):
        return 1
    if not allow_failures and any(report.failures for report in reports):
        return EXIT_FAILURES
    return 0


def pending_summary(report: Report) -> str:
    """What a dry run found."""
    known = _listed(
        {
            "stored before": report.skipped,
            "failed before": report.failed_before,
            "absent before": report.absent_before,
        }
    )
    return (
        f"{report.name}: {report.rows} pending{', ' + known if known else ''}\n"
        f"  set       {report.path}"
    )


def summary(report: Report, store: str) -> str:
    """What an extraction did, for a person."""
    before = {
        "stored before": report.skipped,
        "failed before": report.failed_before,
        "absent before": report.absent_before,
    }
    lines = []
    if report.rows == 0:
        lines.append(f"{report.name}: nothing to do, no model was loaded ({_listed(before)})")
        if report.failed_before:
            lines.append("  failed before are tried again with --retry-failed")
    else:
        busy = report.seconds["total"]
        rate = report.stored / busy if busy else 0.0
        lines.append(
            f"{report.name}: {report.stored} stored of {report.rows} pending in {busy:.1f} s"
            f" ({rate:.1f} items/s)"
        )
        rows = [
            ("skipped", _listed(before)),
            ("elsewhere", f"{report.elsewhere} by another process" if report.elsewhere else ""),
            ("absent", str(report.absent or "")),
            ("withdrawn", f"{report.withdrawn} left the source" if report.withdrawn else ""),
            ("repeated", f"{report.repeated} computed once for all" if report.repeated else ""),
            ("failed", f"{report.failures} ({_listed(report.failed)})" if report.failed else ""),
            ("notes", _listed(report.notes)),
            ("means", ", ".join(f"{name} {mean:.3g}" for name, mean in report.means.items())),
        ]
        lines += [f"  {word:<10}{text}" for word, text in rows if text]
        lines += [f"            {key}: {code}: {text}" for key, code, text in report.examples]
        lines.append(f"  time      {_times(report)}")
    if report.duplicates:
        lines.append(f"  {report.duplicates} row(s) repeat a key with the same content")
    lines.append(f"  set       {report.path}")
    if report.failures:
        where = "" if store == "features" else f" --store {store}"
        lines.append(f"  failures  ducho store failures {report.name}{where}")
    for reason, count in report.left.items():
        lines.append(f"  {count} chunk(s) left pending: {reason}")
    if report.interrupted:
        lines.append("  interrupted: the same command goes on from here")
    elif report.left:
        lines.append("  the same command tries again")
    return "\n".join(lines)


def _times(report: Report) -> str:
    parts = [f"plan {report.seconds['plan']:.1f} s"]
    if report.loaded:
        parts.append(f"load {report.seconds['load']:.1f} s")
    parts.append(
        f"extract {report.seconds['extract']:.1f} s, waiting for inputs"
        f" {report.seconds['wait']:.1f} s; beside it prepare {report.seconds['prepare']:.1f} s"
        f" of threads, write {report.seconds['write']:.1f} s"
    )
    return ", ".join(parts)


def _listed(counts: Any) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


class TerminalObserver:
    """A progress bar where stderr is a terminal, a line a minute where it is not."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._rows = self._done = self._failures = self._read = 0
        self._begun = self._told = time.monotonic()

    def say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False)
        else:
            say(text)

    def planning(self, rows: int) -> None:
        self._read += rows
        if self._terminal and self._read >= 100_000:
            self._bar(f"reading the source: {self._read} rows", None)

    def extracting(self, name: str, rows: int) -> None:
        self._read = self._done = self._failures = 0
        self._name, self._rows = name, rows
        self._begun = self._told = time.monotonic()
        if self._terminal:
            self._bar(name, rows)

    def advanced(self, items: int) -> None:
        self._done += items
        if self._progress is not None and self._task is not None:
            rate = self._done / max(1e-3, time.monotonic() - self._begun)
            self._progress.update(self._task, completed=self._done, rate=f"{rate:.1f} items/s")
        elif time.monotonic() - self._told >= _PLAIN_SECONDS:
            self._told = time.monotonic()
            rate = self._done / (self._told - self._begun)
            left = (self._rows - self._done) / rate if rate else 0.0
            say(
                f"{self._name}: {self._done} of {self._rows}, {rate:.1f} items/s,"
                f" {left / 60:.0f} min left, {self._failures} failed"
            )

    def failed(self, failures: int) -> None:
        self._failures += failures
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, failures=self._failures)

    def finished(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def _bar(self, description: str, total: int | None) -> None:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failures]} failed"),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(description, total=total, failures=0, rate="")
        assert self._task is not None
        self._progress.update(self._task, description=description, total=total)
