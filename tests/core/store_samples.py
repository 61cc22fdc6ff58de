"""Feature sets for the store's tests, whose every value follows from its key.

As a program, ``store_samples.py STORE CHUNKS ROWS`` writes such a set, chunk by chunk, and does
only what is not there yet.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ducho_core.store import SetWriter, Store
from ducho_core.store.schema import embedding_array, scale_name, to_stored

RUN = "20260101T000000-sample"


def make_spec(
    *,
    dim: int | None = 8,
    keys: Sequence[str] = ("item_id",),
    stored_dtype: str = "float32",
    outputs: Sequence[dict[str, Any]] | None = None,
    catalogue: str = "main",
    revision: int = 0,
    variant: str = "",
    options: dict[str, Any] | None = None,
    label: str = "sample",
) -> dict[str, Any]:
    embedding = {
        "name": "embedding",
        "kind": "embedding",
        "dim": dim,
        "dtype": "float32",
        "requires": [],
    }
    return {
        "format": 1,
        "extractor": {"name": "core/hash", "label": label, "numerics": 1},
        "options": options or {},
        "identity": {},
        "outputs": [embedding] if outputs is None else list(outputs),
        "keys": list(keys),
        "inputs": [{"name": "text", "modality": "text", "columns": ["text"]}],
        "slots": "all",
        "precision": {},
        "stored_dtype": stored_dtype,
        "catalogue": {"name": catalogue, "revision": revision},
        "variant": variant,
    }


CAPTION = {"name": "caption", "kind": "text", "dim": None, "dtype": "string", "requires": []}


def vectors(keys: Sequence[str], dim: int = 8) -> np.ndarray:
    """The vector of each key, shape (n, dim), float32 in [-1, 1)."""
    raw = b"".join(
        hashlib.shake_256(key.encode("utf-8", "surrogatepass")).digest(4 * dim) for key in keys
    )
    whole = np.frombuffer(raw, "<u4").reshape(len(keys), dim)
    return (whole / 2**31 - 1).astype(np.float32)


def digests(keys: Sequence[str]) -> pa.Array:
    return pa.array([hashlib.sha256(key.encode()).digest() for key in keys], pa.binary(32))


def rows_of(writer: SetWriter, keys: Sequence[str | tuple[str, ...]]) -> pa.Table:
    """The rows of some keys for a set with embeddings, and texts from the key."""
    parts = [key if isinstance(key, tuple) else (key,) for key in keys]
    joined = ["\x1f".join(part) for part in parts]
    columns: dict[str, Any] = {
        name: pa.array([part[at] for part in parts], pa.string())
        for at, name in enumerate(writer.keys)
    }
    for output in writer.spec["outputs"]:
        name = output["name"]
        if output["kind"] == "text":
            texts = [None if len(key) % 3 == 0 else f"about {key}" for key in joined]
            columns[name] = pa.array(texts, pa.string())
            continue
        values = vectors(joined, output["dim"] or 8)
        stored, scale, _unfit = to_stored(values, writer.spec["stored_dtype"])
        columns[name] = embedding_array(stored)
        if scale is not None:
            columns[scale_name(name)] = pa.array(scale)
    columns["input_sha256"] = digests(joined)
    return pa.table(columns)


def failures_of(
    writer: SetWriter,
    keys: Sequence[str],
    status: str = "failed",
    code: str = "decode_error",
    run: str = RUN,
) -> pa.Table:
    count = len(keys)
    return pa.table(
        {
            writer.keys[0]: pa.array(list(keys), pa.string()),
            "status": [status] * count,
            "stage": ["prepare"] * count,
            "code": [code] * count,
            "message": [f"{code} of {key}" for key in keys],
            "input_sha256": pa.array([None] * count, pa.binary(32)),
            "run_id": [run] * count,
        }
    )


def plan_of(writer: SetWriter, chunks: Sequence[Sequence[str | tuple[str, ...]]]) -> pa.Table:
    flat = [(key, number) for number, keys in enumerate(chunks) for key in keys]
    parts = [key if isinstance(key, tuple) else (key,) for key, _number in flat]
    columns = {
        name: pa.array([part[at] for part in parts], pa.string())
        for at, name in enumerate(writer.keys)
    }
    chunk = pa.array([number for _key, number in flat], pa.int32())
    return pa.table({**columns, "chunk": chunk})


def item_names(chunk: int, rows: int) -> list[str]:
    return [f"item-{chunk:03d}-{row:04d}" for row in range(rows)]


def fill(
    folder: Path, chunks: int = 3, rows: int = 20, name: str | None = None, **spec: Any
) -> SetWriter:
    """A complete set whose last key of every chunk failed."""
    store = Store(folder, create=True)
    writer = store.create_set(make_spec(**spec))
    names = [item_names(chunk, rows) for chunk in range(chunks)]
    assert writer.commit_plan(0, plan_of(writer, names))
    for chunk, keys in enumerate(names):
        failed = failures_of(writer, keys[-1:])
        assert writer.commit_chunk(0, chunk, rows_of(writer, keys[:-1]), failed, RUN)
    if name is not None:
        store.bind_name(name, writer.fingerprint)
    return writer


def write(folder: str, chunks: int, rows: int) -> None:
    """Do whatever of a set is not done yet, in an order of one's own."""
    writer = Store(folder, create=True).create_set(make_spec())
    names = [item_names(chunk, rows) for chunk in range(chunks)]
    writer.commit_plan(0, plan_of(writer, names))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    todo = sorted({(0, chunk) for chunk in range(chunks)} - writer.committed())
    random.shuffle(todo)
    for plan, chunk in todo:
        if not writer.chunk_path(plan, chunk).exists():
            failed = failures_of(writer, names[chunk][-1:])
            writer.commit_chunk(plan, chunk, rows_of(writer, names[chunk][:-1]), failed, RUN)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
