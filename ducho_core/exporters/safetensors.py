"""``core/safetensors``: all sets in one file, and the ids of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.exporter import Exporter, ExportNotes
from ducho_core.store.tensors import header

if TYPE_CHECKING:
    from ducho_core.exporter import ExportContext, ExportFolder, ExportRows

_FEATURES = "features.safetensors"


class SafetensorsExporter(Exporter):
    """``features.safetensors`` with a float32 tensor (n, dim) a set; the ids are in
    ``ids.parquet``.

    Where a policy filled in rows, a bool tensor ``LABEL.present`` (n,) says which are real.
    """

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls()

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        count = len(rows)
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
        for one, filled in zip(rows.inputs, rows.filled, strict=True):
            shapes[one.label] = "float32", (count, one.dim)
            if filled:
                shapes[f"{one.label}.present"] = "bool", (count,)
        head, starts = header(shapes, {"ids": "ids.parquet"})
        with folder.open(_FEATURES) as file:
            file.write(head)
            for batch in rows.batches():
                for at, one in enumerate(rows.inputs):
                    file.seek(starts[one.label] + batch.start * one.dim * 4)
                    file.write(np.ascontiguousarray(batch.values[at], "<f4").data)
                    mask = starts.get(f"{one.label}.present")
                    if mask is not None:
                        file.seek(mask + batch.start)
                        file.write(np.ascontiguousarray(batch.present[at]).data)
        return ExportNotes(next_step=f"safetensors.numpy.load_file('{_FEATURES}')")
