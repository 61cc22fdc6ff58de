"""The aligned rows that an exporter writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ducho_core.exporter import ExportBatch, ExportInput
from ducho_core.exporting.idmap import row_digests
from ducho_core.fusion.join import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from ducho_core.exporting.numbering import Numbering
    from ducho_core.extraction.digest_index import Digests
    from ducho_core.fuser import FuserBatch
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.fusion.joined import JoinedRows
    from ducho_core.store.rows import Rows

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
            spec=one.features.spec,
        )
        for one in inputs
    )


class AlignedRows:
    """See ``ducho_core.ExportRows``.

    Args:
        joined: the joined sets, with what stands in for missing rows.
        numbering: the rows of the export.

    Attributes:
        numbering: the rows of the export.
        present: for each input which rows it has, (n,).
        digests: for each input the digest of each row that it has, (n, 2), once it was read.
        zeros: for each input, rows whose vector has length 0, counted as rows are read.
        zero_keys: the first of these keys.
    """

    def __init__(self, joined: JoinedRows, numbering: Numbering) -> None:
        self._joined = joined
        self.numbering = numbering
        self.keys = numbering.keys
        self.inputs = export_inputs(joined.join.inputs)
        there = numbering.places != ABSENT
        self.present = []
        for every in joined.join.rows:
            here = there.copy()
            here[there] = every[numbering.places[there]] != ABSENT
            self.present.append(here)
        self.filled = tuple(int(np.count_nonzero(~here)) for here in self.present)
        self.digests: list[Digests] = [np.zeros((len(self), 2), np.uint64) for _ in self.inputs]
        self.zeros = [0] * len(self.inputs)
        self.zero_keys: list[list[tuple[str, ...]]] = [[] for _ in self.inputs]
        self._seen = 0
        joined.prepare(self._blocks())

    def __len__(self) -> int:
        return len(self.numbering)

    def batches(self) -> Iterator[ExportBatch]:
        """See ``ducho_core.ExportRows.batches``."""
        for at in range(self.numbering.batch_count):
            span = self.numbering.span(at)
            batch = self._read(at)
            yield ExportBatch(
                start=span.start,
                numbers=self.numbering.numbers[span],
                keys=batch.keys,
                values=batch.values,
                present=batch.present,
            )

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """See ``ducho_core.ExportRows.key_batches``."""
        return self.numbering.key_batches()

    def finish(self) -> None:
        """Read what nobody has read, so that all is counted."""
        while self._seen < self.numbering.batch_count:
            self._read(self._seen)

    def _read(self, at: int) -> FuserBatch:
        places = self.numbering.places[self.numbering.span(at)]
        batch = self._joined.batch(places, self.numbering.key_batch(at))
        if at == self._seen:
            self._note(batch, self.numbering.span(at))
            self._seen += 1
        return batch

    def _blocks(self) -> Iterator[Rows]:
        for at in range(self.numbering.batch_count):
            yield self.numbering.places[self.numbering.span(at)]

    def _note(self, batch: FuserBatch, span: slice) -> None:
        for at, (values, present) in enumerate(zip(batch.values, batch.present, strict=True)):
            self.digests[at][span] = row_digests(values, present)
            zero = np.flatnonzero(present & ~values.any(axis=1))
            self.zeros[at] += len(zero)
            shown = zero[: _EXAMPLES - len(self.zero_keys[at])] + span.start
            self.zero_keys[at] += self.numbering.keys_at(shown)
