"""Runs checks without pytest."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ducho_core.testing.checks import CheckFailed, NotApplicable, all_checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ducho_core.testing.checks import Check
    from ducho_core.testing.part_case import PartCase

State = Literal["passed", "failed", "expected", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check.

    Attributes:
        name: the check.
        rule: what it demands.
        state: ``passed``; ``failed``; ``expected`` for a failure that was declared;
            ``skipped`` where the rule says nothing about the plugin.
        reason: why, where it did not pass.
        seconds: how long it took.
        traceback: where the plugin raised, where it did.
    """

    name: str
    rule: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    traceback: str = ""


def run_check(one: Check, case: PartCase, expected: str | None = None) -> Outcome:
    """Run one check.

    Args:
        one: the check.
        case: what to hold against it.
        expected: why a failure is expected; a check that then passes has failed.
    """
    begun = time.perf_counter()
    state, reason, where = _carry_out(one, case)
    if expected is not None:
        if state == "failed":
            state, reason, where = "expected", expected, ""
        elif state == "passed":
            state, reason = "failed", f"it passes, and was expected to fail: {expected}"
    return Outcome(one.name, one.rule, state, reason, time.perf_counter() - begun, where)


def run_checks(
    case: PartCase, pattern: str = "", expected_failures: Mapping[str, str] | None = None
) -> Iterator[Outcome]:
    """Run the checks of a case's kind, one outcome a check as it comes.

    Args:
        case: what to hold against them.
        pattern: a part of the names wanted, or a pattern with ``*``; all where empty.
        expected_failures: names of checks to why they are expected to fail.
    """
    expected = dict(expected_failures or {})
    for name, one in all_checks(case.kind).items():
        if matches(name, pattern):
            yield run_check(one, case, expected.get(name))


def matches(name: str, pattern: str) -> bool:
    """Whether a check is meant by a pattern; ``_`` is as good as ``-``."""
    wanted = pattern.replace("_", "-").lower()
    return wanted in name or fnmatch.fnmatchcase(name, wanted)


def _carry_out(one: Check, case: Any) -> tuple[State, str, str]:
    try:
        # What a plugin prints must not end up among the results.
        with contextlib.redirect_stdout(sys.stderr):
            one.run(case)
    except NotApplicable as why:
        return "skipped", str(why), ""
    except CheckFailed as why:
        return "failed", str(why), ""
    except Exception as error:  # noqa: BLE001 - whatever the plugin raises
        where = "".join(traceback.format_exception(error)).rstrip()
        return "failed", f"{type(error).__name__}: {error}", where
    return "passed", "", ""
