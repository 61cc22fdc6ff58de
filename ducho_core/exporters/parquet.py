"""``core/parquet``: one table with the keys and a column of vectors a set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.exporter import Exporter, ExportNotes
from ducho_core.store.schema import embedding_array, embedding_type

if TYPE_CHECKING:
    from ducho_core.exporter import ExportContext, ExportFolder, ExportRows

_FEATURES = "features.parquet"


class ParquetExporter(Exporter):
    """``features.parquet``: key columns, then a list of floats ``LABEL`` for each set.

    Where a policy filled in rows, a bool column ``LABEL.present`` says which are real.
    """

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls()

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        with folder.open(_FEATURES) as file:
            write_rows(rows, file)
        return ExportNotes(next_step=f"pandas.read_parquet('{_FEATURES}')")


def write_rows(rows: ExportRows, file: Any) -> None:
    """Write the keys and a column of vectors a set, and which rows are real where some are not.

    Args:
        rows: the rows.
        file: open for writing.
    """
    schema = row_schema(rows)
    with pq.ParquetWriter(
        file,
        schema,
        compression=dict.fromkeys(rows.keys, "zstd"),
        use_dictionary=False,
        write_statistics=list(rows.keys),
        write_page_checksum=True,
    ) as writer:
        for batch in rows.batches():
            arrays: list[pa.Array] = [batch.keys[name] for name in rows.keys]
            for at, filled in enumerate(rows.filled):
                arrays.append(embedding_array(batch.values[at]))
                if filled:
                    arrays.append(pa.array(batch.present[at]))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def row_schema(rows: ExportRows) -> pa.Schema:
    """The columns that ``write_rows`` writes."""
    columns = [pa.field(name, pa.string(), nullable=False) for name in rows.keys]
    for one, filled in zip(rows.inputs, rows.filled, strict=True):
        kind = embedding_type(one.dim, "float32")
        columns.append(pa.field(_column(one.label, rows), kind, nullable=False))
        if filled:
            columns.append(pa.field(f"{one.label}.present", pa.bool_(), nullable=False))
    return pa.schema(columns)


def _column(label: str, rows: ExportRows) -> str:
    return f"{label}-vector" if label in rows.keys else label
