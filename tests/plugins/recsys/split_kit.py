"""Interactions that tests split, and plain ways to do what the plugin does."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

Row = tuple[str, str, float, int]


def rows(count: int = 3000, users: int = 120, items: int = 80, seed: int = 1) -> list[Row]:
    """Interactions of users and items that differ much in how many they have; no pair twice."""
    draw = random.Random(seed)
    found: dict[tuple[str, str], Row] = {}
    for _ in range(count):
        user = f"u{int(users * draw.random() ** 2):03}"
        item = f"{int(items * draw.random() ** 2):03}"
        found[user, item] = (user, item, float(draw.randint(1, 5)), draw.randint(1, 10**6))
    for at in range(20):
        for other in range(at % 4 + 1):
            user, item = f"v{at:03}", f"{other * 7 + at:03}"
            found[user, item] = (user, item, float(draw.randint(1, 5)), draw.randint(1, 10**6))
    return list(found.values())


def write(path: Path, listed: list[Row], header: str | None = "user_id item_id rating timestamp"):
    """The rows as TSV, or as CSV where the name says so."""
    mark = "," if path.suffix == ".csv" else "\t"
    lines = [] if header is None else [mark.join(header.split())]
    lines += [mark.join(map(str, row)) for row in listed]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plain_core(listed: list[Row], users: int, items: int, *, iterate: bool = True) -> list[Row]:
    """The k-core by counting and leaving out, over and over."""
    while True:
        before = len(listed)
        mine = Counter(row[0] for row in listed)
        listed = [row for row in listed if mine[row[0]] >= users]
        theirs = Counter(row[1] for row in listed)
        listed = [row for row in listed if theirs[row[1]] >= items]
        if not iterate or len(listed) == before:
            return listed


def floor_rule(count: int, test: float, validation: float) -> tuple[int, int, int]:
    """Train, validation and test sizes of a user, as Elliot's splitter takes them one by one."""
    rest = math.floor(count * (1 - test))
    train = math.floor(rest * (1 - validation))
    return train, rest - train, count - rest


def pairs(table) -> list[tuple[str, str]]:
    """(user, item) of each row."""
    return list(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))
