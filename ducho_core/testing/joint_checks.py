"""The check of an extractor that takes all slots of an item at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ducho_core.testing.checks import NotApplicable, check
from ducho_core.testing.comparing import expect_same, in_order
from ducho_core.testing.number_checks import expect_sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.extractor import Extractor
    from ducho_core.testing.extractor_case import ExtractorCase, Group


@check(
    "an item's slots are taken together: one alone gives what it gives without, several give"
    " sound rows in every batch",
    "extractor",
)
def joint_slots(case: ExtractorCase) -> None:
    """Each item alone in a tuple, and each with the next one, as ``--slots joint`` gives them."""
    if not case.found.spec.joint:
        raise NotApplicable("it takes one image or text at a time")
    fields = tuple(replace(one, joint=True) for one in case.fields)
    context = replace(case.context(), inputs=fields)
    extractor = case.load(case.implementation.resolve(case.options, context))
    try:
        for group in case.groups:
            _expect_joint(case, group, extractor)
    finally:
        extractor.close()


def _expect_joint(case: ExtractorCase, group: Group, extractor: Extractor) -> None:
    single = _compute(extractor, group, _tuples(case, group, 1))
    what = f"each in a tuple of its own ({group.label})"
    expect_same(single, case.numbers(group), group.outputs, case.tolerance, what)
    items = _tuples(case, group, 2)
    found = extractor.extract(extractor.prepare_many(items))
    for output in group.outputs:
        expect_sound(output, found[output.name], len(items))
    together = _compute(extractor, group, _tuples(case, group, 2))
    alone = _compute(extractor, group, _tuples(case, group, 2), batch=1)
    what = f"two slots an item, one item at a time ({group.label})"
    expect_same(alone, together, group.outputs, case.tolerance, what)


def _tuples(case: ExtractorCase, group: Group, slots: int) -> list[dict[str, Any]]:
    count = len(case.items)
    parts = [
        case.inputs_of(group, [case.items[(at + step) % count] for at in range(count)])
        for step in range(slots)
    ]
    return [
        {name: tuple(part[at][name] for part in parts) for name in group.requires}
        for at in range(count)
    ]


def _compute(
    extractor: Extractor, group: Group, items: Sequence[Any], batch: int | None = None
) -> dict[str, Any]:
    samples = extractor.prepare_many(items)
    step = batch or len(samples)
    found = [extractor.extract(samples[at : at + step]) for at in range(0, len(samples), step)]
    return {one.name: in_order(found, one.name, range(len(items))) for one in group.outputs}
