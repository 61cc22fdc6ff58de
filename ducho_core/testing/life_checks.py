"""Checks of an extractor's life: loading, instances side by side, other processes, the end."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.testing.checks import check, expect
from ducho_core.testing.comparing import expect_same
from ducho_core.testing.network import no_network
from ducho_core.testing.resolve_checks import facts
from ducho_core.testing.worker import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ducho_core.testing.extractor_case import ExtractorCase

_BIG = 2**20
"""Bytes from which an array counts as a part of the model."""

_PASSED_OVER = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


@check("no network is needed to resolve, load, prepare and extract", "extractor")
def no_network_needed(case: ExtractorCase) -> None:
    """Everything anew, with no way out of this machine."""
    with no_network() as tried:
        try:
            extractor = case.load(case.resolve())
            try:
                for group in case.groups:
                    case.compute(group, extractor=extractor)
            finally:
                extractor.close()
        except Exception as error:
            expect(
                not tried,
                f"it needs a network: {', '.join(dict.fromkeys(tried))} was tried, and then it"
                f" failed with {type(error).__name__}: {str(error)[:300]}",
            )
            raise


@check("two instances work side by side, and closing one leaves the other", "extractor")
def two_instances(case: ExtractorCase) -> None:
    """Two more instances, used in turns; then one alone."""
    first, second = case.load(), case.load()
    closed = False
    try:
        for group in case.groups:
            samples = [case.samples(group, one) for one in (first, second)]
            halves = len(samples[0]) // 2
            found = [
                one.extract(part[:halves])
                for one, part in zip((first, second), samples, strict=True)
            ]
            whole = case.numbers(group)
            for values in found:
                expect_same(
                    {one.name: values[one.name] for one in group.outputs},
                    {one.name: whole[one.name][:halves] for one in group.outputs},
                    group.outputs,
                    case.tolerance,
                    f"another instance ({group.label})",
                )
        first.close()
        closed = True
        for group in case.groups:
            expect_same(
                case.compute(group, extractor=second),
                case.numbers(group),
                group.outputs,
                case.tolerance,
                f"after another instance was closed ({group.label})",
            )
    finally:
        for one in (second,) if closed else (first, second):
            one.close()


@check("another process finds the same and computes the same numbers", "extractor")
def same_in_another_process(case: ExtractorCase) -> None:
    """A fresh interpreter with other hashes of texts, in another folder."""
    found = elsewhere(case)
    here = facts(case.resolved)
    for name, value in found["facts"].items():
        expect(
            value == here[name],
            f"another process finds another {name}: {value}, here it is {here[name]}",
        )
    for group in case.groups:
        expect_same(
            found["numbers"][group.requires],
            case.numbers(group),
            group.outputs,
            case.tolerance,
            f"in another process ({group.label})",
        )


@check("close may be called, and lets the model's memory go", "extractor")
def close_frees(case: ExtractorCase) -> None:
    """What a closed instance still holds on to, while it is itself alive."""
    extractor = case.load()
    held = [weakref.ref(one) for one in _heavy(extractor)]
    extractor.close()
    gc.collect()
    left = sum(one() is not None for one in held)
    expect(
        not left,
        f"after close, {left} of the {len(held)} networks and big arrays of the instance are"
        " still alive: delete the attributes that hold them",
    )


def _heavy(extractor: object) -> Iterator[Any]:
    """Networks with parameters and big arrays that an instance reaches by its attributes."""
    module = getattr(sys.modules.get("torch.nn"), "Module", None)
    seen: set[int] = set()
    waiting: list[object] = [vars(extractor)]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _PASSED_OVER):
            continue
        seen.add(id(one))
        if module is not None and isinstance(one, module):
            if next(one.parameters(), None) is not None:
                yield one
            continue
        if isinstance(one, np.ndarray):
            if one.nbytes >= _BIG and one.base is None:
                yield one
            continue
        waiting += gc.get_referents(one)
