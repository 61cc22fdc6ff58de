"""The items that a user wants an export to have: those of a split, or of any Parquet file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.digests import file_digest
from ducho_core.errors import UsageError
from ducho_core.exporter import Universe
from ducho_core.extraction.digest_index import digest_keys, has_repeats

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEMS = "items.parquet"
SPLIT = "split.json"
_KEY = "item_id"


def given_items(given: str) -> Universe:
    """The universe that ``--items`` names.

    Args:
        given: a Parquet file with the column ``item_id``, or a folder with one called
            ``items.parquet``, such as a split.

    Raises:
        UsageError: there is none, it was changed since the split was frozen, or it has no such
            column, no row, a row without an id, or an id twice.
    """
    path = Path(given)
    if path.is_dir():
        path = path / ITEMS
        _check_frozen(path)
    if not path.is_file():
        raise UsageError(
            f"--items {given}: there is no such file; name a split's folder, or a Parquet file"
            f" with the column {_KEY}"
        )
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"--items {given} cannot be read as Parquet: {error}") from error
    if _KEY not in schema.names or not _of_strings(schema.field(_KEY).type):
        raise UsageError(
            f"--items {given}: it needs a column {_KEY} of strings, and has"
            f" {', '.join(f'{one.name} ({one.type})' for one in schema)}"
        )
    if not rows:
        raise UsageError(f"--items {given} has no row")

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[_KEY]):
                yield pa.record_batch({_KEY: batch[_KEY].cast(pa.string())})

    digests = []
    for batch in batches():
        if batch[_KEY].null_count:
            raise UsageError(f"--items {given} has a row without {_KEY}")
        digests.append(digest_keys(batch, (_KEY,)))
    if has_repeats(np.concatenate(digests)):
        raise UsageError(f"--items {given} has an item twice; each has one number")
    return Universe(name=f"{Path(given).name}", keys=(_KEY,), batches=batches)


def _of_strings(kind: pa.DataType) -> bool:
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held)
    )


def _check_frozen(path: Path) -> None:
    """See that the items of a split are those that it was frozen with.

    Raises:
        UsageError: they are others.
    """
    try:
        described = json.loads((path.parent / SPLIT).read_bytes())
        frozen = described["files"][ITEMS]["sha256"]
        changed = frozen != file_digest(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        changed = True
    if changed:
        raise UsageError(
            f"--items {path.parent}: {ITEMS} is not as {SPLIT} says it was frozen; restore the"
            " split from a copy, or make it anew"
        )


__all__ = ["given_items"]
