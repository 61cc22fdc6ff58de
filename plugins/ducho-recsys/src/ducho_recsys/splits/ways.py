"""The ways to split interactions. None sees the order of the rows.

Where something is drawn, each interaction (or item) gets a number made of the seed and of its ids
alone. So the interactions of a user are split alike whatever other users there are.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ducho_core import UsageError
from ducho_recsys.splits.interactions import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from ducho_recsys.splits.interactions import Interactions

Parts: TypeAlias = "npt.NDArray[np.int8]"
TRAIN, VALIDATION, TEST = 0, 1, 2


def part(interactions: Interactions, how: str, settings: Mapping[str, Any]) -> Parts:
    """The part of each interaction, (n,).

    Args:
        interactions: one of each user with each item.
        how: ``random``, ``leave-one-out``, ``user-time``, ``time`` or ``cold``.
        settings: of that way.

    Raises:
        UsageError: times are needed and missing, or a cut leaves nothing to train on.
    """
    if how == "cold":
        parts: Parts = item_parts(interactions, settings)[interactions.items]
        return parts
    if how == "time":
        return _by_cut(interactions, settings)
    by_time = how == "user-time" or (how == "leave-one-out" and settings["pick"] == "last")
    if by_time:
        check_times(interactions, how)
    place, size = _places(interactions, int(settings["seed"]), by_time=by_time)
    if how == "leave-one-out":
        last = size - 1 - place
        few = size < 2 + bool(settings["validation"])
        held = np.where(last == 0, TEST, np.where(last == 1, VALIDATION, TRAIN))
        if not settings["validation"]:
            held[held == VALIDATION] = TRAIN
        return np.where(few, TRAIN, held).astype(np.int8)
    rest = keep(size, settings["test_ratio"])
    train = keep(rest, settings["validation_ratio"])
    held = np.where(place >= rest, TEST, np.where(place >= train, VALIDATION, TRAIN))
    return held.astype(np.int8)


def keep(sizes: npt.NDArray[np.int64], ratio: float) -> npt.NDArray[np.int64]:
    """How many of so many stay where a share goes: floor(n * (1 - ratio)), as Elliot has it.

    A user with one interaction keeps none.
    """
    kept: npt.NDArray[np.int64] = np.floor(sizes * (1 - ratio)).astype(np.int64)
    return kept


def item_parts(interactions: Interactions, settings: Mapping[str, Any]) -> Parts:
    """The part of each item in an item-cold split: half of those held out are for validation."""
    drawn = draw(interactions.item_ids, int(settings["seed"]), b"item")
    order = np.argsort(drawn, kind="stable")
    stay = int(keep(np.array([len(order)]), settings["cold_share"])[0])
    held = order[stay:]
    if not stay or not len(held):
        raise UsageError(
            f"{settings['cold_share']:g} of {len(order)} items leaves"
            f" {'nothing to train on' if not stay else 'none held out'}: choose another"
            " --cold-share"
        )
    parts = np.full(len(order), TRAIN, np.int8)
    parts[held] = TEST
    if settings["validation"]:
        parts[held[: len(held) // 2]] = VALIDATION
    return parts


def check_times(interactions: Interactions, how: str) -> None:
    """Say no where an interaction has no time.

    Raises:
        UsageError: with what to do.
    """
    missing = len(interactions)
    if interactions.times is not None:
        missing = int(np.count_nonzero(np.isnan(interactions.times)))
    if missing == len(interactions):
        raise UsageError(
            f"--how {how} needs the time of each interaction: name its column, --timestamp"
            " COLUMN, or choose another way to split"
        )
    if missing:
        row = int(np.flatnonzero(np.isnan(np.asarray(interactions.times)))[0])
        raise UsageError(
            f"--how {how} needs the time of each interaction; {missing} have none, the first of"
            f" {interactions.named(row)}"
        )


def draw(ids: pa.StringArray, seed: int, what: bytes) -> npt.NDArray[np.uint64]:
    """A number for each id that follows from it and the seed alone, (n,)."""
    salt = seed.to_bytes(16, "little")
    numbers = bytearray()
    for one in ids.cast("binary").to_pylist():
        numbers += blake2b(one, digest_size=8, salt=salt, person=what).digest()
    return np.frombuffer(bytes(numbers), "<u8").astype(np.uint64)


def _places(
    interactions: Interactions, seed: int, *, by_time: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The place of each interaction among its user's, and how many that user has."""
    users = draw(interactions.user_ids, seed, b"user")[interactions.users]
    items = draw(interactions.item_ids, seed, b"item")[interactions.items]
    drawn = _mix(users ^ _mix(items))
    keys: tuple[Any, ...] = (interactions.items, drawn)
    if by_time:
        keys = (*keys, interactions.times)
    order = np.lexsort((*keys, interactions.users))
    counts = interactions.user_counts
    place = np.empty(len(order), np.int64)
    before = np.cumsum(counts) - counts
    place[order] = np.arange(len(order)) - before[interactions.users[order]]
    return place, counts[interactions.users]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of splitmix64 (Steele, Lea and Flood, 2014): every bit depends on all."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def _by_cut(interactions: Interactions, settings: Mapping[str, Any]) -> Parts:
    check_times(interactions, "time")
    assert interactions.times is not None
    times = interactions.times
    parts = np.full(len(times), TRAIN, np.int8)
    rest = np.ones(len(times), np.bool_)
    for name, number in (("test", TEST), ("validation", VALIDATION)):
        given = settings.get(f"{name}_from")
        ratio = settings.get(f"{name}_ratio")
        if given is not None:
            cut = _moment(given, name)
        elif ratio:
            ordered = np.sort(times[rest])
            cut = float(ordered[min(keep(np.array([len(ordered)]), ratio)[0], len(ordered) - 1)])
        else:
            continue
        late = rest & (times >= cut)
        rest &= ~late
        if not rest.any() or (name == "test" and not late.any()):
            raise UsageError(
                f"cut at {cut:g}, the {name} part takes {'all' if late.any() else 'no'}"
                f" interactions; they are from {times.min():g} to {times.max():g}: choose"
                f" another --{name}-from or --{name}-ratio"
            )
        parts[late] = number
    return parts


def _moment(given: float | str, name: str) -> float:
    try:
        return float(given)
    except ValueError:
        moment = parse_time(str(given))
    if moment is None:
        raise UsageError(
            f"--{name}-from {given!r} is neither a number nor a date in ISO 8601 (2024-01-31)"
        )
    return moment
