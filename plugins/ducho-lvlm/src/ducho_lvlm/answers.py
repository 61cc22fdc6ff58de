"""Answers of the form ``[Label] {value}, [Label] {value}``, read by label."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_lvlm.prompts import Slot

_SLOT = re.compile(r"\[([^\[\]{}\n]+)\]\s*\{([^\[\]{}\n]*)\}")


def parse_answer(text: str, slots: Sequence[Slot]) -> dict[str, str | None]:
    """The value of each slot; None where the answer gives none, or one that is not allowed.

    Values are found by label, whatever their order; of a label that is given twice the first
    counts. Labels and listed values are compared without regard to case.

    Args:
        text: the answer.
        slots: the slots that were asked for.

    Returns:
        Column name of each slot to its value, blanks at both ends removed.
    """
    given: dict[str, str] = {}
    for label, value in _SLOT.findall(text):
        given.setdefault(label.strip().casefold(), value.strip())
    found: dict[str, str | None] = {}
    for slot in slots:
        value = given.get(slot.label.casefold()) or None
        if value is not None and slot.values:
            listed = {one.casefold(): one for one in slot.values}
            value = listed.get(value.casefold())
        found[slot.column] = value
    return found


def compliance(values: Sequence[str | None]) -> float:
    """Share of the slots that have a value, in [0, 1]."""
    return sum(one is not None for one in values) / len(values)
