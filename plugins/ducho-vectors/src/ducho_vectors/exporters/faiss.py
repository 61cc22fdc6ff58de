"""``vectors/faiss``: an index for each set, under the numbers of the id map."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Self

import faiss
import numpy as np

from ducho_core import Exporter, ExportNotes, UsageError
from ducho_vectors.streaming import written_by
from ducho_vectors.usable import Usable

if TYPE_CHECKING:
    import numpy.typing as npt

    from ducho_core import ExportContext, ExportFolder, ExportInput, ExportRows
    from ducho_vectors.options import FaissOptions

_METRICS = {
    "cosine": faiss.METRIC_INNER_PRODUCT,
    "ip": faiss.METRIC_INNER_PRODUCT,
    "l2": faiss.METRIC_L2,
}


class FaissExporter(Exporter):
    """``LABEL.faiss`` for each set.

    The index holds float32 vectors under the numbers that their ids have in ``ids.parquet``
    (int64). By cosine they are scaled to length 1 and compared by inner product. Keys without a
    vector are not in it. One index at a time is in memory, whole, as faiss has it: a flat one
    takes 4 * dim bytes a vector and some 50 for its number, up to twice that as it grows.
    """

    def __init__(self, options: FaissOptions) -> None:
        self._options = options

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:
        """See ``Exporter.open``."""
        for one in context.inputs:
            _make(options, one, one.rows)
        return cls(options)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        remarks: list[str] = []
        with Usable(rows, folder, self._options.metric) as usable:
            for at, one in enumerate(rows.inputs):
                index = _make(self._options, one, len(rows) - rows.filled[at])
                if not index.is_trained:
                    remarks.append(self._train(index, rows, at, usable))
                index = _numbered(index)
                for batch in rows.batches():
                    positions, vectors = usable.choose(batch, at)
                    index.add_with_ids(vectors, batch.numbers[positions])
                with folder.open(f"{one.label}.faiss") as file, written_by("faiss"):
                    writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
                    faiss.write_index(index, writer)
                del index
            remarks += usable.remarks
        return ExportNotes(remarks=tuple(remarks), next_step=self._next_step(rows.inputs[0]))

    def _train(self, index: Any, rows: ExportRows, at: int, usable: Usable) -> str:
        one = rows.inputs[at]
        count, sample = _sample(self._options, rows, at, usable)
        try:
            index.train(sample)
        except RuntimeError as error:
            raise UsageError(
                f"faiss cannot train {self._options.index!r} on {len(sample)} vectors of"
                f" {one.name}: {_reason(error)}"
            ) from error
        return (
            f"{self._options.index} was trained on {len(sample)} of {count} vectors of {one.name},"
            f" drawn at random (seed {self._options.seed})"
        )

    def _next_step(self, one: ExportInput) -> str:
        unit = "faiss.normalize_L2(queries); " if self._options.metric == "cosine" else ""
        return (
            f"import faiss, pyarrow.parquet; index = faiss.read_index('{one.label}.faiss');"
            " ids = pyarrow.parquet.read_table('ids.parquet')['item_id'].to_pylist();"
            f" {unit}scores, rows = index.search(queries, 10);"
            " found = [[ids[row] for row in near if row >= 0] for near in rows]"
            f"  # queries: float32 (n, {one.dim})"
        )


def _make(options: FaissOptions, one: ExportInput, count: int) -> Any:
    """An empty index without numbers.

    Raises:
        UsageError: there is no such index for vectors of this length and metric.
    """
    described = {
        "flat": "Flat",
        "hnsw": "HNSW32",
        "ivf": f"IVF{max(1, min(4 * math.isqrt(count), count // 39))},Flat",
    }.get(options.index, options.index)
    try:
        return faiss.index_factory(one.dim, described, _METRICS[options.metric])
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"option 'index': faiss makes no {options.index!r} with metric {options.metric} for"
            f" the {one.dim} numbers of {one.name}: {_reason(error)}. flat, hnsw and ivf always"
            " can be made; others are described at"
            " https://github.com/facebookresearch/faiss/wiki/The-index-factory"
        ) from error


def _numbered(index: Any) -> Any:
    """The index itself where it keeps numbers, otherwise one around it that does."""
    inner = index
    if isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    if isinstance(inner, faiss.IndexIVF | faiss.IndexIDMap):
        return index
    return faiss.IndexIDMap2(index)


def _sample(
    options: FaissOptions, rows: ExportRows, at: int, usable: Usable
) -> tuple[int, npt.NDArray[np.float32]]:
    """Vectors drawn at random in one pass (Vitter's algorithm R), and how many there are.

    Raises:
        UsageError: there are none.
    """
    random = np.random.default_rng(options.seed)
    one = rows.inputs[at]
    most = min(options.train, len(rows) - rows.filled[at])
    sample = np.empty((most, one.dim), np.float32)
    seen = 0
    for batch in rows.batches():
        _positions, vectors = usable.choose(batch, at, listed=False)
        numbers = np.arange(seen, seen + len(vectors))
        places = np.where(numbers < most, numbers, random.integers(0, numbers + 1))
        drawn = places < most
        sample[places[drawn]] = vectors[drawn]
        seen += len(vectors)
    if not seen:
        raise UsageError(
            f"{one.name} has no vector to train {options.index!r} on; -o index=flat needs none"
        )
    return seen, sample[:seen]


def _reason(error: Exception) -> str:
    """What faiss says, without the place in its source."""
    found = re.search(r"\.(?:cpp|h):\d+: (.*)", str(error), re.DOTALL)
    return (found[1] if found else str(error)).removeprefix("Error: ").strip()
