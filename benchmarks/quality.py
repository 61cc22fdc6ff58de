"""Do the features mean something? Nearest neighbours of the same category, against controls.

Run as ``python benchmarks/quality.py FOLDER``, where FOLDER/items.tsv has the columns item_id,
category, title and image; without FOLDER the environment's DUCHO_STAMPS is taken. Prints the
share of items whose nearest neighbour (cosine) is of the same category, for both starter
extractors, beside the same networks with random weights and beside chance (a random other item).
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ducho_core.extraction.session import extract
from ducho_core.store import Store

CHANCE_GOAL = 3.0
RANDOM_GOAL = 1.5


def nearest_share(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_]) -> float:
    """Share of rows whose nearest other row, by cosine, has the same label."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    return float((labels[similar.argmax(axis=1)] == labels).mean())


def chance_share(labels: npt.NDArray[np.str_]) -> float:
    """Expected share where the neighbour is another item drawn at random."""
    _, counts = np.unique(labels, return_counts=True)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", default=os.environ.get("DUCHO_STAMPS") or None
    )
    parser.add_argument("--quick", action="store_true", help="changes nothing: it is quick")
    folder = parser.parse_args().folder
    if folder is None:
        print("quality: left out, since it needs a FOLDER (or DUCHO_STAMPS) with items.tsv")
        return
    source = Path(folder) / "items.tsv"
    with source.open(encoding="utf-8", newline="") as file:
        category = {
            row["item_id"]: row["category"] for row in csv.DictReader(file, delimiter="\t")
        }
    runs = {"starter/image": {"image": "image"}, "starter/text": {"text": ("title",)}}
    print(
        f"{'extractor':<16}{'1-NN':>8}{'random':>8}{'chance':>8}{'x random':>10}{'x chance':>10}"
    )
    for plugin, inputs in runs.items():
        shares = {}
        for weights in ("pretrained", "random"):
            options = {"random_weights": weights == "random"}
            with tempfile.TemporaryDirectory() as store:
                (done,) = extract(
                    source, plugin, store=store, name="set", options=options, **inputs
                )
                keys, vectors = Store(store).open("set").to_numpy()
                labels = np.array([category[key] for key in keys.column("item_id").to_pylist()])
            shares[weights] = nearest_share(vectors, labels)
            if done.failures:
                print(f"{plugin}: {done.failures} failed: {dict(done.failed)}")
        real, random, chance = shares["pretrained"], shares["random"], chance_share(labels)
        met = real >= CHANCE_GOAL * chance and real >= RANDOM_GOAL * random
        print(
            f"{plugin:<16}{real:>8.3f}{random:>8.3f}{chance:>8.3f}{real / random:>9.2f}"
            f"{real / chance:>9.2f}  {'met' if met else 'missed'}"
        )


if __name__ == "__main__":
    main()
