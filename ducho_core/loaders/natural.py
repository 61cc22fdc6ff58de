"""The order in which people sort names: ``2`` before ``10``."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Sort key that compares runs of digits as numbers, whatever their length.

    Names that differ only in leading zeros are told apart by the plain text.
    """
    parts = _NUMBER.split(name)
    return tuple(
        _number(part) if position % 2 else part for position, part in enumerate(parts)
    ), name


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant
