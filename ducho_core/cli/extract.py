"""``ducho extract``."""

from __future__ import annotations

from typing import Any

import click

from ducho_core.cli.output import get_registry

_EPILOG = """\b
Examples:
  ducho extract photos/ --plugin starter/image
  ducho extract items.tsv --plugin starter/text --text '{title}. {description}'
  ducho extract items.tsv --plugin timm --model resnet50.a1_in1k --image 'images/{item_id}.jpg'

Running the same command again does what is pending. Exit codes: 0 all stored, 1 error,
2 wrong usage, 3 this run left new failures."""


@click.command(epilog=_EPILOG)
@click.argument("source")
@click.option("--plugin", required=True, help="PLUGIN or PLUGIN/NAME, such as starter/image.")
@click.option("--model", help="Short for -o model=MODEL.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the extractor; see ducho plugins show PLUGIN.",
)
@click.option("--store", default="features", show_default=True, help="The store's folder.")
@click.option("--name", help="A name of your own for the feature set.")
@click.option(
    "--catalogue", default="main", show_default=True, help="The collection that keys belong to."
)
@click.option("--variant", default="", help="Keeps repeated measurements apart.")
@click.option("--loader", help="A loader, where the source does not tell.")
@click.option(
    "-l",
    "--loader-option",
    "loader_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the loader; see ducho plugins show core/table.",
)
@click.option(
    "--pattern", help="Of a folder: how file names give keys, such as '{item_id}_{slot}'."
)
@click.option("--key", multiple=True, metavar="COLUMN", help="Key column; twice for reviews.")
@click.option(
    "--text",
    multiple=True,
    metavar="[NAME=]COLUMN|TEMPLATE",
    help="Where the text is; none leaves it out.",
)
@click.option(
    "--image", metavar="COLUMN|TEMPLATE", help="Where the image's path is; none leaves it out."
)
@click.option(
    "--audio", metavar="COLUMN|TEMPLATE", help="Where the sound's path is; none leaves it out."
)
@click.option(
    "--slots",
    type=click.Choice(["all", "first", "joint"]),
    default="all",
    show_default=True,
    help="An item's several images or texts: a row each, the first alone, or all of them in one"
    " row, for models that take several at once.",
)
@click.option("--root", help="Folder that every path must lie in. [default: the source's]")
@click.option("--null", metavar="A,B", help="Cell contents that mean nothing, as nan,N/A.")
@click.option("--clean", metavar="A,B", help="Text cleanings: html, whitespace, ducho2.")
@click.option(
    "--precision",
    type=click.Choice(["exact", "fast", "native"]),
    help="exact: as the reference library in float32; fast: bf16 and the like;"
    " native: the checkpoint's own. [default: the extractor's]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="How embeddings are stored.",
)
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps. [default: auto]")
@click.option("--batch-size", type=click.IntRange(1), help="Cap on the items of a batch.")
@click.option("--batch-budget", type=click.IntRange(1), help="Cap on a batch's tokens or pixels.")
@click.option("--chunk-size", type=click.IntRange(1, 1_000_000), help="Rows a chunk.")
@click.option("--workers", type=click.IntRange(1, 256), help="Threads that prepare items.")
@click.option("--engine", default="core/local", show_default=True)
@click.option("--retry-failed", is_flag=True, help="Try failed items again.")
@click.option("--rehash", is_flag=True, help="Hash every input again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--allow-failures", is_flag=True, help="Exit 0 in spite of new failures.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@click.pass_context
def extract(
    context: click.Context,
    /,
    *,
    store: str,
    options: tuple[str, ...],
    loader_options: tuple[str, ...],
    pattern: str | None,
    null: str | None,
    clean: str | None,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Extract features of the items in SOURCE into a store.

    SOURCE is a folder of images, texts or sounds; a table (.tsv, .csv, .jsonl, .parquet); or
    set:NAME:OUTPUT, a text of another feature set.
    """
    # Heavy imports wait until the command really runs.
    from ducho_core.cli.running import carry_out
    from ducho_core.extraction.request import ExtractionRequest, merge_options

    request = ExtractionRequest(
        options=options,
        loader_options=merge_options(loader_options, pattern=pattern),
        null=_listed(null),
        clean=_listed(clean),
        **flags,
    )
    code = carry_out(
        [request],
        get_registry(context),
        store,
        dry_run=dry_run,
        allow_failures=allow_failures,
        as_json=as_json,
    )
    context.exit(code)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
