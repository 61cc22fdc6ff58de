"""How a key stands in a file's path: ``{item_id}_{slot}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import did_you_mean
from ducho_core.loaders.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Sequence


class KeyPattern:
    """A parsed pattern. An earlier field takes as much as it can: ``a_b_1`` is a_b and 1.

    Args:
        text: the pattern, over ``{item_id}`` and optionally ``{user_id}`` and ``{slot}``.

    Attributes:
        keys: its key columns in the order of ``KEY_COLUMNS``.

    Raises:
        UsageError: it is no such pattern.
    """

    def __init__(self, text: str) -> None:
        template = parse_template(text)
        for name in template.columns:
            if name not in KEY_COLUMNS:
                raise UsageError(
                    f"the pattern {text!r}: there is no key {name!r}"
                    f"{did_you_mean(name, KEY_COLUMNS)}; there are {', '.join(KEY_COLUMNS)}"
                )
        if "item_id" not in template.columns:
            raise UsageError(f"the pattern {text!r} needs {{item_id}}")
        if len(set(template.columns)) < len(template.columns):
            raise UsageError(f"the pattern {text!r} has one key twice")
        if "" in template.literals[1:-1]:
            raise UsageError(f"the pattern {text!r} needs something between its keys, such as _")
        parts = [re.escape(template.literals[0])]
        for name, literal in zip(template.columns, template.literals[1:], strict=True):
            parts.append(f"(?P<{name}>.+){re.escape(literal)}")
        self._regex = re.compile("".join(parts), re.DOTALL)
        self._text = text
        self.keys = tuple(name for name in KEY_COLUMNS if name in template.columns)

    def match(self, stems: Sequence[str]) -> list[tuple[str, ...]]:
        """The keys of paths without their suffixes.

        Raises:
            UsageError: some do not match; with their number and the first of them.
        """
        found = [self._regex.fullmatch(stem) for stem in stems]
        misses = [stem for stem, match in zip(stems, found, strict=True) if match is None]
        if misses:
            shown = ", ".join(misses[:5]) + (", …" if len(misses) > 5 else "")
            raise UsageError(
                f"the pattern {self._text!r} does not fit {len(misses)} of {len(stems)} files"
                f" (their paths without suffix): {shown}"
            )
        return [match.group(*self.keys, "item_id")[:-1] for match in found if match]
