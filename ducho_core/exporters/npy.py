"""``core/npy``: one matrix a set, and the ids of its rows."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ducho_core.exporter import Exporter, ExportNotes

if TYPE_CHECKING:
    from ducho_core.exporter import ExportContext, ExportFolder, ExportRows


class NpyExporter(Exporter):
    """``LABEL.npy``, float32 (n, dim), for each set; the id of each row is in ``ids.parquet``.

    Where a policy filled in rows, ``LABEL.present.npy``, bool (n,), says which are real.
    """

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls()

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        with ExitStack() as stack:
            matrices = [
                stack.enter_context(folder.open(f"{one.label}.npy")) for one in rows.inputs
            ]
            masks = [
                stack.enter_context(folder.open(f"{one.label}.present.npy")) if filled else None
                for one, filled in zip(rows.inputs, rows.filled, strict=True)
            ]
            for one, matrix, mask in zip(rows.inputs, matrices, masks, strict=True):
                matrix.write(npy_header("<f4", (len(rows), one.dim)))
                if mask is not None:
                    mask.write(npy_header("|b1", (len(rows),)))
            for batch in rows.batches():
                for at, matrix in enumerate(matrices):
                    matrix.write(np.ascontiguousarray(batch.values[at], "<f4").data)
                    mask = masks[at]
                    if mask is not None:
                        mask.write(np.ascontiguousarray(batch.present[at]).data)
        first = rows.inputs[0].label
        return ExportNotes(
            next_step=f"numpy.load('{first}.npy'), pandas.read_parquet('ids.parquet')"
        )


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The beginning of a .npy file (NumPy's format, version 1.0)."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()
