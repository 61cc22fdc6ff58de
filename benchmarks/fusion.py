"""Memory of fusing: peak of each method at two sizes, and what it grows by for each key.

Each fusion is a process of its own, so that its peak is its own; its threads are one, since
each brings buffers. The bytes a key are the growth of the peak from the smaller set to the
larger over the keys between them. The key columns count: they are the items' ids, 15 bytes each.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from _common import Row, arguments, child, report
from _sets import spec

from ducho_core.store import Store
from ducho_core.store.schema import embedding_array

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

GOAL = 64
MIB = 2**20
CHUNK = 4096
METHODS: dict[str, tuple[str, ...]] = {
    "concat": ("concat",),
    "concat, other order": ("concat", "turned"),
    "mean": ("mean",),
    "l2": ("concat", "one", "-o", "scale=l2"),
    "zscore": ("concat", "one", "-o", "scale=zscore"),
    "pca": ("pca", "-o", "dim=8"),
    "whiten": ("whiten",),
    "project": ("project", "-o", "dim=8"),
    "cca": ("cca", "-o", "dim=8"),
    "shuffle": ("shuffle",),
    "noise": ("noise",),
    "noise like covariance": ("noise", "-o", "like=covariance"),
    "constant": ("constant",),
}
PAIRS = ("concat", "concat, other order", "mean", "cca")


def write(store: Path, name: str, rows: int, dim: int, order: np.ndarray | None = None) -> None:
    """A set of random vectors, written through the store's writer."""
    writer = Store(store, create=True).create_set(spec(dim, name), name=name)
    numbers = np.arange(rows) if order is None else order
    chunks = [numbers[start : start + CHUNK] for start in range(0, rows, CHUNK)]
    ids = [pa.array([f"item-{number:010d}" for number in part.tolist()]) for part in chunks]
    plan = {
        "item_id": pa.chunked_array(ids),
        "chunk": pa.array((np.arange(rows) // CHUNK).astype(np.int32)),
    }
    writer.commit_plan(0, pa.table(plan))
    rng = np.random.default_rng(len(name))
    for number, part in enumerate(chunks):
        digests = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(32), len(part), [None, pa.py_buffer(rng.bytes(32 * len(part)))]
        )
        vectors = rng.standard_normal((len(part), dim), dtype=np.float32)
        table = {
            "item_id": ids[number],
            "embedding": embedding_array(vectors),
            "input_sha256": digests,
        }
        writer.commit_chunk(0, number, pa.table(table), None, "bench")


def peak(store: Path, method: str) -> float:
    """Peak of one fusion, MiB; what it made is removed."""
    how, *rest = METHODS[method]
    other = "turned" if "turned" in rest else "two"
    names = ["one", other] if method in PAIRS else ["one"]
    options = [word for word in rest if word not in ("one", "turned")]
    command = ["-m", "ducho_core", "fuse", *names, "--how", how, *options, "--name", "made"]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    used = child([sys.executable, *command, "--store", str(store)], env=one_thread)
    made = Store(store).open("made")
    shutil.rmtree(made.path)
    for link in (store / "names").glob("made*"):
        link.unlink()
    print(f"  {method}: {used.peak:,.0f} MiB in {used.seconds:,.0f} s", flush=True)
    return used.peak


def measured(folder: Path, rows: int, dim: int, methods: Sequence[str]) -> dict[str, float]:
    """Peaks of all methods at one size."""
    store = folder / f"store-{rows}"
    print(f"{rows:,} x {dim}", flush=True)
    write(store, "one", rows, dim)
    if any(method in PAIRS for method in methods):
        write(store, "two", rows, dim)
        order = np.random.default_rng(0).permutation(rows)
        write(store, "turned", rows, dim, order)
    peaks = {method: peak(store, method) for method in methods}
    shutil.rmtree(store)
    return peaks


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes, and which methods."""
    parser.add_argument("--rows", type=int, nargs=2, default=None, metavar=("FEW", "MANY"))
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--only", nargs="*", choices=METHODS, default=list(METHODS))


def main() -> None:
    """Measure and report."""
    args = arguments("memory of fusing, for each key", add)
    few, many = args.rows or ((20_000, 100_000) if args.quick else (100_000, 1_000_000))
    with tempfile.TemporaryDirectory(dir=os.environ.get("DUCHO_BENCH_DIR")) as name:
        low = measured(Path(name), few, args.dim, args.only)
        high = measured(Path(name), many, args.dim, args.only)
    rows = []
    for method in args.only:
        grown = (high[method] - low[method]) * MIB / (many - few)
        rows.append(
            Row(
                name=f"{method}: {low[method]:,.0f} and {high[method]:,.0f} MiB",
                a=grown,
                b=None,
                ratio=None,
                low=grown,
                high=grown,
                goal=GOAL,
                higher_is_better=False,
                rounds=1,
                unit="bytes a key",
                values=(grown,),
            )
        )
    report("fusion", rows, args)


if __name__ == "__main__":
    main()
