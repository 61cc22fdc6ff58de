"""Checks by name: what each demands, and of which kind of plugin."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("extractor", "loader", "fuser", "exporter")
"""The kinds of plugin parts that there are checks for."""

_MODULES = {
    "extractor": (
        "declaration_checks",
        "resolve_checks",
        "number_checks",
        "joint_checks",
        "item_checks",
        "life_checks",
        "pipeline_checks",
    ),
    "loader": ("declaration_checks", "loader_checks", "loader_row_checks"),
    "fuser": ("declaration_checks", "fuser_checks"),
    "exporter": ("declaration_checks", "exporter_checks"),
}
_CHECKS: dict[str, dict[str, Check]] = {kind: {} for kind in KINDS}


class CheckFailed(AssertionError):  # noqa: N818 - reads as what it is in a test report
    """A plugin breaks a rule; the message says where and how."""


class NotApplicable(Exception):  # noqa: N818 - not an error
    """A rule says nothing about this plugin; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of a contract, as a function that holds a plugin against it.

    Attributes:
        name: lower-case words with hyphens; selects it in ``pytest -k`` and everywhere else.
        rule: the rule in one line.
        kind: extractor, loader, fuser or exporter.
        run: takes a case of that kind; raises ``CheckFailed`` where the rule is broken and
            ``NotApplicable`` where it says nothing. Anything else that it raises comes from
            the plugin, and is a failure too.
    """

    name: str
    rule: str
    kind: str
    run: Callable[[Any], None]


def check(rule: str, *kinds: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function as the check of a rule; its name is the check's, with hyphens.

    Args:
        rule: the rule in one line.
        kinds: which kinds of plugin it holds for.
    """

    def register(run: Callable[[Any], None]) -> Callable[[Any], None]:
        name = run.__name__.replace("_", "-")
        for kind in kinds:
            if name in _CHECKS[kind]:
                raise ValueError(f"there are two {kind} checks called {name}")
            _CHECKS[kind][name] = Check(name, rule, kind, run)
        return run

    return register


def all_checks(kind: str) -> dict[str, Check]:
    """The checks of a kind by name, in the order in which they are run."""
    for module in _MODULES[kind]:
        importlib.import_module(f"ducho_core.testing.{module}")
    return dict(_CHECKS[kind])


def expect(holds: object, message: str) -> None:
    """Fail the check with a message unless something holds.

    Raises:
        CheckFailed: it does not.
    """
    if not holds:
        raise CheckFailed(message)
