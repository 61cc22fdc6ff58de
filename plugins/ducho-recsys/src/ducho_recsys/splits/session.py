"""One split from request to folder: the order of a split stands here."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from ducho_core import UsageError, file_digest
from ducho_recsys.splits import filters, ways
from ducho_recsys.splits.content import content_sha256
from ducho_recsys.splits.folder import (
    DESCRIPTION,
    PAIR_SCHEMA,
    PARTS,
    Split,
    check_target,
    read_split,
    write_split,
)
from ducho_recsys.splits.interactions import Interactions, read_interactions, read_items
from ducho_recsys.splits.report import Steps
from ducho_recsys.splits.request import SplitRequest
from ducho_recsys.splits.tables import open_interactions, open_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ducho_recsys.splits.tables import Source

_SETTINGS = ("duplicates", "train_on", "relevant_at", "core", "how")


def split_interactions(
    source: str | os.PathLike[str], out: str | os.PathLike[str], **settings: Any
) -> Split:
    """Filter interactions, split them and freeze the split, as ``ducho split`` does.

    Args:
        source: a table of interactions: TSV, CSV, JSON Lines or Parquet.
        out: the folder that is written; absent or empty.
        settings: the other fields of ``SplitRequest``: ``how``, ``k_core``, ``train_on``, …

    Raises:
        UsageError: the settings do not fit, a filter leaves nothing, or ``out`` exists.
        SourceError: a table cannot be read; names file and line.
        DuchoError: the split cannot be written.
    """
    given = {"source": os.fspath(source), "out": os.fspath(out), **settings}
    for name in ("catalogue", "validation_file", "test_file"):
        if given.get(name) is not None:
            given[name] = os.fspath(given[name])
    try:
        request = msgspec.convert(given, SplitRequest)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    return make_split(request)


def make_split(request: SplitRequest) -> Split:
    """Carry out a request; see ``split_interactions``."""
    way = request.way()
    target = check_target(request.out)
    sources, catalogue = _open(request)
    opened = [*sources.values(), *([catalogue] if catalogue else [])]
    interactions, lengths = read_interactions(list(sources.values()))
    if request.how == "files":
        numbers = [PARTS.index(name) for name in sources]
        parts = np.repeat(np.array(numbers, np.int8), lengths)
        interactions = replace(interactions, parts=parts)
    steps = Steps()
    steps.add("read", interactions)
    interactions = _filter(interactions, request, catalogue, steps).compact()
    if interactions.parts is None:
        parts = ways.part(interactions, request.how, way)
    else:
        parts = interactions.parts
    interactions, parts = _trained_on(interactions, parts, request, steps)
    relevant = np.ones(len(interactions), np.bool_)
    if request.relevance is not None:
        relevant = filters.rated(interactions, request.relevance)
    told = steps.parts(interactions, parts, relevant)
    tables = _tables(interactions, parts, relevant)
    if request.how == "cold":
        names = np.array(PARTS)[ways.item_parts(interactions, way)]
        tables["items"] = tables["items"].append_column("part", pa.array(names, pa.string()))
    return write_split(
        target,
        tables,
        _train_digest(interactions, parts),
        _settings(request, way),
        {
            **told,
            "sources": _told(opened),
            "remarks": [remark for one in opened for remark in one.remarks],
            "made": {
                "by": _version(),
                "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            },
        },
    )


def earlier_split(request: SplitRequest) -> Split | None:
    """The split that the same request made before of the same files; None where ``out`` is free.

    Raises:
        UsageError: something else is there.
        DuchoError: a split is there, and was changed.
    """
    if not os.path.exists(os.path.join(request.out, DESCRIPTION)):
        return None
    split = read_split(request.out)
    sources, catalogue = _open(request)
    opened = [*sources.values(), *([catalogue] if catalogue else [])]
    if split.settings != _settings(request, request.way()):
        what = "with other settings"
    elif split.description["sources"] != _told(opened):
        what = "from other files"
    else:
        return split
    raise UsageError(
        f"{request.out} holds a split that was made {what}; a split is never overwritten: name"
        " another folder, or remove it"
    )


def _told(opened: Sequence[Source]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.reader.name,
            "sha256": file_digest(one.reader.path),
            "columns": one.columns,
        }
        for one in opened
    ]


def _open(request: SplitRequest) -> tuple[dict[str, Source], Source | None]:
    """The tables of interactions by part, and the catalogue."""
    paths = {"train": request.source}
    if request.how == "files":
        if request.validation_file is not None:
            paths["validation"] = request.validation_file
        assert request.test_file is not None
        paths["test"] = request.test_file
    sources = {name: open_interactions(path, request) for name, path in paths.items()}
    if request.catalogue is None:
        return sources, None
    return sources, open_items(request.catalogue, request)


def _filter(
    interactions: Interactions, request: SplitRequest, catalogue: Source | None, steps: Steps
) -> Interactions:
    if catalogue is not None:
        interactions = filters.in_catalogue(interactions, read_items(catalogue))
        steps.add(f"in {catalogue.reader.name}", interactions)
    if interactions.parts is not None:
        _check_apart(interactions)
    interactions = filters.without_duplicates(interactions, request.duplicates)
    steps.add("duplicates", interactions)
    if request.train_on is not None and interactions.parts is None:
        assert request.relevance is not None
        lowest = min(request.train_on, request.relevance)
        interactions = interactions.take(filters.rated(interactions, lowest))
        steps.add(f"rating >= {lowest:g}", interactions)
    users, items = request.cores
    if (users, items) != (1, 1):
        interactions = filters.k_core(
            interactions, users, items, iterate=request.core == "iterate"
        )
        word = f"{users}-core" if users == items else f"({users}, {items})-core"
        steps.add(word + (", once" if request.core == "once" else ""), interactions)
    return interactions


def _trained_on(
    interactions: Interactions, parts: ways.Parts, request: SplitRequest, steps: Steps
) -> tuple[Interactions, ways.Parts]:
    """Leave out of the train part what is not to be trained on."""
    if request.train_on is None:
        return interactions, parts
    kept = filters.rated(interactions, request.train_on) | (parts != ways.TRAIN)
    if not kept.all():
        interactions, parts = interactions.take(kept), parts[kept]
        steps.add(f"train >= {request.train_on:g}", interactions)
    return interactions, parts


def _check_apart(interactions: Interactions) -> None:
    """Say no where a pair of user and item stands in two files.

    Raises:
        UsageError: names one of them.
    """
    assert interactions.parts is not None
    pairs = interactions.pairs
    order = np.lexsort((interactions.parts, pairs))
    pairs, parts = pairs[order], interactions.parts[order]
    shared = np.flatnonzero((pairs[1:] == pairs[:-1]) & (parts[1:] != parts[:-1]))
    if len(shared):
        at = int(shared[0])
        raise UsageError(
            f"{len(shared)} interactions stand in two files, the first of"
            f" {interactions.named(int(order[at]))} in {PARTS[parts[at]]} and"
            f" {PARTS[parts[at + 1]]}: what is tested must not be trained on"
        )


def _tables(
    interactions: Interactions, parts: ways.Parts, relevant: npt.NDArray[np.bool_]
) -> dict[str, pa.Table]:
    tables = {
        "users": _ids("user_id", interactions.user_ids),
        "items": _ids("item_id", interactions.item_ids),
    }
    for number, name in enumerate(PARTS):
        rows = np.flatnonzero(parts == number)
        times = interactions.times
        keys: list[npt.NDArray[Any]] = [interactions.items[rows], interactions.users[rows]]
        if times is not None:
            keys.insert(1, np.where(np.isnan(times[rows]), -np.inf, times[rows]))
        rows = rows[np.lexsort(keys)]
        columns = [
            interactions.user_ids.take(pa.array(interactions.users[rows])),
            interactions.item_ids.take(pa.array(interactions.items[rows])),
            _nullable(interactions.ratings, rows),
            _nullable(times, rows),
            pa.array(relevant[rows]),
        ]
        tables[name] = pa.Table.from_arrays(columns, schema=PAIR_SCHEMA)
    return tables


def _train_digest(interactions: Interactions, parts: ways.Parts) -> str:
    # Interactions are in the order of their pairs since duplicates were taken out.
    train = interactions.take(parts == ways.TRAIN)
    return content_sha256(
        pa.table(
            {
                "user_id": train.user_ids.take(pa.array(train.users)),
                "item_id": train.item_ids.take(pa.array(train.items)),
            }
        )
    )


def _ids(name: str, ids: pa.StringArray) -> pa.Table:
    return pa.Table.from_arrays([ids], schema=pa.schema([pa.field(name, pa.string(), False)]))  # noqa: FBT003


def _nullable(values: npt.NDArray[np.float64] | None, rows: npt.NDArray[np.int64]) -> pa.Array:
    if values is None:
        return pa.nulls(len(rows), pa.float64())
    return pa.array(values[rows], from_pandas=True)


def _settings(request: SplitRequest, way: dict[str, Any]) -> dict[str, Any]:
    users, items = request.cores
    return {
        **{name: getattr(request, name) for name in _SETTINGS},
        "relevant_at": request.relevance,
        "user_core": users,
        "item_core": items,
        **way,
    }


def _version() -> str:
    from ducho_recsys import __version__

    return f"ducho-recsys {__version__}"


__all__ = ["earlier_split", "make_split", "split_interactions"]
