"""``vectors/qdrant``: points with a named vector for each set, in Qdrant's local mode."""

from __future__ import annotations

import sqlite3
import uuid
import warnings
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Self

from qdrant_client import QdrantClient, models

from ducho_core import Exporter, ExportNotes, UsageError
from ducho_vectors.streaming import Source, written_by
from ducho_vectors.usable import Usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ducho_core import ExportBatch, ExportContext, ExportFolder, ExportRows
    from ducho_vectors.options import QdrantOptions

FOLDER = "qdrant"
COLLECTION = "items"

_DISTANCES = {
    "cosine": models.Distance.COSINE,
    "ip": models.Distance.DOT,
    "l2": models.Distance.EUCLID,
}
_BLOCK = 1024
_MANY = 20_000


class QdrantExporter(Exporter):
    """The collection ``items`` in the folder ``qdrant``.

    A point has a vector for each set that has the item, called like the set's label, and its
    key in the payload. By cosine vectors are scaled to length 1, as Qdrant does itself. A point
    is called by a UUID (version 5) of the item's id, or by its number in ``ids.parquet``.
    Qdrant's local mode holds all points in memory while they are written, as when it is read.
    """

    def __init__(self, options: QdrantOptions) -> None:
        self._options = options

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls(options)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        count = 0
        with Usable(rows, folder, self._options.metric) as usable:
            source = Source(rows.batches())
            with (
                folder.tree(FOLDER) as place,
                _quiet(),
                written_by("Qdrant", source),
                closing(QdrantClient(path=str(place))) as client,
            ):
                client.create_collection(
                    COLLECTION,
                    vectors_config={
                        one.label: models.VectorParams(
                            size=one.dim, distance=_DISTANCES[self._options.metric]
                        )
                        for one in rows.inputs
                    },
                )
                _leave_flushing_to_us(client)
                for batch in source:
                    points = self._points(batch, rows, usable)
                    for start in range(0, len(points), _BLOCK):
                        client.upsert(COLLECTION, points=points[start : start + _BLOCK])
                    count += len(points)
                held = client.count(COLLECTION, exact=True).count
            remarks = list(usable.remarks)
        if held != count:
            raise UsageError(
                f"{count - held} of {count} ids have the same UUID as another one: give -o"
                " points=row"
            )
        if count > _MANY:
            remarks.append(
                f"{count} points are more than the {_MANY} for which Qdrant advises its local"
                " mode: it holds all in memory and compares with each. A server takes them with"
                " client.migrate(QdrantClient(url=…))"
            )
        return ExportNotes(remarks=tuple(remarks), next_step=_next_step(rows))

    def _points(
        self, batch: ExportBatch, rows: ExportRows, usable: Usable
    ) -> list[models.PointStruct]:
        named: dict[int, dict[str, list[float]]] = {}
        for at, one in enumerate(rows.inputs):
            positions, vectors = usable.choose(batch, at)
            for row, vector in zip(positions.tolist(), vectors.tolist(), strict=True):
                named.setdefault(row, {})[one.label] = vector
        points = []
        for row in sorted(named):
            payload = {name: batch.keys[name][row].as_py() for name in rows.keys}
            points.append(
                models.PointStruct(
                    id=self._called(payload["item_id"], int(batch.numbers[row])),
                    vector=named[row],
                    payload=payload,
                )
            )
        return points

    def _called(self, item_id: str, row: int) -> str | int:
        if self._options.points == "row":
            return row
        return str(uuid.uuid5(uuid.NAMESPACE_OID, item_id))


def _next_step(rows: ExportRows) -> str:
    one = rows.inputs[0]
    return (
        f"from qdrant_client import QdrantClient; client = QdrantClient(path='{FOLDER}');"
        f" found = client.query_points('{COLLECTION}', query=query, using='{one.label}',"
        f" limit=10).points  # query: {one.dim} floats; the id is in each payload"
    )


def _leave_flushing_to_us(client: Any) -> None:
    """Let SQLite not flush every point to the disk by itself, where it can be told.

    The folder is not in place yet, and the core flushes its files before it is. There is no
    public way; without it all is written as well, a hundred times slower.
    """
    try:
        connection = client._client.collections[COLLECTION].storage.storage
    except (AttributeError, KeyError):
        return
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that there are many points, which is a remark of the export."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        yield
