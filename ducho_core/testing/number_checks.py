"""Checks of the numbers: which rows, which values, the same however they are computed."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.testing.checks import check, expect
from ducho_core.testing.comparing import distances, expect_same, in_order

if TYPE_CHECKING:
    from ducho_core.extractor import Output
    from ducho_core.testing.extractor_case import ExtractorCase


@check("each item gets one row, in the order of the items, also where items repeat", "extractor")
def keeps_order_and_count(case: ExtractorCase) -> None:
    """Rows of a batch against the same items one by one."""
    for group in case.groups:
        alone = case.compute(group, batch=1)
        places = [*range(len(case.items)), 0, 0, len(case.items) - 1]
        samples = case.extractor.prepare_many(
            case.inputs_of(group, [case.items[place] for place in places])
        )
        expect(
            len(samples) == len(places),
            f"prepare_many returned {len(samples)} samples for {len(places)} items",
        )
        found = case.extractor.extract(samples)
        for output in group.outputs:
            column = in_order([found], output.name, range(len(places)))
            _expect_own_rows(output, column, alone[output.name], places)


@check("an item's numbers do not depend on the batch's size, order or other items", "extractor")
def batch_independent(case: ExtractorCase) -> None:
    """Batches of 1, 2, 3 and all, forwards, backwards and shuffled."""
    count = len(case.items)
    backwards = list(range(count))[::-1]
    shuffled = np.random.default_rng(7).permutation(count).tolist()
    for group in case.groups:
        whole = case.numbers(group)
        for batch, order in ((1, None), (2, backwards), (3, shuffled), (count, backwards)):
            expect_same(
                case.compute(group, batch=batch, order=order),
                whole,
                group.outputs,
                case.tolerance,
                f"in batches of {batch}{'' if order is None else ', in another order'}"
                f" ({group.label})",
            )


@check(
    "outputs are what they were declared: embeddings finite, (n, dim), of their dtype", "extractor"
)
def outputs_are_sound(case: ExtractorCase) -> None:
    """Shapes, dtypes and values of every output."""
    for group in case.groups:
        samples = case.samples(group)
        found = case.extractor.extract(samples)
        for output in group.outputs:
            expect(output.name in found, f"extract did not return output {output.name!r}")
            expect_sound(output, found[output.name], len(samples))


@check("the same batch gives the same bits again", "extractor")
def deterministic(case: ExtractorCase) -> None:
    """Prepared and extracted twice by one instance."""
    for group in case.groups:
        expect_same(
            case.compute(group),
            case.numbers(group),
            group.outputs,
            0.0,
            f"computed a second time ({group.label})",
        )


@check("extract leaves its samples as they are, so that a batch can be tried again", "extractor")
def samples_left_alone(case: ExtractorCase) -> None:
    """The very same samples extracted again, and then one by one."""
    for group in case.groups:
        samples = case.samples(group)
        everything = range(len(samples))
        first = case.extractor.extract(samples)
        again = case.extractor.extract(samples)
        halves = [case.extractor.extract([one]) for one in samples]
        for output in group.outputs:
            before = {output.name: in_order([first], output.name, everything)}
            for parts, what in (([again], "extracted again"), (halves, "extracted one by one")):
                expect_same(
                    {output.name: in_order(parts, output.name, everything)},
                    before,
                    [output],
                    case.tolerance,
                    f"the same samples {what} ({group.label})",
                )


@check("one call of extract gives every output that its samples have the inputs for", "extractor")
def one_call_for_all_outputs(case: ExtractorCase) -> None:
    """Each feature set on its own inputs alone, as the core asks for it."""
    declared = {output.name for output in case.extractor.outputs}
    for group in case.groups:
        found = case.extractor.extract(case.samples(group))
        missing = [one.name for one in group.outputs if one.name not in found]
        expect(
            not missing,
            f"with {group.label}, extract lacks {', '.join(missing)}; it returned"
            f" {', '.join(found) or 'nothing'}",
        )
        unknown = sorted(set(found) - declared)
        expect(
            not unknown,
            f"with {group.label} extract returned {', '.join(unknown)}, which it does not declare",
        )


@check("prepare_many gives what prepare gives, item by item", "extractor")
def prepare_many_agrees(case: ExtractorCase) -> None:
    """Numbers and notes, since the core falls back to one by one where a slice fails."""
    for group in case.groups:
        many = case.extractor.prepare_many(case.inputs_of(group))
        single = [case.extractor.prepare(one) for one in case.inputs_of(group)]
        for at, (one, other) in enumerate(zip(many, single, strict=True)):
            expect(
                sorted(one.notes) == sorted(other.notes),
                f"item {at} has the notes {list(one.notes)} by prepare_many, {list(other.notes)}"
                " by prepare",
            )
        everything = range(len(single))
        found = case.extractor.extract(single)
        expect_same(
            {one.name: in_order([found], one.name, everything) for one in group.outputs},
            case.numbers(group),
            group.outputs,
            case.tolerance,
            f"prepared one by one ({group.label})",
        )


def _expect_own_rows(output: Output, column: Any, alone: Any, places: list[int]) -> None:
    """Each row is nearest to its own item's; a batch's rounding may not be small, order is."""
    if output.kind != "embedding":
        wanted = [alone[place] for place in places]
        gaps = distances(column, wanted, output)
        wrong = [at for at, gap in enumerate(gaps) if gap > 0.1]
        expect(
            not wrong,
            f"output {output.name!r}: the row at {wrong[:1]} is not that of its item, which alone"
            f" gets {wanted[wrong[0]] if wrong else ''!r}",
        )
        return
    own = np.asarray(alone, np.float64)
    spread = np.linalg.norm(own - own[0], axis=1)
    expect(len(own) < 2 or spread.max() > 0, f"output {output.name!r} is the same for every item")
    rows = np.asarray(column, np.float64)
    for at, place in enumerate(places):
        gaps = np.linalg.norm(own - rows[at], axis=1)
        expect(
            gaps[place] <= gaps.min() * 1.001 + 1e-12,
            f"output {output.name!r}: the row at {at} is that of item {int(gaps.argmin())},"
            f" it should be that of item {place}",
        )


def expect_sound(output: Output, column: Any, count: int) -> None:
    """See that a column is what its output declares: rows, kind, shape, dtype, finite."""
    where = f"output {output.name!r}"
    expect(len(column) == count, f"{where} has {len(column)} rows for {count} items")
    if output.kind == "embedding":
        expect(isinstance(column, np.ndarray), f"{where} is a {type(column).__name__}, no array")
        expect(
            column.shape == (count, output.dim),
            f"{where} has shape {column.shape}, declared was ({count}, {output.dim})",
        )
        expect(
            column.dtype == output.dtype, f"{where} is {column.dtype}, declared was {output.dtype}"
        )
        expect(np.isfinite(column).all(), f"{where} holds NaN or infinity for a sound item")
        return
    kinds: Any = str if output.kind == "text" else (numbers.Real, np.bool_)
    values = column.tolist() if isinstance(column, np.ndarray) else column
    for at, value in enumerate(values):
        expect(
            value is None or isinstance(value, kinds),
            f"{where} of item {at} is {value!r}; a {output.kind} or None was declared",
        )
