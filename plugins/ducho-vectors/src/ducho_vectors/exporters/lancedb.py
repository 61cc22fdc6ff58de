"""``vectors/lancedb``: a table with the ids and a column of vectors for each set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import lancedb
import numpy as np
import pyarrow as pa

from ducho_core import Exporter, ExportNotes
from ducho_vectors.streaming import Source, written_by
from ducho_vectors.usable import Usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ducho_core import ExportContext, ExportFolder, ExportRows
    from ducho_vectors.options import LanceDBOptions

FOLDER = "lancedb"
TABLE = "items"

_METRICS = {"cosine": "cosine", "ip": "dot", "l2": "l2"}


class LanceDBExporter(Exporter):
    """The table ``items`` in the database ``lancedb``: ``item_id`` and ``vector``.

    Several sets have a column each, called like their labels. Vectors are
    ``fixed_size_list<float32>[dim]``, exact; null where a set has none for the item. An item is
    there where it has at least one. Rows go through in blocks; memory does not grow with them.
    """

    def __init__(self, options: LanceDBOptions) -> None:
        self._options = options

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls(options)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        names = _columns(rows)
        fields = [pa.field(name, pa.string(), nullable=False) for name in rows.keys]
        fields += [
            pa.field(name, pa.list_(pa.float32(), one.dim))
            for name, one in zip(names, rows.inputs, strict=True)
        ]
        schema = pa.schema(fields)
        with Usable(rows, folder, self._options.metric, unit=False) as usable:
            source = Source(_batches(rows, usable, schema))
            with folder.tree(FOLDER) as place, written_by("LanceDB", source):
                reader = pa.RecordBatchReader.from_batches(schema, source)
                # Otherwise LanceDB refuses a null where it takes a column for vectors.
                lancedb.connect(str(place)).create_table(TABLE, data=reader, on_bad_vectors="null")
        metric = _METRICS[self._options.metric]
        return ExportNotes(
            remarks=usable.remarks,
            next_step=(
                f"import lancedb; table = lancedb.connect('{FOLDER}').open_table('{TABLE}');"
                f" found = table.search(query, vector_column_name='{names[0]}')"
                f".distance_type('{metric}').limit(10).to_arrow()"
                f"  # query: float32 ({rows.inputs[0].dim},)"
            ),
        )


def _batches(rows: ExportRows, usable: Usable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in rows.batches():
        columns = []
        kept = np.zeros(len(batch), np.bool_)
        for at in range(len(rows.inputs)):
            positions, vectors = usable.choose(batch, at)
            columns.append((positions, vectors))
            kept[positions] = True
        if not kept.any():
            continue
        mask = pa.array(kept)
        arrays: list[pa.Array] = [batch.keys[name].filter(mask) for name in rows.keys]
        for positions, vectors in columns:
            arrays.append(_with_nulls(len(batch), positions, vectors).filter(mask))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _with_nulls(
    count: int, positions: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]
) -> pa.Array:
    """A column of ``count`` rows that has vectors at the given positions and is null elsewhere."""
    dim = vectors.shape[1]
    whole = np.zeros((count, dim), np.float32)
    whole[positions] = vectors
    null = np.ones(count, np.bool_)
    null[positions] = False
    return pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), dim, mask=pa.array(null))


def _columns(rows: ExportRows) -> list[str]:
    if len(rows.inputs) == 1:
        return ["vector"]
    return [f"{one.label}-vector" if one.label in rows.keys else one.label for one in rows.inputs]
