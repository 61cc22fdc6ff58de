"""Which value of a slot belongs to which column, as a fit finds and keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ducho_core import UsageError
from ducho_lvlm.slots.clusters import average_linkage, nearest

if TYPE_CHECKING:
    from ducho_core.extractor import JSON
    from ducho_lvlm.slots.options import SlotsOptions

Vectors: TypeAlias = npt.NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Vectors]

FORMAT = 1
OTHER = -1
"""In place of a cluster's number where a value belongs to none."""

_TREE = "mapping"
_TOGETHER = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Values that mean the same.

    Attributes:
        value: the most frequent of them, which stands for all; of several the first in order.
        count: rows that have any of them, where it was fitted.
        members: all of them, in order.
    """

    value: str
    count: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotMapping:
    """The clusters of one slot.

    Attributes:
        slot: the text output's name.
        clusters: the most frequent first.
        vectors: of the values that stand for them, (k, dim).
        rare: values that were seen and belong to none.
    """

    slot: str
    clusters: tuple[Cluster, ...]
    vectors: Vectors
    rare: tuple[str, ...]

    def numbers(self) -> dict[str, int]:
        """The cluster of every value that was seen, ``OTHER`` where it belongs to none."""
        known = dict.fromkeys(self.rare, OTHER)
        for number, one in enumerate(self.clusters):
            known.update(dict.fromkeys(one.members, number))
        return known

    def columns(self, top: int, *, flag_missing: bool) -> list[str]:
        """Names of the slot's columns: ``color=red``, …, ``color:other``, ``color:missing``."""
        word = slot_word(self.slot)
        names = [f"{word}={one.value}" for one in self.clusters[:top]]
        return [*names, f"{word}:other", *([f"{word}:missing"] if flag_missing else [])]


def slot_word(output: str) -> str:
    """The slot's own name in an output's: ``pets.color`` of ``pets.slot_color``."""
    prompt, dot, name = output.rpartition(".")
    return f"{prompt}{dot}{name.removeprefix('slot_') or name}"


def learn(
    slot: str, counts: Mapping[str, int], embed: Embed, options: SlotsOptions
) -> SlotMapping:
    """Cluster the values of a slot.

    The most frequent values, ``options.clustered`` of them, are clustered by average linkage;
    each rarer one joins the nearest of the values that stand for a cluster, where that is
    within the threshold. Nothing depends on the order of rows.

    Args:
        slot: the text output's name.
        counts: value to the number of rows that have it.
        embed: gives vectors of values.
        options: threshold and bounds.
    """
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    head, tail = ordered[: options.clustered], ordered[options.clustered :]
    vectors = embed(head) if head else np.zeros((0, 1), np.float32)
    labels = average_linkage(vectors, options.threshold)
    # Numbered by first members, and those are the most frequent ones.
    _numbers, firsts = np.unique(labels, return_index=True)
    members: list[list[str]] = [[] for _ in firsts]
    for value, label in zip(head, labels.tolist(), strict=True):
        members[label].append(value)
    rare: list[str] = []
    for start in range(0, len(tail), _TOGETHER):
        part = tail[start : start + _TOGETHER]
        found = nearest(embed(part), vectors[firsts], options.threshold)
        for value, label in zip(part, found.tolist(), strict=True):
            (rare if label == OTHER else members[label]).append(value)
    clusters = [
        Cluster(
            value=group[0],
            count=sum(counts[value] for value in group),
            members=tuple(sorted(group)),
        )
        for group in members
    ]
    order = sorted(range(len(clusters)), key=lambda at: (-clusters[at].count, clusters[at].value))
    return SlotMapping(
        slot=slot,
        clusters=tuple(clusters[at] for at in order),
        vectors=np.ascontiguousarray(vectors[firsts[order]], np.float32),
        rare=tuple(sorted(rare)),
    )


def dump(mappings: Sequence[SlotMapping], identity: Mapping[str, JSON]) -> dict[str, Any]:
    """The mappings as arrays, for a fit: ``mapping`` is JSON in UTF-8."""
    tree = {
        "format": FORMAT,
        "identity": identity,
        "slots": [
            {
                "slot": one.slot,
                "clusters": [
                    {"value": each.value, "count": each.count, "members": each.members}
                    for each in one.clusters
                ],
                "rare": one.rare,
            }
            for one in mappings
        ],
    }
    text = json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    arrays = {f"vectors.{at}": one.vectors for at, one in enumerate(mappings)}
    return {_TREE: np.frombuffer(text.encode(), np.uint8), **arrays}


def load(state: Mapping[str, Any]) -> tuple[tuple[SlotMapping, ...], dict[str, JSON]]:
    """The mappings that ``dump`` made arrays of, and what spelled and embedded the values.

    Raises:
        UsageError: it is no such state.
    """
    try:
        tree = json.loads(np.asarray(state[_TREE], np.uint8).tobytes())
        if tree["format"] != FORMAT:
            raise UsageError(
                f"this mapping has the format {tree['format']}, and this ducho-lvlm knows"
                f" {FORMAT}: use the version that made it, or a newer one"
            )
        mappings = tuple(
            SlotMapping(
                slot=one["slot"],
                clusters=tuple(
                    Cluster(
                        value=each["value"], count=each["count"], members=tuple(each["members"])
                    )
                    for each in one["clusters"]
                ),
                vectors=np.asarray(state[f"vectors.{at}"], np.float32),
                rare=tuple(one["rare"]),
            )
            for at, one in enumerate(tree["slots"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is no mapping of lvlm/slots: {error!r}") from error
    return mappings, tree["identity"]
