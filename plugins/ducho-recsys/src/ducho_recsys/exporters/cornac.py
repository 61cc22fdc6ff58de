"""``recsys/cornac``: arrays for Cornac, and the split beside them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core import ExportNotes, npy_header
from ducho_recsys.exporters.base import SplitExporter
from ducho_recsys.exporters.numbering import PARTS

if TYPE_CHECKING:
    from ducho_core import ExportFolder, ExportRows
    from ducho_recsys.exporters.numbering import Numbered


class CornacExporter(SplitExporter):
    """``LABEL.npy``, float32 (n, dim), a set; ``items.parquet``; the split's three parts.

    ``ducho_recsys.cornac`` makes of this folder what Cornac takes: a modality with a row for each
    item, and the interactions. Cornac itself takes a set that lacks an item, and then gives that
    item another one's vector.
    """

    framework: ClassVar[str] = "Cornac"

    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """See ``SplitExporter.write_numbered``."""
        with ExitStack() as stack:
            files = [stack.enter_context(folder.open(f"{one.label}.npy")) for one in rows.inputs]
            for file, one in zip(files, rows.inputs, strict=True):
                file.write(npy_header("<f4", (len(rows), one.dim)))
            for batch in rows.batches():
                for file, values in zip(files, batch.values, strict=True):
                    file.write(np.ascontiguousarray(values, "<f4").data)
        with folder.open("items.parquet") as file:
            pq.write_table(pa.table({"item_id": numbered.items}), file, compression="zstd")
        for name in PARTS:
            part = numbered.parts[name]
            table = pa.table(
                {
                    "user_id": numbered.users.take(pa.array(part.users)),
                    "item_id": numbered.items.take(pa.array(part.items)),
                    "rating": _column(part.ratings, len(part)),
                    "timestamp": _column(part.times, len(part)),
                }
            )
            with folder.open(f"{name}.parquet") as file:
                pq.write_table(table, file, compression="zstd")
        known, tested = _known(numbered, "test")
        remarks = [*numbered.remarks()]
        if known < tested:
            none = "" if known else ", which leaves none to test on"
            remarks.append(
                f"{tested - known} of {tested} test interactions are of users or with items that"
                f" nothing is trained on: Cornac leaves them out with exclude_unknowns=True{none}"
            )
        # Cornac stops where exclude_unknowns leaves a part empty, and without it at items that
        # are validated on alone.
        validated = known and (
            _known(numbered, "validation")[0] or not len(numbered.parts["validation"])
        )
        before = "" if validated else "parts = cornac.splits('.'); parts.pop('val_data', None); "
        parts = "cornac.splits('.')" if validated else "parts"
        return ExportNotes(
            remarks=tuple(remarks),
            next_step=f"from ducho_recsys import cornac; {before}BaseMethod.from_splits(**{parts},"
            f" item_image=cornac.modality('.', '{rows.inputs[0].label}'),"
            f" exclude_unknowns={bool(known)})",
        )


def _known(numbered: Numbered, name: str) -> tuple[int, int]:
    """Interactions of a part with users and items that are trained on, and all of the part."""
    train, part = numbered.parts["train"], numbered.parts[name]
    known = np.isin(part.users, train.users) & np.isin(part.items, train.items)
    return int(np.count_nonzero(known)), len(part)


def _column(values: np.ndarray | None, count: int) -> pa.Array:
    return pa.nulls(count, pa.float64()) if values is None else pa.array(values)


__all__ = ["CornacExporter"]
