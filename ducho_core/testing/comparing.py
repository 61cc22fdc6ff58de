"""Are these the same numbers?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.testing.checks import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.extractor import Column, Output


def in_order(parts: Sequence[Mapping[str, Column]], name: str, places: Sequence[int]) -> Column:
    """One output of several batches, its rows put back to the places that they belong to.

    Raises:
        CheckFailed: a batch lacks the output, or there are not as many rows as places.
    """
    for part in parts:
        if name not in part:
            raise CheckFailed(
                f"extract did not return output {name!r}; it returned {', '.join(part) or 'none'}"
            )
    rows = sum(len(part[name]) for part in parts)
    if rows != len(places):
        raise CheckFailed(f"output {name!r} has {rows} rows for {len(places)} items")
    back = np.argsort(places)
    if all(isinstance(part[name], np.ndarray) for part in parts):
        whole = np.concatenate([np.asarray(part[name]) for part in parts])
        rows_back: Column = whole[back]
        return rows_back
    flat = [value for part in parts for value in part[name]]
    return [flat[place] for place in back]


def distances(ours: Column, theirs: Column, output: Output) -> list[float]:
    """How far each row lies from its counterpart: relative for numbers, 0 or inf for texts."""
    if output.kind == "embedding":
        one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        if one.shape != other.shape:
            raise CheckFailed(f"output {output.name!r}: shape {one.shape} is not {other.shape}")
        gaps = np.linalg.norm(one - other, axis=-1)
        norms = np.maximum(np.linalg.norm(other, axis=-1), 1e-30)
        found: list[float] = np.where(gaps == 0, 0.0, gaps / norms).tolist()
        return found
    return [_distance(one, other) for one, other in zip(ours, theirs, strict=True)]


def expect_same(
    ours: Mapping[str, Column],
    theirs: Mapping[str, Column],
    outputs: Sequence[Output],
    tolerance: float,
    what: str,
) -> None:
    """Fail unless two computations gave the same rows.

    Raises:
        CheckFailed: with the output, the worst item and how far it is off.
    """
    for output in outputs:
        gaps = distances(ours[output.name], theirs[output.name], output)
        worst = max(range(len(gaps)), key=lambda at: -1 if math.isnan(gaps[at]) else gaps[at])
        if not all(gap <= tolerance for gap in gaps):
            raise CheckFailed(
                f"{what}: output {output.name!r} of item {worst} is {gaps[worst]:.2g} off,"
                f" relative to its length; allowed is {tolerance:.2g}"
            )


def _distance(one: Any, other: Any) -> float:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(abs(other), 1e-30) if one != other else 0.0
    return 0.0 if one == other else math.inf
