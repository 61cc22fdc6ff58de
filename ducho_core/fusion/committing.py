"""One chunk of a fused set: made, checked, committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.errors import StoreError
from ducho_core.fusion.kinds import check_made
from ducho_core.store.schema import embedding_array, scale_name, to_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ducho_core.fusion.layouts import Layout
    from ducho_core.fusion.planning import PendingChunk
    from ducho_core.fusion.report import FusionReport
    from ducho_core.store.writer import SetWriter

_MESSAGES = {
    "non_finite": "the fuser gave NaN or infinity for this key",
    "overflow": "a value is too large for the stored type",
}


def _failures(keys: pa.RecordBatch, codes: Sequence[str], run_id: str) -> pa.Table:
    columns: dict[str, Any] = {name: keys[name] for name in keys.schema.names}
    columns["status"] = ["failed"] * len(codes)
    columns["stage"] = ["check"] * len(codes)
    columns["code"] = list(codes)
    columns["message"] = [_MESSAGES[code] for code in codes]
    columns["input_sha256"] = pa.array([None] * len(codes), pa.binary(32))
    columns["run_id"] = [run_id] * len(codes)
    return pa.table(
        {
            name: pa.array(column, pa.string()) if isinstance(column, list) else column
            for name, column in columns.items()
        }
    )


@dataclass(frozen=True, slots=True)
class ChunkCommitter:
    """Makes and commits chunks.

    Attributes:
        writer: the fused set.
        layout: makes its rows.
        report: counts them.
        run_id: names the run.
        dtype: how vectors are stored.
        failed: told of new failures.
    """

    writer: SetWriter
    layout: Layout
    report: FusionReport
    run_id: str
    dtype: str
    failed: Callable[[int], None]

    def __call__(self, chunk: PendingChunk) -> None:
        """Make the rows of a chunk and commit them with what could not be stored.

        Raises:
            ContractError: the fuser returned what it may not.
            StoreError: they cannot be written, or an input has lost rows.
        """
        keys = chunk.keys
        gone = np.flatnonzero(chunk.numbers < 0)
        if len(gone):
            first = " / ".join(keys[name][int(gone[0])].as_py() for name in self.layout.keys)
            raise StoreError(
                f"{len(gone)} keys that {self.report.name} is to hold, such as {first[:80]!r}, are"
                " no longer in what it is fused of, whose rows never go by themselves: `ducho"
                " store verify` finds what is damaged; extract that again, then fuse"
            )
        made, digests = self.layout.make(chunk.numbers, keys)
        good = check_made(made, self.report.dims, keys.num_rows, self.report.how)
        codes = np.where(good, "", "non_finite")
        columns: dict[str, Any] = {name: keys[name] for name in self.layout.keys}
        for name in self.report.dims:
            stored, scale, unfit = to_stored(made[name], self.dtype)
            codes[unfit & good] = "overflow"
            columns[name] = embedding_array(stored)
            if scale is not None:
                columns[scale_name(name)] = pa.array(scale)
        columns["input_sha256"] = pa.array(digests, pa.binary(32))
        rows = pa.table(columns)
        failed = codes != ""
        failures = _failures(keys.filter(pa.array(failed)), codes[failed].tolist(), self.run_id)
        if failed.any():
            rows = rows.filter(pa.array(~failed))
        if not self.writer.commit_chunk(chunk.plan, chunk.chunk, rows, failures, self.run_id):
            self.report.elsewhere += len(chunk.numbers)
            return
        self.report.stored += rows.num_rows
        self.report.failed.update(code for code in failures["code"].to_pylist())
        self.failed(failures.num_rows)
