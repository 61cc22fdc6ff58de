"""``ducho lvlm slots``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core import FeatureSet

EXIT_FAILURES = 3

_EPILOG = """\b
Examples:
  ducho lvlm slots described --name attributes
  ducho lvlm slots described --slot slot_color --slot slot_material -o top=20
  ducho lvlm slots tomorrow --mapping attributes --name attributes-tomorrow

Running the same command again does what is pending. The options of -o are listed by
`ducho plugins show lvlm/slots`."""


@click.command(epilog=_EPILOG)
@click.argument("described", metavar="SET")
@click.option(
    "--slot",
    "chosen",
    multiple=True,
    metavar="OUTPUT",
    help="A text output to take; every slot_… of the set if not given.",
)
@click.option("--name", help="A name of your own for the new set.")
@click.option(
    "--mapping",
    metavar="SET",
    help="Take over the columns of this set, made by this command; cluster nothing.",
)
@click.option(
    "--text-plugin", metavar="PLUGIN", help="Embeds the values.  [default: starter/text]"
)
@click.option("--threshold", metavar="DISTANCE", help="Of clusters.  [default: 0.45]")
@click.option("--top", metavar="N", help="Columns a slot.  [default: 50]")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="Any option.")
@click.option("--variant", default="", help="Keeps repeated measurements apart.")
@click.option("--store", default="features", show_default=True, help="The store's folder.")
@click.option("--show", default=10, show_default=True, help="Clusters to list of each slot.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON, with every column.")
@click.pass_context
def slots(
    context: click.Context,
    /,
    *,
    described: str,
    chosen: tuple[str, ...],
    name: str | None,
    mapping: str | None,
    text_plugin: str | None,
    threshold: str | None,
    top: str | None,
    options: tuple[str, ...],
    variant: str,
    store: str,
    show: int,
    as_json: bool,
) -> None:
    """Make one-hot attributes of the descriptions in SET, as a new feature set.

    Values of a slot that mean the same share a column: lower case, lemmas, then clusters of
    their vectors. Columns are the most frequent clusters of each slot; a rarer value is
    `other`, an item without a value `missing`.
    """
    import json

    from ducho_core import Store, fuse
    from ducho_lvlm.slots.report import as_text, summarize
    from ducho_lvlm.slots.request import outputs_of, settled_options

    opened = Store(store)
    frozen = opened.open(mapping) if mapping is not None else None
    given = _pairs(options, text_plugin=text_plugin, threshold=threshold, top=top)
    report = fuse(
        [f"{described}:{output}" for output in outputs_of(opened.open(described), chosen, frozen)],
        "lvlm/slots",
        store=store,
        observer=_Talk(),
        options=settled_options(given, frozen),
        name=name,
        fit_from=mapping,
        variant=variant,
    )
    made: FeatureSet = opened.open(report.fingerprint)
    summary = summarize(made, report)
    if as_json:
        click.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    else:
        click.echo(as_text(summary, show))
    context.exit(EXIT_FAILURES if report.failed else 0)


def _pairs(options: Sequence[str], **flags: str | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    listed = [*options, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    for pair in listed:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"an option is written -o key=value, not {pair!r}")
        if key.strip() in pairs:
            raise click.UsageError(f"{key.strip()!r} is given twice: keep one")
        pairs[key.strip()] = value
    return pairs


class _Talk:
    """Tells on stderr what should be known."""

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def planning(self, rows: int) -> None: ...

    def extracting(self, name: str, rows: int) -> None:
        click.echo(f"{name}: {rows} rows", err=True)

    def advanced(self, items: int) -> None: ...

    def failed(self, failures: int) -> None: ...

    def finished(self) -> None: ...
