"""Draw interactions and features, and export them for every framework.

Run as ``python make.py DATA`` where ducho-core and ducho-recsys are installed. DATA becomes a
folder with four cases: ids that are the numbers 0 to n - 1 (in another order) or anything, and
features of every item or of 97 %, the rest filled with the mean. Where ids are numbers, every item
is trained on; otherwise some occur in validation and test alone.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ducho_recsys import split_interactions

from ducho_core import Store, export, extract

ITEMS, USERS, EACH = 240, 150, 14
SETS = {"covers": 40, "titles": 24}
EXPORTS: dict[str, tuple[str, list[str], dict[str, str]]] = {
    **{
        name: (name, list(SETS), {})
        for name in ("elliot", "mmrec", "cornac", "recbole", "lattice")
    },
    "mmrec-image": ("mmrec", ["covers"], {}),
    "mmrec-text": ("mmrec", ["titles"], {"slots": "text"}),
    "elliot-textual": ("elliot", ["titles"], {"slots": "textual"}),
}
"""Of each folder the framework, the sets and the options."""
ODD = ["007", "7", "1e3", "ünï/x", "B 01", "a.b", "A.B", "日本", "=1+1", "%41", "../../up"]


def main() -> None:
    """Make all cases."""
    data = Path(sys.argv[1]).resolve()
    random = np.random.default_rng(1)
    shuffled = [str(number) for number in random.permutation(ITEMS)]
    sparse = [str(number) for number in random.choice(10**6, ITEMS - len(ODD), replace=False)]
    for kind, ids, cold in (("contiguous", shuffled, 0), ("odd", ODD + sparse, 20)):
        files = draw_interactions(data / "interactions" / kind, ids, cold)
        split = data / "splits" / kind
        split_interactions(
            files["train"],
            split,
            how="files",
            validation_file=str(files["validation"]),
            test_file=str(files["test"]),
        )
        for coverage in ("full", "partial"):
            make_case(data / f"{kind}-{coverage}", ids, split, whole=coverage == "full")


def draw_interactions(folder: Path, ids: list[str], cold: int) -> dict[str, Path]:
    """Interactions of popular and of rare items; the last ones are in no training row.

    Every user occurs in each part, and nearly every item somewhere.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(2)
    warm = len(ids) - cold
    popular = 1 / np.arange(1, len(ids) + 1)
    rows: dict[str, list[tuple[str, str, int, int]]] = {"train": [], "validation": [], "test": []}
    for user in range(USERS):
        weights = popular.copy()
        own = [(user * 7 + at * USERS) % warm for at in range(2)]
        weights[own] = 0
        drawn = random.choice(len(ids), EACH, replace=False, p=weights / weights.sum()).tolist()
        late = [at for at in drawn if at >= warm][:4]
        early = [at for at in drawn if at < warm]
        kept = [*early[: 4 - len(late)], *late, warm + user % cold if cold else early[-1]]
        kept = list(dict.fromkeys(kept))[-4:]
        trained = [*own, *(at for at in early if at not in kept)]
        for part, some in (("train", trained), ("validation", kept[:2]), ("test", kept[2:])):
            for at in some:
                rating = int(random.integers(1, 6))
                rows[part].append((f"user {user}", ids[at], rating, 10_000 + len(rows[part])))
    paths = {}
    for part, some in rows.items():
        paths[part] = folder / f"{part}.tsv"
        with paths[part].open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, "excel-tab", lineterminator="\n")
            writer.writerows([("user_id", "item_id", "rating", "timestamp"), *some])
    return paths


def make_case(folder: Path, ids: list[str], split: Path, *, whole: bool) -> None:
    """Extract two feature sets and export them for every framework."""
    store = folder / "store"
    for name, dim in SETS.items():
        table = folder / f"{name}.tsv"
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(dim)
        kept = random.permutation(len(ids))[: len(ids) if whole else int(0.97 * len(ids))]
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, "excel-tab", lineterminator="\n")
            writer.writerow(("item_id", "text"))
            writer.writerows((ids[at], f"{name} of {ids[at]}") for at in kept)
        extract(
            str(table),
            "core/hash",
            store=store,
            name=name,
            text=["text"],
            options={"dim": dim},
        )
    numbers = {}
    for name, (framework, sets, options) in EXPORTS.items():
        out = folder / name
        report = export(
            sets,
            f"recsys/{framework}",
            out,
            store=store,
            options=[f"split={split}", *(f"{key}={value}" for key, value in options.items())],
            missing=None if whole else "mean",
        )
        table = pq.read_table(out / "ids.parquet").sort_by("row")
        numbers[name] = table["item_id"].to_pylist()
        print(f"{folder.name}, {name}: {report.rows} rows", *report.notes.remarks, sep="\n  ")
    held = {}
    for name in SETS:
        keys, values = Store(store).open(name).to_numpy()
        held[name] = (keys["item_id"].to_pylist(), values)
    told = {"numbers": numbers, "sets": {name: one for name, (one, _) in held.items()}}
    (folder / "expected.json").write_text(json.dumps(told), "utf-8")
    np.savez(folder / "expected.npz", **{name: values for name, (_, values) in held.items()})


if __name__ == "__main__":
    main()
