"""``ducho fuse``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ducho_core.cli.output import emit, emit_json, get_registry

if TYPE_CHECKING:
    from ducho_core.fusion.report import FusionReport
    from ducho_core.fusion.request import FuseRequest
    from ducho_core.registry import Registry

EXIT_FAILURES = 3

_EPILOG = """\b
Examples:
  ducho fuse pictures titles --how concat -o scale=l2 --name both
  ducho fuse pictures titles --how mean -o weights=1,3 --missing drop
  ducho fuse pictures --how pool --name item-pictures

Running the same command again does what is pending. Exit codes: 0 all stored, 1 error,
2 wrong usage, 3 some rows could not be stored."""


@click.command(epilog=_EPILOG)
@click.argument("sets", metavar="SET...", nargs=-1, required=True)
@click.option("--how", required=True, help="The fuser, such as concat, sum, mean, mul, max.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the fuser; see ducho plugins show core/concat.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "drop", "zero", "mean"]),
    default="error",
    show_default=True,
    help="What to do with a key that a set has no row for.",
)
@click.option("--name", help="A name of your own for the new set.")
@click.option("--fit-from", metavar="SET", help="Take over the fit of this set; fit nothing.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="How the new vectors are stored.",
)
@click.option("--variant", default="", help="Keeps repeated measurements apart.")
@click.option("--store", default="features", show_default=True, help="The store's folder.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@click.pass_context
def fuse(
    context: click.Context,
    /,
    *,
    sets: tuple[str, ...],
    how: str,
    options: tuple[str, ...],
    missing: str,
    name: str | None,
    fit_from: str | None,
    dtype: str,
    variant: str,
    store: str,
    as_json: bool,
) -> None:
    """Fuse each SET with the others into a new feature set of the store.

    SET is a name, a slug or a prefix, with :OUTPUT where it has several embeddings. Rows are
    joined by key, never by position; how the keys overlap is said first.
    """
    import msgspec

    from ducho_core.fusion.request import FuseRequest

    request = msgspec.convert(
        {
            "sets": sets,
            "how": how,
            "options": options,
            "missing": missing,
            "name": name,
            "fit_from": fit_from,
            "dtype": dtype,
            "variant": variant,
        },
        FuseRequest,
    )
    code, report = carry_out(request, get_registry(context), store)
    emit_json(report.as_dict()) if as_json else emit(summary(report))
    context.exit(code)


def carry_out(
    request: FuseRequest, registry: Registry, store: str, folder: str | None = None
) -> tuple[int, FusionReport]:
    """Carry out a fusion; returns the exit code and what was done."""
    from ducho_core.cli.running import TerminalObserver
    from ducho_core.extraction.interrupt import interruptible
    from ducho_core.fusion.session import Fusion

    observer = TerminalObserver()
    with interruptible(observer.say) as interruption:
        fusion = Fusion(
            request, registry, store, observer=observer, stop=interruption.event, folder=folder
        )
        report = fusion.run()
    if interruption.signal:
        return interruption.exit_code, report
    return EXIT_FAILURES if report.failed else 0, report


def summary(report: FusionReport) -> str:
    """What a fusion did, for a person."""
    dims = ", ".join(f"{name} of {dim}" for name, dim in report.dims.items())
    if report.stored or report.failed or report.elsewhere:
        head = f"{report.name}: {report.stored} stored of {report.rows} in {report.seconds:.1f} s"
    else:
        head = f"{report.name}: nothing to do, {report.skipped} stored before"
    filled = ", ".join(
        f"{count} of {name}"
        for name, count in zip(report.coverage.names, report.filled, strict=False)
        if count
    )
    rows = [
        ("makes", f"{dims} by {report.how}"),
        ("skipped", f"{report.skipped} stored before" if report.stored and report.skipped else ""),
        ("elsewhere", f"{report.elsewhere} by another process" if report.elsewhere else ""),
        ("dropped", f"{report.dropped} not in every set" if report.dropped else ""),
        ("left out", f"{report.untaken} that are no {report.takes_only}" * bool(report.untaken)),
        ("filled", f"{filled}, by {report.missing}" if filled else ""),
        ("failed", ", ".join(f"{count} {code}" for code, count in report.failed.items())),
        ("fit", f"{report.fit[:12]}…{', reused' * report.fit_reused}" if report.fit else ""),
        ("set", report.path),
    ]
    lines = [head, *(f"  {word:<10}{text}" for word, text in rows if text)]
    if report.interrupted:
        lines.append("  interrupted: the same command goes on from here")
    return "\n".join(lines)
