"""Store write and read against raw pyarrow with the same schema, chunks, checksums and fsync.

Both write the same tables of 100,000 rows in chunks and read them back into numpy; the peer
writes with the same Parquet settings, flushes file and folder, and verifies page checksums.
Ours does what the store adds: the temporary name and the link, the digests, the footer, the
seal.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _common import arguments, compare, report
from _sets import spec

from ducho_core.store import FeatureSet, Store
from ducho_core.store.parquet import group_rows
from ducho_core.store.schema import embedding_array

if TYPE_CHECKING:
    from collections.abc import Iterator

GOAL = 0.9
DIMS = (64, 768)
CHUNK = 8192


def tables(rows: int, dim: int) -> list[pa.Table]:
    """The chunks to write: keys, random vectors, random digests."""
    rng = np.random.default_rng(0)
    made = []
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        digests = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(32), count, [None, pa.py_buffer(rng.bytes(32 * count))]
        )
        columns = {
            "item_id": pa.array([f"item-{start + row:08d}" for row in range(count)]),
            "embedding": embedding_array(rng.standard_normal((count, dim), dtype=np.float32)),
            "input_sha256": digests,
        }
        made.append(pa.table(columns))
    return made


def write_store(folder: Path, chunks: list[pa.Table], dim: int, numbers: Iterator[int]) -> float:
    """Commit all chunks to a new set; seconds without making and removing the set."""
    described = spec(dim, f"d{dim}", str(next(numbers)))
    writer = Store(folder / "store", create=True).create_set(described)
    began = time.perf_counter()
    for number, chunk in enumerate(chunks):
        writer.commit_chunk(0, number, chunk, None, "bench")
    seconds = time.perf_counter() - began
    shutil.rmtree(writer.path)
    return seconds


def write_raw(
    folder: Path, chunks: list[pa.Table], schema: pa.Schema, numbers: Iterator[int]
) -> float:
    """Write all chunks with pyarrow alone, as safely as one can without a protocol."""
    target = folder / f"raw-{next(numbers)}"
    target.mkdir()
    began = time.perf_counter()
    for number, chunk in enumerate(chunks):
        raw_file(target / f"{number}.parquet", chunk, schema)
        flush(target)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def raw_file(path: Path, chunk: pa.Table, schema: pa.Schema) -> None:
    """One Parquet file with the store's settings, flushed to the disk."""
    pq.write_table(
        chunk.cast(schema),
        path,
        compression="none",
        use_dictionary=False,
        write_statistics=["item_id"],
        write_page_checksum=True,
        row_group_size=group_rows(chunk.nbytes // len(chunk)),
    )
    flush(path)


def flush(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def read_store(path: Path) -> None:
    """All vectors of a set, through the store."""
    features = FeatureSet(path)
    for batch in features.batches(["item_id", "embedding"]):
        features.values(batch, "embedding")


def read_raw(folder: Path) -> None:
    """All vectors of the same files with pyarrow alone."""
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["item_id", "embedding"])
                for batch in table.to_batches():
                    flat = batch["embedding"].flatten().to_numpy(zero_copy_only=True)
                    flat.reshape(len(batch), -1)


def main() -> None:
    """Measure and report."""
    args = arguments("store write and read, against raw pyarrow")
    rows = 20_000 if args.quick else 100_000
    numbers = itertools.count()
    measured = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("DUCHO_BENCH_DIR")) as name:
        folder = Path(name)
        for dim in DIMS:
            chunks = tables(rows, dim)
            writer = Store(folder / "store", create=True).create_set(spec(dim, f"d{dim}", "read"))
            schema = writer.schema({})
            raw = folder / f"raw-read-{dim}"
            raw.mkdir()
            for number, chunk in enumerate(chunks):
                writer.commit_chunk(0, number, chunk, None, "bench")
                raw_file(raw / f"{number:06d}.parquet", chunk, schema)
            ours = partial(write_store, folder, chunks, dim, numbers)
            theirs = partial(write_raw, folder, chunks, schema, numbers)
            title = f"{rows:,} rows, d={dim}"
            measured += [
                compare(f"write, {title}", ours, theirs, rounds=args.rounds, goal=GOAL),
                compare(
                    f"read, {title}",
                    partial(read_store, writer.path),
                    partial(read_raw, raw),
                    rounds=args.rounds,
                    goal=GOAL,
                ),
            ]
    report("store", measured, args)


if __name__ == "__main__":
    sys.exit(main())
