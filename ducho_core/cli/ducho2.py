"""What ``ducho run`` does with a configuration of Ducho 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core.cli import export, fuse
from ducho_core.cli.output import emit, emit_json, say
from ducho_core.cli.running import (
    EXIT_FAILURES,
    TerminalObserver,
    exit_code,
    pending_summary,
    summary,
)
from ducho_core.ducho2.carrying_out import CarryingOut
from ducho_core.ducho2.loading import load
from ducho_core.errors import UsageError
from ducho_core.extraction.interrupt import interruptible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.extraction.report import Report
    from ducho_core.registry import Registry


def run_configuration(
    path: str,
    overrides: Sequence[str],
    registry: Registry,
    store: str,
    *,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
) -> int:
    """Carry out a configuration and write Ducho 2.0's output tree.

    Returns:
        The exit code, as of a recipe.

    Raises:
        DuchoError: something of the configuration cannot be done; nothing has been then.
    """
    loaded = load(path, overrides)
    for remark in loaded.remarks.lines:
        say(str(remark))
    if loaded.remarks.left_out:
        raise UsageError(
            f"{len(loaded.remarks.left_out)} of the above cannot be done, so nothing is; ducho"
            " convert-config prints the rest as a recipe"
        )
    results: list[dict[str, Any]] = []
    reports: list[Report] = []

    def show(report: Any, text: str) -> None:
        results.append(report.as_dict())
        if not as_json:
            emit(text)

    observer = TerminalObserver()
    with interruptible(observer.say) as interruption:
        work = CarryingOut(
            loaded.plan, registry, store, observer=observer, interruption=interruption
        )
        for several in work.extract(dry_run=dry_run):
            reports += several
            for report in several:
                show(report, pending_summary(report) if dry_run else summary(report, store))
        code = exit_code(reports, interruption, allow_failures=allow_failures)
        # Where something is left pending, what would be written is not what was asked for.
        if not dry_run and code in (0, EXIT_FAILURES):
            for fused in work.fuse():
                show(fused, fuse.summary(fused))
                if fused.failed and not allow_failures:
                    code = EXIT_FAILURES
            for exported in work.export():
                show(exported, export.summary(exported))
            code = interruption.exit_code if interruption.signal else code
    if as_json:
        emit_json(results)
    return code
