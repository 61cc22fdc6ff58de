"""Checks of single items: broken ones, their samples, sizes and notes."""

from __future__ import annotations

import pickle
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import ItemError
from ducho_core.extractor import Sample
from ducho_core.media import Media
from ducho_core.testing.checks import CheckFailed, NotApplicable, check, expect
from ducho_core.testing.comparing import expect_same, in_order
from ducho_core.testing.items import copies

if TYPE_CHECKING:
    from ducho_core.extractor import InputValue
    from ducho_core.testing.extractor_case import ExtractorCase, Group

_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_THREADS = 4
_ROUNDS = 3


@check("an item that cannot be used fails alone, by an ItemError that says why", "extractor")
def broken_item_fails_alone(case: ExtractorCase) -> None:
    """Each broken item between two sound ones, whose numbers must not change."""
    for group in case.groups:
        for what, broken in case.broken.items():
            if not any(broken[name] is not case.items[0][name] for name in group.requires):
                continue
            _try_broken(case, group, what, broken)


@check("what prepare is given is left as it was", "extractor")
def inputs_left_alone(case: ExtractorCase) -> None:
    """The mapping, the texts and the bytes."""
    for group in case.groups:
        before = [_content(one) for one in case.inputs_of(group)]
        together, single = case.inputs_of(group), case.inputs_of(group)
        case.extractor.prepare_many(together)
        for one in single:
            case.extractor.prepare(one)
        for inputs, what in ((together, "prepare_many"), (single, "prepare")):
            for at, one in enumerate(inputs):
                expect(_content(one) == before[at], f"{what} changed the inputs of item {at}")


@check(
    "a sample can be sent to another process: it pickles, and gives the same numbers", "extractor"
)
def samples_pickle(case: ExtractorCase) -> None:
    """Every sample over a pickle and back."""
    for group in case.groups:
        samples = [pickle.loads(pickle.dumps(one)) for one in case.samples(group)]  # noqa: S301
        found = case.extractor.extract(samples)
        everything = range(len(samples))
        expect_same(
            {one.name: in_order([found], one.name, everything) for one in group.outputs},
            case.numbers(group),
            group.outputs,
            case.tolerance,
            f"after a pickle ({group.label})",
        )


@check("size is a whole number of at least 1, the same when it is asked again", "extractor")
def size_is_positive(case: ExtractorCase) -> None:
    """Of every sample."""
    for group in case.groups:
        for at, sample in enumerate(case.samples(group)):
            size: Any = case.extractor.size(sample)
            expect(
                isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0,
                f"the size of item {at} is {size!r}; batches are cut by it",
            )
            again = case.extractor.size(sample)
            expect(again == size, f"the size of item {at} is {size}, and {again} when asked again")


@check("notes are short words, the same for all items that they are true of", "extractor")
def notes_are_words(case: ExtractorCase) -> None:
    """Of every sound item, and of every broken one that can be prepared."""
    for group in case.groups:
        samples = case.samples(group)
        for broken in case.broken.values():
            try:
                samples += [case.extractor.prepare(case.inputs_of(group, [broken])[0])]
            except Exception:  # noqa: BLE001, S112 - another check's business
                continue
        for sample in samples:
            expect(isinstance(sample, Sample), f"prepare returned {sample!r}, which is no Sample")
            expect(
                isinstance(sample.notes, tuple),
                f"notes are a {type(sample.notes).__name__}, not a tuple",
            )
            for note in sample.notes:
                expect(
                    isinstance(note, str) and _CODE.fullmatch(note) and len(note) <= 40,
                    f"{note!r} is no note: one or few words in lower case, joined by _, so that"
                    " they can be counted",
                )


@check("prepare works from several threads at once", "extractor")
def prepare_is_thread_safe(case: ExtractorCase) -> None:
    """All items, over and over, from four threads; the numbers are those of one thread."""
    if not case.extractor.threadsafe_prepare:
        raise NotApplicable("it says threadsafe_prepare = False")
    for group in case.groups:
        places = [list(range(len(case.items)))[turn:] for turn in range(_THREADS)]

        def work(order: list[int], group: Group = group) -> list[list[Sample]]:
            rounds = []
            for _ in range(_ROUNDS):
                inputs = case.inputs_of(group, [case.items[place] for place in order])
                rounds.append([case.extractor.prepare(one) for one in inputs])
                time.sleep(0)
            return rounds

        with ThreadPoolExecutor(_THREADS) as pool:
            results = list(pool.map(work, places))
        whole = case.numbers(group)
        for order, rounds in zip(places, results, strict=True):
            for samples in rounds:
                found = case.extractor.extract(samples)
                expect_same(
                    {one.name: found[one.name] for one in group.outputs},
                    {one.name: [whole[one.name][at] for at in order] for one in group.outputs},
                    group.outputs,
                    case.tolerance,
                    f"prepared by {_THREADS} threads at once ({group.label})",
                )


def _try_broken(
    case: ExtractorCase, group: Group, what: str, broken: dict[str, InputValue]
) -> None:
    """Prepare and extract as the core does: a slice, and item by item where that fails."""
    extractor = case.extractor
    first, last = case.items[0], case.items[-1]
    inputs = case.inputs_of(group, [first, broken, last])
    samples: list[Any]
    try:
        samples = list(extractor.prepare_many(inputs))
    except Exception:  # noqa: BLE001 - as the core does
        samples = [_prepared(case, what, one) for one in copies(inputs)]
    expect(len(samples) == 3, f"{what}: prepare_many returned {len(samples)} samples for 3 items")
    for at in (0, 2):
        expect(
            not isinstance(samples[at], ItemError),
            f"{what}: a sound item beside it fails too: {samples[at]}",
        )
    usable = [at for at in range(3) if not isinstance(samples[at], ItemError)]
    try:
        found = extractor.extract([samples[at] for at in usable])
    except ItemError as error:
        expect(
            0 <= error.index < len(usable) and usable[error.index] == 1,
            f"{what}: extract blames the sample at {error.index}, which is a sound one",
        )
        _expect_told(error, what)
        usable = [0, 2]
        found = extractor.extract([samples[at] for at in usable])
    except Exception as error:
        raise CheckFailed(
            f"{what}: extract raises {type(error).__name__} ({error}) for the whole batch; refuse"
            " the item in prepare, or name it with ItemError(index, code, message)"
        ) from error
    whole = case.numbers(group)
    for output in group.outputs:
        column = in_order([found], output.name, range(len(usable)))
        expect_same(
            {output.name: [column[0], column[-1]]},
            {output.name: [whole[output.name][0], whole[output.name][len(case.items) - 1]]},
            [output],
            case.tolerance,
            f"{what}: beside it a sound item's numbers change",
        )


def _prepared(case: ExtractorCase, what: str, inputs: dict[str, InputValue]) -> Sample | ItemError:
    try:
        return case.extractor.prepare(inputs)
    except ItemError as error:
        expect(
            error.index == 0, f"{what}: prepare has one item and blames the one at {error.index}"
        )
        _expect_told(error, what)
        return error
    except Exception as error:
        raise CheckFailed(
            f"{what}: prepare raises {type(error).__name__} ({error}); raise"
            " ItemError(0, code, message), so that the reasons can be counted"
        ) from error


def _expect_told(error: ItemError, what: str) -> None:
    expect(
        isinstance(error.code, str) and _CODE.fullmatch(error.code),
        f"{what}: the code {error.code!r} of the ItemError is not in snake_case",
    )
    expect(
        isinstance(error.message, str) and error.message.strip(),
        f"{what}: the ItemError has no message",
    )


def _content(inputs: dict[str, InputValue]) -> dict[str, str | bytes]:
    return {
        name: value.bytes if isinstance(value, Media) else value for name, value in inputs.items()
    }
