"""What every step of a split costs, in numbers and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core import UsageError
from ducho_recsys.splits.folder import PARTS
from ducho_recsys.splits.ways import TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ducho_recsys.splits.folder import Split
    from ducho_recsys.splits.interactions import Interactions
    from ducho_recsys.splits.ways import Parts


class Steps:
    """Counts what is left after each filter."""

    def __init__(self) -> None:
        self._listed: list[dict[str, Any]] = []

    def add(self, step: str, interactions: Interactions) -> None:
        """Count, and say no where nothing is left.

        Raises:
            UsageError: names the step and what there was before it.
        """
        users, items, count = interactions.counts()
        if not count:
            before = self._listed[-1]["interactions"] if self._listed else 0
            raise UsageError(
                f"no interaction is left after the step {step!r}; there were {before} before it"
            )
        self._listed.append({"step": step, **_numbers(users, items, count)})

    def parts(
        self, interactions: Interactions, parts: Parts, relevant: npt.NDArray[np.bool_]
    ) -> dict[str, Any]:
        """``steps`` and ``parts`` of ``split.json``.

        Raises:
            UsageError: a part that is needed is empty.
        """
        train = interactions.take(parts == TRAIN)
        seen_users, seen_items = train.user_counts > 0, train.item_counts > 0
        told = {}
        for number, name in enumerate(PARTS):
            mine = parts == number
            one = interactions.take(mine)
            if not len(one) and name != "validation":
                raise UsageError(
                    f"the {name} part is empty: {len(interactions)} interactions of"
                    f" {len(interactions.user_ids)} users are too few to be split so;"
                    " another --how, or other shares (--test-ratio, --validation-ratio), may do"
                )
            told[name] = {
                **_numbers(*one.counts()),
                "relevant": int(np.count_nonzero(relevant[mine])),
                "users_not_in_train": int(np.count_nonzero((one.user_counts > 0) & ~seen_users)),
                "items_not_in_train": int(np.count_nonzero((one.item_counts > 0) & ~seen_items)),
            }
        return {"steps": self._listed, "parts": told}


def summary(split: Split) -> str:
    """What a split did, for a person."""
    told = split.description
    rows: list[Sequence[object]] = []
    before: Mapping[str, Any] | None = None
    for one in told["steps"]:
        lost = 0 if before is None else before["interactions"] - one["interactions"]
        rows.append((*_cells(one["step"], one), f"-{lost}" if lost else ""))
        before = one
    rows += [(*_cells(name, told["parts"][name]), "") for name in PARTS]
    lines = _aligned(("", "users", "items", "interactions", "left out"), rows)
    for name in PARTS[1:]:
        part = told["parts"][name]
        strangers = [
            f"{part[f'{what}_not_in_train']} of its {part[what]} {what}"
            for what in ("users", "items")
            if part[f"{what}_not_in_train"]
        ]
        if strangers:
            lines.append(f"{name}: {' and '.join(strangers)} have nothing in train")
        if part["relevant"] < part["interactions"]:
            lines.append(
                f"{name}: {part['relevant']} of {part['interactions']} interactions are relevant"
            )
    lines += [*told["remarks"], f"split {split.digest[:12]}… by {_way(split.settings)}"]
    return "\n".join([*lines, f"  {split.path}"])


def as_dict(split: Split) -> dict[str, Any]:
    """The same as plain JSON: ``split.json`` and where it is."""
    return {"folder": str(split.path), **split.description}


def _way(settings: Mapping[str, Any]) -> str:
    names = ("seed", "test_ratio", "validation_ratio", "pick", "cold_share", "test_from",
             "validation_from")  # fmt: skip
    given = [f"{name} {settings[name]}" for name in names if settings.get(name) is not None]
    return ", ".join([settings["how"], *given])


def _numbers(users: int, items: int, count: int) -> dict[str, int]:
    return {"users": users, "items": items, "interactions": count}


def _cells(word: str, one: Mapping[str, Any]) -> tuple[object, ...]:
    return (word, one["users"], one["items"], one["interactions"])


def _aligned(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(headers))]
    return [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
