"""Which interactions take part. Each filter is blind to the order of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from ducho_recsys.splits.interactions import Interactions


def in_catalogue(interactions: Interactions, items: pa.StringArray) -> Interactions:
    """Those with an item of the catalogue."""
    known = np.asarray(pc.is_in(interactions.item_ids, value_set=items))
    return interactions.take(known[interactions.items])


def without_duplicates(interactions: Interactions, policy: str) -> Interactions:
    """One interaction of each user with each item, in the order of their ids.

    ``last`` and ``first`` go by time, ``max`` by the rating; of equals the one with the higher
    rating, then the later one, is kept. ``mean`` keeps the mean rating and the latest time.

    Raises:
        UsageError: there are some and the policy is ``error``, or ``last`` and ``first`` cannot
            tell which one is meant since there are no times.
    """
    pairs = interactions.pairs
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = pairs[1:] != pairs[:-1]
    ordered = interactions.take(order)
    if fresh.all():
        return ordered
    again = int(np.flatnonzero(~fresh)[0])
    if policy == "error":
        raise UsageError(
            f"{len(pairs) - np.count_nonzero(fresh)} interactions are of a user with an item that"
            f" has another one, the first of {ordered.named(again)}; say which to keep:"
            " --duplicates last, first, max or mean"
        )
    ratings = _or_lowest(ordered.ratings, len(pairs))
    times = _or_lowest(ordered.times, len(pairs))
    if policy in ("last", "first") and ordered.times is None:
        _refuse_undated(ordered, fresh, policy)
    if policy == "first":
        times = -times
    keys = (times, ratings, pairs) if policy in ("max", "mean") else (ratings, times, pairs)
    within = np.lexsort(keys)
    starts = np.flatnonzero(fresh)
    ends = np.append(starts[1:], len(pairs)) - 1
    kept = ordered.take(within[ends])
    if policy != "mean":
        return kept
    return replace(
        kept,
        ratings=_means(ordered.ratings, within, starts),
        times=None if ordered.times is None else np.fmax.reduceat(ordered.times, starts),
    )


def rated(interactions: Interactions, threshold: float) -> npt.NDArray[np.bool_]:
    """Which interactions are rated so or better.

    Raises:
        UsageError: there are no ratings.
    """
    if interactions.ratings is None:
        raise UsageError(
            f"there are no ratings to hold against {threshold:g}: name their column, --rating"
            " COLUMN, or leave out --train-on and --relevant-at"
        )
    # A comparison with the NaN of an interaction that has no rating is False.
    at_least: npt.NDArray[np.bool_] = interactions.ratings >= threshold
    return at_least


def k_core(interactions: Interactions, users: int, items: int, *, iterate: bool) -> Interactions:
    """Users and items with so many interactions at least.

    Args:
        interactions: one of each user with each item.
        users: fewest interactions of a user.
        items: fewest interactions of an item.
        iterate: until nothing changes any more; otherwise users once, then items once, after
            which a user may have fewer.
    """
    while True:
        before = len(interactions)
        interactions = interactions.take(interactions.user_counts[interactions.users] >= users)
        interactions = interactions.take(interactions.item_counts[interactions.items] >= items)
        if not iterate or len(interactions) in (0, before):
            return interactions


def _or_lowest(values: npt.NDArray[np.float64] | None, count: int) -> npt.NDArray[np.float64]:
    return np.zeros(count) if values is None else np.where(np.isnan(values), -np.inf, values)


def _means(
    ratings: npt.NDArray[np.float64] | None,
    order: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64] | None:
    if ratings is None:
        return None
    # Summed in the order of the ratings themselves, so that the rows' order cannot be seen.
    ratings = ratings[order]
    there = ~np.isnan(ratings)
    sums = np.add.reduceat(np.where(there, ratings, 0.0), starts)
    counts = np.add.reduceat(there.astype(np.int64), starts)
    with np.errstate(invalid="ignore"):
        means: npt.NDArray[np.float64] = sums / np.where(counts, counts, np.nan)
    return means


def _refuse_undated(ordered: Interactions, fresh: npt.NDArray[np.bool_], policy: str) -> None:
    """Say no to ``first`` and ``last`` without times, unless all that is repeated is equal."""
    if ordered.ratings is None:
        return
    same = ordered.ratings[1:] == ordered.ratings[:-1]
    same |= np.isnan(ordered.ratings[1:]) & np.isnan(ordered.ratings[:-1])
    unlike = np.flatnonzero(~fresh[1:] & ~same)
    if len(unlike):
        raise UsageError(
            f"{ordered.named(int(unlike[0]))} have several ratings and no time, so none is the"
            f" {policy} one: name the column of the time, or choose --duplicates max or mean"
        )
