"""Lists that distributions add to recipes, such as ``splits``."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ducho_core.distributions import STEP_GROUP, claims
from ducho_core.errors import ContractError, PluginCollisionError
from ducho_core.plugin_faults import import_attribute
from ducho_core.switches import switched_off_distributions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from ducho_core.distributions import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What a step did.

    Attributes:
        text: for a person.
        record: as plain JSON.
    """

    text: str
    record: Mapping[str, Any]


class RecipeStep(ABC):
    """One entry of a list that a distribution adds to recipes.

    The distribution names a subclass in the entry-point group ``ducho.steps``, under the name of
    the list in the plural: ``splits = "ducho_recsys.splits.step:SplitStep"``. Its module is
    imported where a recipe has that list. Entries are carried out before anything is extracted;
    a recipe that was carried out before must not fail at them.

    Args:
        entry: the entry, converted to ``fields``.

    Attributes:
        fields: a Struct with the keys that an entry has.
        paths: those of them that are paths, taken to be relative to the recipe's folder.
        entry: the entry.
    """

    fields: ClassVar[type[msgspec.Struct]]
    paths: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, entry: Any) -> None:
        self.entry = entry

    @abstractmethod
    def check(self) -> None:
        """Look at the entry before any step begins; write nothing.

        Raises:
            UsageError: it cannot be carried out.
        """

    @abstractmethod
    def plan(self) -> str:
        """What it would do, in a line, for ``--dry-run``."""

    @abstractmethod
    def run(self) -> StepReport:
        """Carry it out, or find that it was done before.

        Raises:
            DuchoError: it cannot be carried out; nothing after it is.
        """


def added_lists(*, no_plugins: bool = False) -> dict[str, list[Claim]]:
    """The lists that distributions add, by name, with all who claim it; imports nothing."""
    if no_plugins:
        return {}
    off = switched_off_distributions(os.environ)
    found: dict[str, list[Claim]] = {}
    for claim in claims(STEP_GROUP):
        if claim.distribution not in off:
            found.setdefault(claim.name, []).append(claim)
    return found


def import_step(name: str, several: list[Claim]) -> type[RecipeStep]:
    """Import the class of a list's entries.

    Raises:
        PluginCollisionError: two distributions claim the list.
        PluginLoadError: it cannot be imported.
        ContractError: it is no RecipeStep.
    """
    if len(several) > 1:
        raise PluginCollisionError(
            f"{len(several)} distributions claim the list {name!r} of recipes:"
            f" {' and '.join(one.origin for one in several)}",
            f"pip uninstall {' or '.join(one.distribution for one in several)}",
        )
    claim = several[0]
    what = f"list {name!r} of recipes"
    kind: object = import_attribute(claim, f"{claim.module}:{claim.attribute}", what=what)
    if not isinstance(kind, type) or not issubclass(kind, RecipeStep):
        raise ContractError(
            f"{what} ({claim.origin}) is broken: {claim.module}:{claim.attribute} is no RecipeStep"
        )
    return kind


__all__ = ["RecipeStep", "StepReport"]
