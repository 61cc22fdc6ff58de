"""``core/ducho2``: the tree of arrays that Ducho 2.0 wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.exporter import Exporter, ExportNotes
from ducho_core.exporters.npy import npy_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.exporter import ExportContext, ExportFolder, ExportRows
    from ducho_core.exporters.options import Ducho2Options


class Ducho2Exporter(Exporter):
    """``BACKEND/MODEL/LAYER/ITEM_ID.npy`` for each set, float32 (1, dim).

    Reviews are ``USER_ID__ITEM_ID.npy``. Each set is written with the items that it has. Ids
    are not cut at their first dot, as 2.0 did; those that are no safe file name are encoded,
    and listed in ``ids.tsv``.
    """

    def __init__(self, places: Sequence[tuple[str, ...]]) -> None:
        self._places = places

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:
        """See ``Exporter.open``."""
        places = _places(options, len(context.inputs))
        twice = [place for place in places if places.count(place) > 1]
        if twice:
            raise UsageError(
                f"two sets would be written to {'/'.join(twice[0])}: give each its own backend,"
                " model or layer"
            )
        return cls(places)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        headers = [npy_header("<f4", (1, one.dim)) for one in rows.inputs]
        items = [folder.item_files(parts, ".npy", rows) for parts in self._places]
        for batch in rows.batches():
            columns = [batch.keys[name].to_pylist() for name in rows.keys]
            keys = list(zip(*columns, strict=True))
            for at, header in enumerate(headers):
                values = np.ascontiguousarray(batch.values[at], "<f4")
                for row in np.flatnonzero(batch.present[at]).tolist():
                    items[at].write(keys[row], header + values[row].tobytes())
        return ExportNotes()


def _places(options: Ducho2Options, count: int) -> list[tuple[str, ...]]:
    three = {name: getattr(options, name) for name in ("backend", "model", "layer")}
    missing = [name for name, given in three.items() if not given]
    if options.folders:
        if len(missing) < len(three):
            raise UsageError("give backend, model and layer, or folders, not both")
        whole = _each(options.folders, count, "folders")
        places = [tuple(part for part in one.split("/") if part) for one in whole]
        if not all(places):
            raise UsageError("folders must not be empty")
        return places
    if missing:
        raise UsageError(
            f"core/ducho2 needs the option {missing[0]!r}: the tree is BACKEND/MODEL/LAYER; give"
            f" -o {missing[0]}=…"
        )
    places = []
    for backend, model, layer in zip(
        *(_each(given, count, name) for name, given in three.items()), strict=True
    ):
        middle = [part for part in model.split("/") if part]
        if not backend or not layer or not middle:
            raise UsageError("backend, model and layer must not be empty")
        places.append((backend, *middle, layer))
    return places


def _each(given: Sequence[str], count: int, option: str) -> Sequence[str]:
    if len(given) not in (1, count):
        raise UsageError(
            f"option {option!r} has {len(given)} values for {count} feature sets: give one for"
            " all, or one each"
        )
    return tuple(given) * count if len(given) == 1 else tuple(given)
