"""``ducho neighbours``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ducho_core.cli.output import emit, emit_json, table
from ducho_core.cli.shown import shown
from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from ducho_core.store import FeatureSet

_EPILOG = """\b
Examples:
  ducho neighbours starter-image mug-01
  ducho neighbours titles mug-01 mug-02 -k 5
  ducho neighbours reviews '["user-7", "mug-01"]'"""


@click.command(epilog=_EPILOG)
@click.argument("feature_set", metavar="SET")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option(
    "-k", "count", type=click.IntRange(1), default=10, show_default=True, help="How many each."
)
@click.option("--store", default="features", show_default=True, help="The store's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def neighbours(
    feature_set: str, keys: tuple[str, ...], count: int, store: str, *, as_json: bool
) -> None:
    """The items of SET that are nearest to each KEY, by cosine.

    SET is a name, a slug or a prefix, with :OUTPUT where it has several embeddings. KEY is an
    item_id, or the user_id where rows are about users; where an item has several rows, each of
    them is asked about. One row of them is a JSON list of all its key columns.
    """
    from ducho_core.store import Store
    from ducho_core.store import neighbours as nearest

    features = Store(store).open(feature_set)
    rows = [row for key in keys for row in _rows(features, key)]
    found = nearest.neighbours(features, rows, count)
    if as_json:
        emit_json(
            {
                "set": features.path.name,
                "output": features.embedding(),
                "neighbours": [
                    {
                        "key": dict(zip(features.keys, row, strict=True)),
                        "nearest": [
                            {
                                **dict(zip(features.keys, one.key, strict=True)),
                                "cosine": round(one.cosine, 6),
                            }
                            for one in near
                        ],
                    }
                    for row, near in zip(rows, found, strict=True)
                ],
            }
        )
        return
    for at, (row, near) in enumerate(zip(rows, found, strict=True)):
        if at:
            emit("")
        emit(f"nearest to {shown(' / '.join(row))}")
        headers = ["", *features.keys, "cosine"]
        lines = [
            [rank, *map(shown, one.key), f"{one.cosine:.4f}"] for rank, one in enumerate(near, 1)
        ]
        emit(table(headers, lines))


def _rows(features: FeatureSet, key: str) -> list[tuple[str, ...]]:
    from ducho_core.store.neighbours import rows_of_item

    if len(features.keys) == 1 or not key.startswith("["):
        return rows_of_item(features, key)
    try:
        parts = json.loads(key)
    except ValueError:
        return rows_of_item(features, key)
    if len(parts) != len(features.keys) or not all(isinstance(one, str) for one in parts):
        raise UsageError(f"a key of {features.name} is {json.dumps(list(features.keys))}")
    return [tuple(parts)]
