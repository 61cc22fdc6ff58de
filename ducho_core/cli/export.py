"""``ducho export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ducho_core.cli.output import emit, emit_json, get_registry, table
from ducho_core.cli.shown import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

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
@click.option(
    "--max-missing",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Refuse where a set lacks more than this share of the rows. [default: 0.05 where the"
    " exporter settles the rows, such as by a split]",
)
@click.option(
    "--items",
    metavar="SPLIT|FILE",
    help="Exactly the items of a split, or of a Parquet file with the column item_id, in their"
    " order.",
)
@click.option(
    "--id-map",
    metavar="EXPORT",
    help="Keep the numbers of an earlier export, a folder; new keys follow.",
)
@click.option(
    "--since",
    metavar="EXPORT",
    help="Write only rows that are not in an earlier export, or differ from it.",
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
    max_missing: float | None,
    items: str | None,
    id_map: str | None,
    since: str | None,
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
    from ducho_core.extraction.interrupt import terminable

    request = msgspec.convert(
        {
            "sets": sets,
            "to": to,
            "out": out,
            "options": options,
            "missing": missing,
            "max_missing": max_missing,
            "items": items,
            "id_map": id_map,
            "since": since,
            "overwrite": overwrite,
        },
        ExportRequest,
    )
    with terminable():
        report = Export(request, get_registry(context), store, observer=TerminalObserver()).run()
    if as_json:
        emit_json(report.as_dict())
    else:
        emit(summary(report))


def summary(report: ExportReport) -> str:
    """What an export wrote, for a person."""
    rows = f"{report.rows} row{'s' * (report.rows != 1)}"
    lines = [f"{rows} to {report.folder} by {report.exporter}, {report.seconds:.1f} s"]
    cells = [
        (one.label, one.dim, one.present, one.filled, one.dropped, one.zero, one.fingerprint[:12])
        for one in report.inputs
    ]
    headers = ["set", "dim", "rows", "filled", "dropped", "zero", "fingerprint"]
    lines += [f"  {line}" for line in table(headers, cells).splitlines()]
    if report.universe is not None:
        lines.append(f"  rows        the {report.universe.rows} of {report.universe.name}")
    if report.id_map is not None:
        kept = report.id_map
        lines.append(
            f"  numbers     {kept.earlier} kept, {kept.new} new"
            f"{_keys(', gone', kept.gone, kept.gone_examples)}"
        )
    if report.since is not None:
        since = report.since
        lines.append(
            f"  differences {since.new} new, {since.changed} changed, {since.unchanged} unchanged"
            f"{_keys(', gone', since.gone, since.gone_examples)}"
        )
    for one in report.inputs:
        for what, count, keys in (
            ("filled in", one.filled, one.filled_examples),
            ("vectors of length 0", one.zero, one.zero_examples),
        ):
            if count:
                lines.append(f"  {one.label}: {what}{_keys(',', count, keys)}")
    lines.append(f"  files       {', '.join(report.files)}")
    lines += [f"  {remark}" for remark in report.notes.remarks]
    if report.notes.next_step:
        lines.append(f"  next        {report.notes.next_step}")
    return "\n".join(lines)


def _keys(what: str, count: int, keys: Sequence[Sequence[str]]) -> str:
    if not count:
        return ""
    named = ", ".join(shown(" / ".join(key), 40) for key in keys[:5])
    number = f" {count}:" if what != "," else ""
    return f"{what}{number} {named}{', …' if count > 5 else ''}"
