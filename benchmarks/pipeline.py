"""The core's own cost: throughput with ``core/hash``, memory, time to the first stored row.

Run as ``python benchmarks/pipeline.py [--quick]``. The image rows need ducho-timm and
ducho-starter; without them they are left out, which is said.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _common import arguments, child, compare, measure, report

from ducho_core.extraction.session import extract
from ducho_core.store import Store

ITEMS_A_SECOND = 100_000
MEMORY_RATIO = 1.2
FIRST_ROW_RATIO = 1.5


def write_table(path: Path, rows: int) -> None:
    """A Parquet table of item_id and text, in groups of 8,192 rows."""
    schema = pa.schema([("item_id", pa.string()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 8192):
            numbers = range(start, min(start + 8192, rows))
            texts = [f"title of the product {at}, in red, size {at % 50}" for at in numbers]
            batch = pa.record_batch([[f"item-{at:08d}" for at in numbers], texts], schema=schema)
            writer.write_batch(batch)


def write_images(folder: Path, count: int, side: int) -> None:
    """JPEGs that all differ: a few pictures, each copy with a trailer of its own."""
    from PIL import Image

    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    pictures = []
    for _ in range(16):
        coarse = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((side, side)).save(buffer, "JPEG", quality=88)
        pictures.append(buffer.getvalue())
    for at in range(count):
        # A decoder stops at the end marker; the trailer only makes the content another one.
        (folder / f"p{at:06d}.jpg").write_bytes(pictures[at % 16] + f"{at}".encode())


def items_a_second(source: Path, dim: int, rows: int) -> float:
    """Items a second from the table into the store, planning included."""
    with tempfile.TemporaryDirectory() as store:
        began = time.perf_counter()
        (done,) = extract(source, "core/hash", store=store, options={"dim": dim})
        seconds = time.perf_counter() - began
        assert done.stored == rows
        return rows / seconds


def read_back(store: Path, rows: int) -> float:
    """Items a second from the store into one array, checksums verified."""
    began = time.perf_counter()
    keys, matrix = Store(store).open("hash").to_numpy()
    assert keys.num_rows == len(matrix) == rows
    return rows / (time.perf_counter() - began)


def peak(*command: str) -> float:
    """Peak memory of a ``ducho extract`` in MiB."""
    with tempfile.TemporaryDirectory() as store:
        program = [sys.executable, "-m", "ducho_core", "extract", *command, "--store", store]
        return child(program).peak


_LOAD = """
import json, time
began = time.perf_counter()
from ducho_core.extractor import ResolveContext, RunOptions
from ducho_core.registry import Registry
found = Registry.discover().extractor("starter/image")
implementation = found.import_implementation()
run_options = (found.run_options_type() or RunOptions)()
context = ResolveContext(precision="exact", run_options=run_options, inputs=())
resolved = implementation.resolve(found.options_type()(), context)
implementation.load(resolved, run_options)
print(json.dumps(time.perf_counter() - began))
"""

_FIRST = """
import json, sys, threading, time
from pathlib import Path
began = time.perf_counter()
from ducho_core.extraction.session import extract
store, first = Path(sys.argv[2]), []
def watch():
    while not first:
        if any(store.glob("*/*/*/data/*.parquet")):
            first.append(time.perf_counter() - began)
        time.sleep(0.005)
watcher = threading.Thread(target=watch)
watcher.start()
extract(sys.argv[1], "starter/image", store=store)
watcher.join()
print(json.dumps(first[0]))
"""


def load_seconds() -> float:
    """Imports, resolve and load of starter/image in a fresh process."""
    return float(json.loads(child([sys.executable, "-c", _LOAD]).output))


def first_row_seconds(folder: Path) -> float:
    """From before the imports to the first chunk in the store, in a fresh process."""
    with tempfile.TemporaryDirectory() as store:
        program = [sys.executable, "-c", _FIRST, str(folder), store + "/features"]
        return float(json.loads(child(program).output))


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    rows = 100_000 if args.quick else 1_000_000
    fewer = rows // 10
    rounds = 1 if args.quick else 3
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "many.parquet", rows)
        write_table(folder / "ten.parquet", 10_000)
        write_table(folder / "hundred.parquet", 100_000)
        write_table(folder / "wide.parquet", fewer)
        lines.append(
            measure(
                f"core/hash, {rows} items, d = 64, items/s into the store",
                lambda: items_a_second(folder / "many.parquet", 64, rows),
                rounds=rounds,
                goal=ITEMS_A_SECOND,
                unit="items/s",
            )
        )
        lines.append(
            measure(
                f"core/hash, {fewer} items, d = 768, items/s into the store",
                lambda: items_a_second(folder / "wide.parquet", 768, fewer),
                rounds=rounds,
                unit="items/s",
            )
        )
        extract(folder / "many.parquet", "core/hash", store=folder / "s", name="hash")
        lines.append(
            measure(
                f"read back, {rows} items, d = 64",
                lambda: read_back(folder / "s", rows),
                rounds=rounds,
                unit="items/s",
            )
        )
        lines.append(
            compare(
                "peak memory, core/hash, 100,000 items against 10,000",
                lambda: peak(str(folder / "hundred.parquet"), "--plugin", "core/hash"),
                lambda: peak(str(folder / "ten.parquet"), "--plugin", "core/hash"),
                rounds=rounds,
                goal=MEMORY_RATIO,
                higher_is_better=False,
                unit="MiB",
            )
        )
        if importlib.util.find_spec("ducho_starter") is None:
            print("ducho-starter is not installed: the image rows are left out")
        else:
            lines += image_rows(folder, quick=args.quick)
    report("pipeline", lines, args)


def image_rows(folder: Path, *, quick: bool) -> list[object]:
    """Memory and first stored row with real models."""
    few, many = (200, 2_000) if quick else (10_000, 100_000)
    write_images(folder / "few", few, 64)
    write_images(folder / "many", many, 64)
    model = ["--plugin", "timm", "--model", "test_resnet.r160_in1k", "-o", "pretrained=false"]
    return [
        compare(
            f"peak memory, timm/image, {many} images against {few}",
            lambda: peak(str(folder / "many"), *model),
            lambda: peak(str(folder / "few"), *model),
            rounds=1,
            goal=MEMORY_RATIO,
            higher_is_better=False,
            unit="MiB",
        ),
        compare(
            "first stored row, starter/image, against loading the model",
            lambda: first_row_seconds(folder / "few"),
            load_seconds,
            rounds=3 if quick else 9,
            goal=FIRST_ROW_RATIO,
            higher_is_better=False,
        ),
    ]


if __name__ == "__main__":
    main()
