"""What each library holds in an exported folder, read with the library itself."""

from __future__ import annotations

from pathlib import Path

import faiss
import lancedb
import numpy as np
import pyarrow.parquet as pq
from qdrant_client import QdrantClient

FORMATS = ("faiss", "lancedb", "qdrant")


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def read_faiss(out: Path) -> dict[str, dict[str, np.ndarray]]:
    ids = pq.read_table(out / "ids.parquet")["item_id"].to_pylist()
    found = {}
    for path in sorted(out.glob("*.faiss")):
        index = faiss.read_index(str(path))
        numbers = faiss.vector_to_array(index.id_map).tolist()
        found[path.stem] = {ids[number]: index.reconstruct(number) for number in numbers}
    return found


def read_lancedb(out: Path) -> dict[str, dict[str, np.ndarray]]:
    table = lancedb.connect(str(out / "lancedb")).open_table("items").to_arrow()
    ids = table["item_id"].to_pylist()
    return {
        name: {
            key: np.array(vector, np.float32)
            for key, vector in zip(ids, table[name].to_pylist(), strict=True)
            if vector is not None
        }
        for name in table.column_names[1:]
    }


def read_qdrant(out: Path) -> dict[str, dict[str, np.ndarray]]:
    client = QdrantClient(path=str(out / "qdrant"))
    try:
        names = client.get_collection("items").config.params.vectors
        points, more = client.scroll("items", limit=10**6, with_vectors=True)
    finally:
        client.close()
    assert more is None
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for point in points:
        for name, vector in point.vector.items():
            found[name][point.payload["item_id"]] = np.array(vector, np.float32)
    return found


READ = {"faiss": read_faiss, "lancedb": read_lancedb, "qdrant": read_qdrant}
