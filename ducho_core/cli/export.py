"""``ducho export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ducho_core.cli.output import emit, emit_json, get_registry, table
from ducho_core.cli.shown import shown

if TYPE_CHECKING:
    from ducho_core.exporting.report import ExportReport

_EPILOG = """\b
Examples:
  ducho export both --to npy --out arrays/
  ducho export pictures titles --to parquet --out table/ --missing drop
  ducho export pictures --to ducho2 --out visual/ \\
      -o backend=torch -o model=ResNet50 -o layer=avgpool

The folder is filled to one side and put in place as a whole; an earlier export there is
replaced. export.json in it says what was written."""


@click.command(epilog=_EPILOG)
@click.argument("sets", metavar="SET...", nargs=-1, required=True)
@click.option("--to", required=True, help="The exporter, such as npy, parquet, csv, safetensors.")
@click.option("--out", required=True, metavar="DIR", help="The folder that is written.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the exporter; see ducho plugins show core/csv.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "drop", "zero", "mean"]),
    help="What to do with a key that a set has no row for. [default: error; nothing where the"
    " format keeps sets apart]",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export with all added to it.")
@click.option("--store", default="features", show_default=True, help="The store's folder.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def export(
    context: click.Context,
    /,
    *,
    sets: tuple[str, ...],
    to: str,
    out: str,
    options: tuple[str, ...],
    missing: str | None,
    overwrite: bool,
    store: str,
    as_json: bool,
) -> None:
    """Write each SET, with its rows aligned to the others', to a folder.

    SET is a name, a slug or a prefix, with :OUTPUT where it has several embeddings. Rows are
    joined by key, never by position; how the keys overlap is said first.
    """
    import msgspec

    from ducho_core.cli.running import TerminalObserver
    from ducho_core.exporting.request import ExportRequest
    from ducho_core.exporting.session import Export

    request = msgspec.convert(
        {
            "sets": sets,
            "to": to,
            "out": out,
            "options": options,
            "missing": missing,
            "overwrite": overwrite,
        },
        ExportRequest,
    )
    report = Export(request, get_registry(context), store, observer=TerminalObserver()).run()
    if as_json:
        emit_json(report.as_dict())
    else:
        emit(summary(report))


def summary(report: ExportReport) -> str:
    """What an export wrote, for a person."""
    lines = [f"{report.rows} rows to {report.folder} by {report.exporter}, {report.seconds:.1f} s"]
    cells = [
        (one.label, one.dim, one.present, one.filled, one.dropped, one.zero, one.fingerprint[:12])
        for one in report.inputs
    ]
    headers = ["set", "dim", "rows", "filled", "dropped", "zero", "fingerprint"]
    lines += [f"  {line}" for line in table(headers, cells).splitlines()]
    for one in report.inputs:
        if one.zero:
            keys = ", ".join(shown(" / ".join(key), 40) for key in one.zero_examples[:5])
            more = ", …" if one.zero > 5 else ""
            lines.append(f"  {one.label}: vectors of length 0, {keys}{more}")
    lines.append(f"  files       {', '.join(report.files)}")
    lines += [f"  {remark}" for remark in report.notes.remarks]
    if report.notes.next_step:
        lines.append(f"  next        {report.notes.next_step}")
    return "\n".join(lines)
