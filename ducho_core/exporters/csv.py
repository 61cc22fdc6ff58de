"""``core/csv``: one table with the keys and a column a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from ducho_core.exporter import Exporter, ExportNotes

if TYPE_CHECKING:
    from ducho_core.exporter import ExportContext, ExportFolder, ExportRows
    from ducho_core.exporters.options import CsvOptions

_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvExporter(Exporter):
    """``features.csv`` (``.tsv`` with tabs): key columns, then ``LABEL_0``, ``LABEL_1``, ….

    Keys are quoted and exact. Numbers are the shortest that give the same float32.
    """

    def __init__(self, options: CsvOptions) -> None:
        self._options = options

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls(options)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        columns = [pa.field(name, pa.string()) for name in rows.keys]
        for one, filled in zip(rows.inputs, rows.filled, strict=True):
            columns += [pa.field(f"{one.label}_{at}", pa.float32()) for at in range(one.dim)]
            if filled:
                columns.append(pa.field(f"{one.label}_present", pa.bool_()))
        schema = pa.schema(columns)
        separator = _SEPARATORS[self._options.separator]
        name = "features.tsv" if separator == "\t" else "features.csv"
        write_options = pc.WriteOptions(delimiter=separator, quoting_style="needed")
        with (
            folder.open(name) as file,
            pc.CSVWriter(file, schema, write_options=write_options) as writer,
        ):
            for batch in rows.batches():
                arrays: list[pa.Array] = [self._key(batch.keys[name]) for name in rows.keys]
                for at, filled in enumerate(rows.filled):
                    numbers = np.ascontiguousarray(batch.values[at].T)
                    arrays += [pa.array(column) for column in numbers]
                    if filled:
                        arrays.append(pa.array(batch.present[at]))
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        keys = ", ".join(f"{key!r}: str" for key in rows.keys)
        tab = r", sep='\t'" if separator == "\t" else ""
        return ExportNotes(
            next_step=f"pandas.read_csv('{name}'{tab}, dtype={{{keys}}}, keep_default_na=False)"
        )

    def _key(self, column: pa.Array) -> pa.Array:
        if not self._options.excel_safe:
            return column
        return pa.array(
            [f"'{key}" if key.startswith(_FORMULA) else key for key in column.to_pylist()],
            pa.string(),
        )
