"""Checks of fusers: what they declare, their rows, their fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.errors import UsageError
from ducho_core.fuser import GroupFuser, RelabelFuser, RowFuser
from ducho_core.store.spec import canonical_json
from ducho_core.testing.checks import CheckFailed, NotApplicable, check, expect
from ducho_core.testing.comparing import expect_same
from ducho_core.testing.fuser_case import ROWS, kept
from ducho_core.testing.network import no_network
from ducho_core.testing.resolve_checks import place_in, texts_within

if TYPE_CHECKING:
    from ducho_core.testing.fuser_case import FuserCase


@check("it is a RowFuser, a RelabelFuser or a GroupFuser", "fuser")
def is_of_a_kind(case: FuserCase) -> None:
    """Of one of them, and of no other."""
    kinds = [one for one in (RowFuser, RelabelFuser, GroupFuser) if isinstance(case.open(), one)]
    expect(
        len(kinds) == 1,
        f"{case.implementation.__name__} is {len(kinds)} of RowFuser, RelabelFuser and"
        " GroupFuser; the core carries out these three",
    )


@check("outputs are embeddings with different names and every dim", "fuser")
def outputs_are_declared(case: FuserCase) -> None:
    """As soon as it is opened, or fitted, and the same when it is opened again."""
    fuser = case.open()
    outputs = fuser.outputs
    later = isinstance(fuser, RowFuser) and fuser.fitted
    expect(isinstance(outputs, tuple) and outputs, f"outputs are {outputs!r}, not a tuple of some")
    names = [one.name for one in outputs]
    expect(len(set(names)) == len(names), f"its outputs are called {', '.join(names)}")
    for one in outputs:
        expect(
            one.kind == "embedding"
            and (later if one.dim is None else isinstance(one.dim, int) and one.dim > 0),
            f"output {one.name!r} is {one.kind} with dim {one.dim!r}; a fuser makes embeddings of"
            " a known length",
        )
    expect(case.open().outputs == outputs, "it has other outputs when it is opened again")
    if any(one.dim is None for one in outputs):
        for one, before in zip(case.fitted().outputs, outputs, strict=True):
            expect(
                one.name == before.name and isinstance(one.dim, int) and one.dim > 0,
                f"once fitted, output {before.name!r} is {one.name!r} with dim {one.dim!r}",
            )


@check("what it adds to the SPEC is plain JSON without a path, user or host name", "fuser")
def identity_is_plain(case: FuserCase) -> None:
    """Its ``identity``, the same when it is opened again."""
    identity = dict(case.open().identity)
    canonical_json(identity)
    for where, text in texts_within(identity, "identity"):
        expect(not place_in(text), f"{where} names {place_in(text)}: {text!r}")
    expect(dict(case.open().identity) == identity, "identity differs when it is opened again")


@check("new rows are what was declared: (n, dim) float32, finite, and no other output", "fuser")
def outputs_are_sound(case: FuserCase) -> None:
    """Of a row or group fuser."""
    fuser = _computing(case)
    count = ROWS if isinstance(fuser, RowFuser) else len(case.groups(fuser.keeps))
    found = case.compute(fuser)
    declared = {one.name: one.dim for one in fuser.outputs}
    expect(
        set(found) == set(declared), f"it made {sorted(found)}; declared are {sorted(declared)}"
    )
    for name, dim in declared.items():
        array = found[name]
        expect(
            array.shape == (count, dim),
            f"output {name!r} has shape {array.shape}, declared was ({count}, {dim})",
        )
        expect(array.dtype == np.float32, f"output {name!r} is {array.dtype}, not float32")
        expect(np.isfinite(array).all(), f"output {name!r} holds NaN or infinity for sound rows")


@check("a new row follows from its own row or group alone, whatever the batch", "fuser")
def rows_stand_alone(case: FuserCase) -> None:
    """One by one, three at a time, and all in the opposite order."""
    fuser = _computing(case)
    whole = case.compute(fuser)
    for size, backwards in ((1, False), (3, True), (ROWS, True)):
        expect_same(
            case.compute(fuser, size, backwards=backwards),
            whole,
            fuser.outputs,
            case.tolerance,
            f"in batches of {size}{', in the opposite order' if backwards else ''}",
        )


@check("the same rows give the same bits again", "fuser")
def deterministic(case: FuserCase) -> None:
    """By two instances, each opened and fitted on its own."""
    if isinstance(case.open(), RelabelFuser):
        raise NotApplicable("it computes no number; relabels-by-keys is about it")
    expect_same(
        case.compute(case.fitted()),
        case.compute(case.fitted()),
        case.open().outputs,
        0.0,
        "by another instance",
    )


@check("its inputs are left as they are", "fuser")
def inputs_left_alone(case: FuserCase) -> None:
    """The arrays that it is handed cannot be written to here."""
    fuser = case.open()
    try:
        if isinstance(fuser, RelabelFuser):
            digests = _digests(9)
            digests.flags.writeable = False
            fuser.sources(digests)
        else:
            case.compute(case.fitted())
    except ValueError as error:
        if "read-only" in str(error):
            raise CheckFailed(f"it writes into an input: {error}; work on a copy") from error
        raise


@check("a fit finds the same again, and does not depend on how rows are cut", "fuser")
def fit_repeats(case: FuserCase) -> None:
    """The bits in the same batches, the numbers in others."""
    _fitted(case)
    first, second = (dict(case.open().fit(case.row_batches(ROWS))) for _ in range(2))
    expect(set(first) == set(second), f"a second fit finds {sorted(second)}, not {sorted(first)}")
    for name, array in first.items():
        expect(
            np.array_equal(array, second[name], equal_nan=True),
            f"a second fit on the same rows finds another {name!r}",
        )
    for size in (1, 17):
        other = dict(case.open().fit(case.row_batches(size)))
        for name, array in first.items():
            near = np.allclose(other[name], array, rtol=max(case.tolerance, 1e-9) * 10, atol=1e-9)
            expect(near, f"fitted in batches of {size} it finds another {name!r}")


@check("a fit is arrays by name that can be kept, and all that transform needs", "fuser")
def fit_can_be_kept(case: FuserCase) -> None:
    """Through its file into an instance that never saw a row."""
    _fitted(case)
    fitting = case.open()
    state = fitting.fit(case.row_batches(ROWS))
    for name, array in state.items():
        expect(
            isinstance(name, str) and isinstance(array, np.ndarray) and array.dtype.kind in "fiub",
            f"the fit's {name!r} is {type(array).__name__}, not an array of numbers",
        )
    same = fitting
    same.restore(state)
    fresh = case.open()
    fresh.restore(kept(state))
    expect_same(
        case.compute(fresh),
        case.compute(same),
        fresh.outputs,
        0.0,
        "by an instance that took the fit over",
    )


@check("a fit that is not its own is refused", "fuser")
def foreign_fit_refused(case: FuserCase) -> None:
    """One without any array."""
    _fitted(case)
    try:
        case.open().restore({})
    except UsageError:
        return
    except Exception as error:
        raise CheckFailed(
            f"an empty fit raises {type(error).__name__} ({error}); raise a UsageError that says"
            " what does not fit"
        ) from error
    raise CheckFailed("an empty fit is taken without a word")


@check("a relabelling gives each row a row, by the keys alone", "fuser")
def relabels_by_keys(case: FuserCase) -> None:
    """Of one, two and many rows, by two instances."""
    if not isinstance(case.open(), RelabelFuser):
        raise NotApplicable("it is no RelabelFuser")
    for count in (1, 2, 500):
        digests = _digests(count)
        first, second = (np.asarray(case.open().sources(digests)) for _ in range(2))
        expect(
            first.shape == (count,) and first.dtype == np.int64,
            f"for {count} rows sources is {first.dtype} of shape {first.shape}, not int64 of shape"
            f" ({count},)",
        )
        expect(
            ((first >= 0) & (first < count)).all(),
            f"for {count} rows sources names the row {first.max()}",
        )
        expect(np.array_equal(first, second), "the same keys are relabelled otherwise next time")


@check("a group fuser keeps key columns, item_id or user_id among them", "fuser")
def keeps_are_keys(case: FuserCase) -> None:
    """Fewer than the rows have, so that there is something to fuse."""
    fuser = case.open()
    if not isinstance(fuser, GroupFuser):
        raise NotApplicable("it is no GroupFuser")
    keeps = tuple(fuser.keeps)
    ordered = tuple(name for name in KEY_COLUMNS if name in keeps)
    expect(
        keeps == ordered and keeps and set(keeps) < set(case.keys),
        f"it keeps {keeps!r} of the key columns {case.keys!r}; some of them, in their order",
    )


@check("which rows it takes follows from each key alone", "fuser")
def takes_by_keys(case: FuserCase) -> None:
    """One by one, and all in the opposite order, by another instance."""
    fuser = case.open()
    if fuser.takes_only is None:
        raise NotApplicable("it takes all rows")
    expect(
        isinstance(fuser.takes_only, str) and fuser.takes_only.strip(),
        f"takes_only is {fuser.takes_only!r}; it says, in the plural, what the rows are",
    )
    keys = case.key_columns
    mask = fuser.takes(keys)
    expect(
        isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (keys.num_rows,),
        f"takes gives {type(mask).__name__}, not an array of {keys.num_rows} bools",
    )
    backwards = case.open().takes(keys.take(pa.array(np.arange(keys.num_rows)[::-1])))
    singly = [bool(fuser.takes(keys.slice(at, 1))[0]) for at in range(keys.num_rows)]
    expect(
        np.array_equal(backwards[::-1], mask) and singly == mask.tolist(),
        "it takes other rows where they come one by one, or in the opposite order",
    )


@check("no network is needed", "fuser")
def no_network_needed(case: FuserCase) -> None:
    """To open, fit and compute."""
    with no_network() as tried:
        try:
            fuser = case.fitted()
            if not isinstance(fuser, RelabelFuser):
                case.compute(fuser)
        except Exception as error:
            expect(
                not tried,
                f"it needs a network: {', '.join(dict.fromkeys(tried))} was tried, and then it"
                f" failed with {type(error).__name__}: {str(error)[:300]}",
            )
            raise


def _computing(case: FuserCase) -> Any:
    fuser = case.fitted()
    if isinstance(fuser, RelabelFuser):
        raise NotApplicable("it computes no number")
    return fuser


def _fitted(case: FuserCase) -> None:
    fuser = case.open()
    if not isinstance(fuser, RowFuser) or not fuser.fitted:
        raise NotApplicable("it is not fitted, with these options")


def _digests(count: int) -> Any:
    found = np.random.default_rng(count).integers(0, 2**63, (count, 2), dtype=np.uint64)
    return found[np.lexsort((found[:, 1], found[:, 0]))]
