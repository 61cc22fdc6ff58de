"""``ducho split``. Imports click, and the rest when it is run."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """\b
Examples:
  ducho split ratings.csv --out split --train-on 4 --k-core 5
  ducho split ratings.tsv --no-header --out split --how leave-one-out
  ducho split ratings.csv --catalogue items.tsv --out cold --how cold
  ducho split train.tsv --how files --validation-file val.tsv \\
      --test-file test.tsv --out split

A split is frozen: it is never overwritten, and every reader checks its sha256. The same
interactions and settings give the same split, in whatever order the rows are."""


@click.command(epilog=_EPILOG)
@click.argument("source", metavar="INTERACTIONS")
@click.option("--out", required=True, metavar="DIR", help="The folder that is written.")
@click.option("--user", metavar="COLUMN", help="Column of the user; its position if no header.")
@click.option("--item", metavar="COLUMN", help="Column of the item.")
@click.option("--rating", metavar="COLUMN", help="Column of the rating, or none.")
@click.option("--timestamp", metavar="COLUMN", help="Column of the time, or none.")
@click.option(
    "--header/--no-header",
    default=None,
    help="Whether the first line names the columns. Without: user, item, rating, time in this"
    " order, or by --user 1 --item 2.  [default: header]",
)
@click.option("--separator", help="tab, comma, semicolon, pipe, space or one character.")
@click.option(
    "--quoting",
    type=click.Choice(["auto", "minimal", "none"]),
    help="none where quotes are ordinary characters.  [default: auto]",
)
@click.option("--encoding", help="Of a TSV or CSV file.  [default: utf-8]")
@click.option(
    "--catalogue", metavar="TABLE", help="Leave out interactions with items that are not in it."
)
@click.option("--catalogue-item", metavar="COLUMN", help="Column of the item in the catalogue.")
@click.option(
    "--duplicates",
    type=click.Choice(["last", "first", "max", "mean", "error"]),
    help="What is kept of several interactions of a user with an item.  [default: last]",
)
@click.option("--train-on", type=float, metavar="RATING", help="Train on ratings from here on.")
@click.option(
    "--relevant-at",
    type=float,
    metavar="RATING",
    help="Ratings from here on are relevant in the other parts.  [default: as --train-on]",
)
@click.option(
    "--k-core", type=int, metavar="K", help="Fewest interactions of a user and of an item."
)
@click.option("--user-core", type=int, metavar="K", help="Fewest interactions of a user.")
@click.option("--item-core", type=int, metavar="K", help="Fewest interactions of an item.")
@click.option(
    "--core",
    type=click.Choice(["iterate", "once"]),
    help="Until nothing changes, or users once and then items once.  [default: iterate]",
)
@click.option(
    "--how",
    type=click.Choice(["random", "leave-one-out", "user-time", "time", "cold", "files"]),
    help="Each user's at random, the last one of each user, the last share of each user, one cut"
    " in time for all, some items altogether, or your own files.  [default: random]",
)
@click.option("--seed", type=int, help="Another seed draws others.  [default: 42]")
@click.option(
    "--test-ratio",
    type=float,
    metavar="SHARE",
    help="For the test; floor(n * (1 - SHARE)) stay.  [default: 0.2]",
)
@click.option(
    "--validation-ratio",
    type=float,
    metavar="SHARE",
    help="Of the rest, for validation; 0 for none.  [default: 0.1]",
)
@click.option(
    "--validation/--no-validation",
    default=None,
    help="Of leave-one-out and cold: whether there is a validation part.  [default: validation]",
)
@click.option(
    "--pick",
    type=click.Choice(["last", "random"]),
    help="Of leave-one-out: which one is left out.  [default: last]",
)
@click.option(
    "--cold-share",
    type=float,
    metavar="SHARE",
    help="Of cold: items held out, half of them for validation.  [default: 0.2]",
)
@click.option("--test-from", metavar="TIME", help="Of time: a number or a date, 2024-01-31.")
@click.option("--validation-from", metavar="TIME", help="Of time: where validation begins.")
@click.option("--validation-file", metavar="TABLE", help="Of files: the validation part.")
@click.option("--test-file", metavar="TABLE", help="Of files: the test part.")
@click.option("--json", "as_json", is_flag=True, help="What was counted, as JSON.")
def split(*, as_json: bool, **given: Any) -> None:
    """Filter and split INTERACTIONS, and freeze the split.

    A table with a user, an item and, where there are, a rating and a time in each row. What
    every filter costs is counted. Exports and pooling of reviews take the split by its folder.
    """
    from ducho_recsys.splits.report import as_dict, summary
    from ducho_recsys.splits.session import split_interactions

    settings = {name: value for name, value in given.items() if value is not None}
    made = split_interactions(**settings)
    if as_json:
        import json

        click.echo(json.dumps(as_dict(made), ensure_ascii=False, indent=2))
    else:
        click.echo(summary(made))
