"""The aligned rows that an exporter writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ducho_core.exporter import ExportBatch, ExportInput
from ducho_core.fusion.join import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from ducho_core.fuser import FuserBatch
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.fusion.joined import JoinedRows

_EXAMPLES = 10


def export_inputs(inputs: Sequence[SetInput]) -> tuple[ExportInput, ...]:
    """What an exporter is told of its inputs."""
    return tuple(
        ExportInput(
            name=one.name,
            label=one.label,
            dim=one.dim,
            fingerprint=one.features.fingerprint,
            output=one.output,
            rows=len(one.features),
        )
        for one in inputs
    )


class AlignedRows:
    """See ``ducho_core.ExportRows``.

    Args:
        rows: the joined rows, the policy applied.

    Attributes:
        zeros: for each input, rows whose vector has length 0, counted as rows are read.
        zero_keys: the first of these keys.
    """

    def __init__(self, rows: JoinedRows) -> None:
        self._rows = rows
        join = rows.join
        self.keys = join.keys
        self.inputs = export_inputs(join.inputs)
        self.filled = tuple(
            int(np.count_nonzero(every[join.kept] == ABSENT)) for every in join.rows
        )
        self._count = join.count
        self.zeros = [0] * len(self.inputs)
        self.zero_keys: list[list[tuple[str, ...]]] = [[] for _ in self.inputs]
        self._seen = 0
        rows.prepare(join.blocks(rows.block))

    def __len__(self) -> int:
        return self._count

    def batches(self) -> Iterator[ExportBatch]:
        """See ``ducho_core.ExportRows.batches``."""
        start = 0
        for numbers in self._rows.join.blocks(self._rows.block):
            batch = self._rows.batch(numbers, self._rows.join.key_batch(numbers))
            if start == self._seen:
                self._count_zeros(batch)
                self._seen += len(numbers)
            yield ExportBatch(
                start=start, keys=batch.keys, values=batch.values, present=batch.present
            )
            start += len(numbers)

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """See ``ducho_core.ExportRows.key_batches``."""
        for numbers in self._rows.join.blocks(self._rows.block):
            yield self._rows.join.key_batch(numbers)

    def _count_zeros(self, batch: FuserBatch) -> None:
        for at, (values, present) in enumerate(zip(batch.values, batch.present, strict=True)):
            zero = np.flatnonzero(present & ~values.any(axis=1))
            self.zeros[at] += len(zero)
            for row in zero[: _EXAMPLES - len(self.zero_keys[at])].tolist():
                key = tuple(batch.keys[name][row].as_py() for name in self.keys)
                self.zero_keys[at].append(key)
