"""Splits, feature sets and readers for the tests of the exporters."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ducho_recsys import Split
from ducho_recsys.splits.folder import PAIR_SCHEMA, write_split

from tests.core.set_samples import put_set, vectors_for

FORMATS = ("elliot", "mmrec", "cornac", "recbole", "lattice")
SLOTS = {"elliot": ("visual", "textual"), "mmrec": ("image", "text"), "lattice": ("image", "text")}
PARTS = ("train", "validation", "test")

CONTIGUOUS = [str(number) for number in np.random.default_rng(3).permutation(60)]
ODD = [
    *(str(number) for number in np.random.default_rng(4).choice(10**6, 50, replace=False)),
    *("007", "7", "B00Φ", "ünï x", "a.b", "A.B", "a/b", "日本", "=1+1", "%41"),
]
IDS = {"contiguous": CONTIGUOUS, "odd": ODD}

Pairs = list[tuple[str, str, float | None, float | None, bool]]


def draw_pairs(items: Sequence[str], users: int = 15, each: int = 8) -> dict[str, Pairs]:
    """Interactions of every item, those of the first ten items in no training row."""
    random = np.random.default_rng(5)
    parts: dict[str, Pairs] = {name: [] for name in PARTS}
    for at, item in enumerate(items[10:]):
        parts["train"].append((f"u{at % users}", item, float(at % 5 + 1), float(at), True))
    for number in range(users):
        user = f"u{number}"
        mine = {item for other, item, *_ in parts["train"] if other == user}
        others = [item for item in items if item not in mine]
        for at in range(each):
            item = others[int(random.integers(len(others)))]
            others.remove(item)
            name = "train" if at < each - 4 and item not in items[:10] else PARTS[1 + at % 2]
            parts[name].append((user, item, float(at % 5 + 1), 100.0 + at, True))
    for at, item in enumerate(items[:10]):
        if all(item != other for part in parts.values() for _, other, *_ in part):
            parts["test"].append((f"u{at % users}", item, 4.0, 500.0, True))
    return parts


def put_split(
    folder: Path, items: Sequence[str], pairs: dict[str, Pairs], users: Sequence[str] | None = None
) -> Split:
    """Freeze a split with these interactions."""
    named = users or sorted({pair[0] for part in pairs.values() for pair in part})
    tables = {
        "items": pa.table({"item_id": pa.array(items, pa.string())}),
        "users": pa.table({"user_id": pa.array(named, pa.string())}),
    }
    for name in PARTS:
        columns = list(zip(*pairs[name], strict=True)) or [[]] * len(PAIR_SCHEMA)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, PAIR_SCHEMA, strict=True)
        ]
        tables[name] = pa.Table.from_arrays(arrays, schema=PAIR_SCHEMA)
    return write_split(folder, tables, "0" * 64, {"how": "test"}, {})


def put_sets(store: Path, items: Sequence[str], left: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Two sets, ``covers`` (5 numbers) and ``titles`` (3), and what they hold.

    Args:
        store: where.
        items: which items they have vectors of; one more that no split has is in each.
        left: how many items the second one lacks.
    """
    found = {}
    for seed, (name, dim) in enumerate([("covers", 5), ("titles", 3)]):
        own = list(items)[left if name == "titles" else 0 :]
        keys = [*own[::-1], "not in the split"]
        values = vectors_for(keys, dim, seed)
        put_set(store, name, keys, values)
        found[name] = dict(zip(keys[:-1], values, strict=False))
    return found


def numbers_of(out: Path) -> dict[str, int]:
    """The number of each item, as the core tells it."""
    table = pq.read_table(out / "ids.parquet")
    return dict(zip(table["item_id"].to_pylist(), table["row"].to_pylist(), strict=True))


def users_of(out: Path) -> list[str]:
    """The user of each number."""
    return pq.read_table(out / "users.parquet")["user_id"].to_pylist()


def only(folder: Path) -> Path:
    """The one thing in a folder."""
    (found,) = folder.iterdir()
    return found


def read_tsv(path: Path) -> Iterator[list[str]]:
    """Rows as Python's csv reads them."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, "excel-tab")


def vectors(to: str, out: Path, labels: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Of each set the vector of each item, as the framework finds it."""
    names = {number: item for item, number in numbers_of(out).items()}
    found: dict[str, dict[str, np.ndarray]] = {}
    for at, label in enumerate(labels):
        if to == "elliot":
            files = (only(out / "data") / SLOTS[to][at]).iterdir()
            found[label] = {names[int(one.name.split(".")[0])]: np.load(one) for one in files}
        elif to in ("mmrec", "lattice"):
            matrix = np.load(only(out / "data") / f"{SLOTS[to][at]}_feat.npy")
            assert matrix.dtype == np.float32
            found[label] = {names[row]: vector for row, vector in enumerate(matrix)}
        elif to == "cornac":
            ids = pq.read_table(out / "items.parquet")["item_id"].to_pylist()
            found[label] = dict(zip(ids, np.load(out / f"{label}.npy"), strict=True))
        else:
            suffix = f"{label}_itememb" if len(labels) > 1 else "itememb"
            table = read_recbole(next(out.glob(f"*/*.{suffix}")))
            tokens, texts = (table[name] for name in table)
            found[label] = {
                token: np.array(text.split(" "), np.float32)
                for token, text in zip(tokens, texts, strict=True)
            }
    return found


def read_recbole(path: Path) -> pd.DataFrame:
    """A table as RecBole 1.2.1 reads it (recbole/data/dataset/dataset.py, _load_feat)."""
    head = path.read_text("utf-8").split("\n", 1)[0].split("\t")
    kinds = {name: np.float64 if name.endswith(":float") else str for name in head}
    return pd.read_csv(path, delimiter="\t", dtype=kinds, encoding="utf-8", engine="python")


def pairs(to: str, out: Path) -> dict[str, set[tuple[str, str]]]:
    """The (user, item) of each part, as the framework finds them."""
    items = {number: item for item, number in numbers_of(out).items()}
    users = users_of(out)

    def named(rows: Sequence[Sequence[object]]) -> set[tuple[str, str]]:
        return {(users[int(row[0])], items[int(row[1])]) for row in rows}  # type: ignore[call-overload]

    if to == "elliot":
        where, sentinel = only(out / "data"), str(len(items))
        files = dict(zip(PARTS, ("train.tsv", "val.tsv", "test.tsv"), strict=True))
        rows = {name: list(read_tsv(where / file)) for name, file in files.items()}
        return {
            name: named([row for row in some if row[1] != sentinel]) for name, some in rows.items()
        }
    if to == "mmrec":
        table = pd.read_csv(next(out.glob("data/*/*.inter")), sep="\t")
        assert list(table)[:2] == ["userID", "itemID"]
        return {
            name: named(table[table["x_label"] == label][["userID", "itemID"]].to_numpy())
            for label, name in enumerate(PARTS)
        }
    if to == "lattice":
        files = dict(zip(PARTS, ("train.json", "val.json", "test.json"), strict=True))
        found = {
            name: json.loads((only(out / "data") / "5-core" / file).read_text("utf-8"))
            for name, file in files.items()
        }
        return {
            name: named([(user, item) for user, some in part.items() for item in some])
            for name, part in found.items()
        }
    if to == "cornac":
        tables = {name: pq.read_table(out / f"{name}.parquet") for name in PARTS}
    else:
        files = dict(zip(PARTS, ("train", "valid", "test"), strict=True))
        tables = {
            name: {
                column.split(":")[0]: pa.array(values)
                for column, values in read_recbole(next(out.glob(f"*/*.{file}.inter"))).items()
            }
            for name, file in files.items()
        }
    return {
        name: set(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))
        for name, table in tables.items()
    }
