"""Fusing: against plain numpy on the joined keys, whatever is missing, in any order."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ducho_core import Store, UsageError, fuse
from ducho_core.errors import SpecMismatchError
from ducho_core.store.verify import verify_set
from tests.core.set_samples import HOSTILE, content, put_set, tree, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:02}" for number in range(40)]


def l2(values):
    norms = np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    return (values / np.where(norms > 0, norms, 1)).astype(np.float32)


def zscore(values):
    wide = values.astype(np.float64)
    deviation = wide.std(axis=0)
    return (wide - wide.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


COMBINE = {
    "concat": lambda one, two: np.concatenate([one, two], axis=1),
    "sum": np.add,
    "mean": lambda one, two: np.mean([one, two], axis=0),
    "mul": np.multiply,
    "max": np.maximum,
}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def two_sets(store, first=KEYS, second=KEYS, dim=6):
    put_set(store, "one", first, vectors_for(first, dim, 1), chunk=7)
    put_set(store, "two", second, vectors_for(second, dim, 2), chunk=9)


def fused(store, report):
    opened = Store(store).open(report.name)
    checked = verify_set(store, opened.path, read_data=True)
    assert (checked.problems, checked.pending) == ((), 0)
    return content(opened)


def check(result, keys, values):
    assert set(result) == set(keys)
    np.testing.assert_array_equal(np.array([result[key] for key in keys]), values)


@pytest.mark.parametrize("how", COMBINE)
@pytest.mark.parametrize("order", ["same", "reversed", "random"])
def test_every_method_is_plain_numpy_on_the_joined_keys(store, how, order):
    second = {
        "same": KEYS,
        "reversed": KEYS[::-1],
        "random": list(np.random.default_rng(3).permutation(KEYS)),
    }[order]
    two_sets(store, second=second)
    report = fuse(["one", "two"], how, store=store)
    expected = COMBINE[how](vectors_for(KEYS, 6, 1), vectors_for(KEYS, 6, 2))
    check(fused(store, report), KEYS, expected.astype(np.float32))
    assert (report.rows, report.stored, report.dropped) == (40, 40, 0)


@pytest.mark.parametrize("how", COMBINE)
def test_one_row_is_fused_as_a_million_are(store, how):
    two_sets(store, first=["a"], second=["a"])
    expected = COMBINE[how](vectors_for(["a"], 6, 1), vectors_for(["a"], 6, 2))
    check(fused(store, fuse(["one", "two"], how, store=store)), ["a"], expected)


def test_inputs_of_other_lengths_are_joined_and_not_added(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 6, 1))
    put_set(store, "two", KEYS, vectors_for(KEYS, 4, 2))
    result = fused(store, fuse(["one", "two"], "concat", store=store))
    check(result, KEYS, np.hstack([vectors_for(KEYS, 6, 1), vectors_for(KEYS, 4, 2)]))
    with pytest.raises(UsageError, match=r"one has 6, two has 4.*--how concat"):
        fuse(["one", "two"], "sum", store=store)


def test_the_order_of_the_inputs_is_the_order_of_the_result(store):
    two_sets(store)
    result = fused(store, fuse(["two", "one"], "concat", store=store))
    check(result, KEYS, np.hstack([vectors_for(KEYS, 6, 2), vectors_for(KEYS, 6, 1)]))


def test_three_sets_each_with_keys_of_its_own(store):
    parts = {"one": KEYS[:30], "two": KEYS[10:], "three": KEYS[5:25]}
    for seed, (name, keys) in enumerate(parts.items()):
        put_set(store, name, keys, vectors_for(keys, 3, seed))
    both = KEYS[10:25]
    report = fuse(list(parts), "max", store=store, missing="drop")
    expected = np.max([vectors_for(both, 3, seed) for seed in range(3)], axis=0)
    check(fused(store, report), both, expected)
    assert (report.dropped, report.coverage.union, report.coverage.intersection) == (25, 40, 15)


def test_the_weighted_mean(store):
    two_sets(store)
    report = fuse(["one", "two"], "mean", store=store, options=["weights=1,3"])
    one, two = vectors_for(KEYS, 6, 1), vectors_for(KEYS, 6, 2)
    expected = np.average([one, two], axis=0, weights=[1, 3])
    result = fused(store, report)
    np.testing.assert_allclose([result[key] for key in KEYS], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="3 weights for 2 feature sets"):
        fuse(["one", "two"], "mean", store=store, options=["weights=1,2,3"])


@pytest.mark.parametrize(
    ("scale", "one", "two"),
    [("l2", l2, l2), ("zscore", zscore, zscore), ("zscore,l2", zscore, l2), ("none", None, None)],
)
def test_each_input_is_scaled_first(store, scale, one, two):
    two_sets(store, second=KEYS[::-1])
    report = fuse(["one", "two"], "concat", store=store, options=[f"scale={scale}"])
    plain = lambda values: values  # noqa: E731
    expected = np.hstack(
        [(one or plain)(vectors_for(KEYS, 6, 1)), (two or plain)(vectors_for(KEYS, 6, 2))]
    )
    result = fused(store, report)
    np.testing.assert_allclose([result[key] for key in KEYS], expected, rtol=1e-5, atol=1e-6)
    assert (report.fit is not None) == ("zscore" in scale)


def test_one_set_alone_can_be_scaled(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 6, 1))
    report = fuse("one", "concat", store=store, options={"scale": "l2"})
    check(fused(store, report), KEYS, l2(vectors_for(KEYS, 6, 1)))


@pytest.mark.parametrize("missing", ["drop", "zero", "mean", "error"])
@pytest.mark.parametrize("scale", ["none", "l2", "zscore"])
def test_a_missing_row_is_what_the_policy_says(store, missing, scale):
    first, second = KEYS[:30], KEYS[::-1][:35]  # k05..k29 in both
    two_sets(store, first, second)
    ask = {"missing": missing, "options": [f"scale={scale}"]}
    if missing == "error":
        with pytest.raises(UsageError, match="15 of 40 keys are not in every set") as error:
            fuse(["one", "two"], "sum", store=store, **ask)
        assert "k30, k31, k32" in str(error.value) or "k39, k38, k37" in str(error.value)
        assert "--missing drop" in str(error.value)
        return
    report = fuse(["one", "two"], "sum", store=store, **ask)
    keys = KEYS[5:30] if missing == "drop" else KEYS
    total = np.zeros((len(keys), 6))
    for seed, own in ((1, first), (2, second)):
        here = np.array([key in own for key in keys])
        values = vectors_for(keys, 6, seed).astype(np.float64)
        if missing == "mean":
            values[~here] = values[here].mean(axis=0)
        if scale == "l2":
            values = l2(values)
        if scale == "zscore":
            there = values[here]
            values = (values - there.mean(axis=0)) / there.std(axis=0)
        if missing == "zero":
            values[~here] = 0
        total += values
    result = fused(store, report)
    assert set(result) == set(keys)
    np.testing.assert_allclose([result[key] for key in keys], total, rtol=1e-5, atol=1e-5)
    assert report.filled == ((0, 0) if missing == "drop" else (10, 5))
    assert report.dropped == (15 if missing == "drop" else 0)


@pytest.mark.parametrize("missing", ["error", "drop", "zero", "mean"])
def test_sets_without_a_common_key_are_never_fused(store, missing):
    two_sets(store, first=["a-1", "a-2"], second=["A-1", "A-2"])
    with pytest.raises(UsageError, match="no key is in every set") as error:
        fuse(["one", "two"], "concat", store=store, missing=missing)
    assert "a-1, a-2" in str(error.value)
    assert "A-1, A-2" in str(error.value)
    assert len(Store(store).sets()) == 2


def test_coverage_is_said_before_anything_is_fused(store, listener):
    two_sets(store, first=KEYS[:30])
    with pytest.raises(UsageError):
        fuse(["one", "two"], "sum", store=store, observer=listener)
    (said,) = listener.said
    assert said.splitlines() == [
        "one           30 keys, lacks 10 of 40 (k30, k31, k32, k33, k34, …)",
        "two           40 keys",
        "in every set  30 of 40 keys",
    ]


def test_a_second_run_does_nothing(store):
    two_sets(store)
    first = fuse(["one", "two"], "sum", store=store, options=["scale=zscore"], name="both")
    before = tree(store)
    again = fuse(["one", "two"], "sum", store=store, options=["scale=zscore"], name="both")
    assert (again.stored, again.skipped, again.fit_reused) == (0, 40, True)
    assert again.fingerprint == first.fingerprint
    assert tree(store) == before


def test_new_rows_are_added_where_no_row_depends_on_others(store):
    two_sets(store, first=KEYS[:20])
    first = fuse(["one", "two"], "sum", store=store, missing="drop", name="both")
    put_set(store, "one", KEYS[20:], vectors_for(KEYS[20:], 6, 1), plan=1)
    again = fuse(["one", "two"], "sum", store=store, missing="drop", name="both")
    assert again.fingerprint == first.fingerprint
    assert (again.stored, again.skipped) == (20, 20)
    expected = vectors_for(KEYS, 6, 1) + vectors_for(KEYS, 6, 2)
    check(fused(store, again), KEYS, expected)


@pytest.mark.parametrize(
    "ask", [{"missing": "zero"}, {"missing": "drop", "options": ["scale=zscore"]}]
)
def test_new_rows_make_a_new_set_where_rows_depend_on_others(store, ask):
    two_sets(store, first=KEYS[:20])
    first = fuse(["one", "two"], "sum", store=store, name="both", **ask)
    put_set(store, "one", KEYS[20:], vectors_for(KEYS[20:], 6, 1), plan=1)
    with pytest.raises(SpecMismatchError, match="snapshot"):
        fuse(["one", "two"], "sum", store=store, name="both", **ask)
    again = fuse(["one", "two"], "sum", store=store, name="new", **ask)
    assert again.fingerprint != first.fingerprint


def test_a_fit_that_is_taken_over_gives_the_old_rows_bit_for_bit(store):
    two_sets(store, first=KEYS[:20], second=KEYS[:20])
    ask = {"options": ["scale=zscore"], "store": store}
    old = fused(store, fuse(["one", "two"], "concat", name="old", **ask))
    put_set(store, "one", KEYS[20:], vectors_for(KEYS[20:], 6, 1), plan=1)
    put_set(store, "two", KEYS[20:], vectors_for(KEYS[20:], 6, 2), plan=1)
    report = fuse(["one", "two"], "concat", name="new", fit_from="old", **ask)
    assert report.fit_reused
    new = fused(store, report)
    assert set(new) == set(KEYS)
    for key in KEYS[:20]:
        assert new[key].tobytes() == old[key].tobytes()
    anew = fused(store, fuse(["one", "two"], "concat", name="anew", **ask))
    assert anew[KEYS[0]].tobytes() != old[KEYS[0]].tobytes()


def test_a_fit_of_something_else_is_refused(store):
    two_sets(store)
    fuse(["one", "two"], "sum", store=store, name="plain")
    fuse(["one", "two"], "sum", store=store, name="scaled", options=["scale=zscore"])
    with pytest.raises(UsageError, match="plain was not fitted"):
        fuse(["one", "two"], "sum", store=store, options=["scale=zscore"], fit_from="plain")
    with pytest.raises(UsageError, match="another fuser"):
        fuse(["one", "two"], "max", store=store, options=["scale=zscore"], fit_from="scaled")
    with pytest.raises(UsageError, match="another options"):
        fuse(["one", "two"], "sum", store=store, options=["scale=zscore,l2"], fit_from="scaled")
    with pytest.raises(UsageError, match="nothing to fit"):
        fuse(["one", "two"], "sum", store=store, fit_from="scaled")


def test_a_fit_is_not_taken_over_for_sets_unlike_those_it_was_made_of(store):
    two_sets(store)
    put_set(store, "other", KEYS, vectors_for(KEYS, 6, 3), columns=("item_id",), catalogue="new")
    ask = {"store": store, "options": ["scale=zscore"], "fit_from": "scaled"}
    fuse(["one", "two"], "concat", store=store, name="scaled", options=["scale=zscore"])
    with pytest.raises(UsageError, match="in another order"):
        fuse(["two", "one"], "concat", **ask)
    with pytest.raises(UsageError, match="fitted of 2 sets, not of 1"):
        fuse(["one"], "concat", **ask)
    fuse(["one"], "concat", store=store, name="alone", options=["scale=zscore"])
    assert fuse("other", "concat", **{**ask, "fit_from": "alone"}).fit_reused
    fuse(["one"], "noise", store=store, name="unlike")
    with pytest.raises(UsageError, match="and unlike is not like it"):
        fuse("unlike", "concat", **{**ask, "fit_from": "alone"})
    for name in ("one", "unlike"):
        fuse([name], "noise", store=store, name=f"noisy-{name}", options=["like=moments"])
    fuse("noisy-one", "concat", store=store, name="deep", options=["scale=zscore"])
    with pytest.raises(UsageError, match="not like it"):
        fuse("noisy-unlike", "concat", **{**ask, "fit_from": "deep"})


def test_a_damaged_fit_is_noticed(store):
    two_sets(store)
    report = fuse(["one", "two"], "sum", store=store, name="both", options=["scale=zscore"])
    path = store / report.path / "fit" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    with pytest.raises(Exception, match="is damaged"):
        fuse(["one", "two"], "sum", store=store, name="both", options=["scale=zscore"])


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_inputs_and_result_may_be_stored_smaller(store, dtype):
    one, two = vectors_for(KEYS, 6, 1), vectors_for(KEYS, 6, 2)
    put_set(store, "one", KEYS, one, stored_dtype=dtype)
    put_set(store, "two", KEYS[::-1], two[::-1])
    result = fused(store, fuse(["one", "two"], "concat", store=store, dtype=dtype))
    got = np.array([result[key] for key in KEYS])
    np.testing.assert_allclose(got, np.hstack([one, two]), atol=0.05)


def test_what_becomes_infinite_is_a_failure_and_the_rest_goes_on(store):
    big = vectors_for(KEYS, 6, 1)
    big[3] = 3e38
    put_set(store, "one", KEYS, big)
    put_set(store, "two", KEYS, big)
    report = fuse(["one", "two"], "sum", store=store)
    assert (report.stored, dict(report.failed)) == (39, {"non_finite": 1})
    assert "k03" not in fused(store, report)
    (failure,) = Store(store).open(report.name).failures("failed").to_pylist()
    assert (failure["item_id"], failure["code"]) == ("k03", "non_finite")
    again = fuse(["one", "two"], "sum", store=store)
    assert (again.stored, again.skipped, dict(again.failed)) == (0, 39, {})


def test_the_spec_says_what_was_fused_and_nothing_of_this_machine(store):
    two_sets(store, first=KEYS[:20])
    report = fuse(["one", "two"], "mean", store=store, missing="zero", name="both")
    opened = Store(store).open("both")
    first = Store(store).open("one")
    assert opened.path.parent.name == "fused"
    assert opened.spec["fuser"] == {"name": "core/mean", "label": "one-two", "numerics": 1}
    assert opened.spec["options"] == {"scale": ["none"], "weights": []}
    (one, _two) = opened.spec["derived"]["inputs"]
    assert one == {
        "fingerprint": first.fingerprint,
        "output": "embedding",
        "snapshot": first.snapshot_digest(),
    }
    assert opened.spec["derived"]["missing"] == "zero"
    assert report.fingerprint == opened.fingerprint
    assert str(store) not in json.dumps(opened.spec)


def test_sets_that_are_not_about_the_same_things_are_refused(store):
    put_set(store, "one", KEYS, vectors_for(KEYS, 6, 1))
    slots = [(key, "1") for key in KEYS]
    put_set(store, "slots", slots, vectors_for(slots, 6), columns=("item_id", "slot"))
    with pytest.raises(UsageError, match="ducho fuse slots --how pool"):
        fuse(["one", "slots"], "sum", store=store)
    put_set(store, "other", KEYS, vectors_for(KEYS, 6, 2), catalogue="shop")
    with pytest.raises(UsageError, match="catalogue 'main', other to 'shop'"):
        fuse(["one", "other"], "sum", store=store)
    with pytest.raises(UsageError, match="core/sum takes 2 or more feature sets, not 1"):
        fuse(["one"], "sum", store=store)


def test_keys_of_any_text_are_joined_exactly(store):
    two_sets(store, first=HOSTILE, second=HOSTILE[::-1])
    result = fused(store, fuse(["one", "two"], "concat", store=store))
    expected = np.hstack([vectors_for(HOSTILE, 6, 1), vectors_for(HOSTILE, 6, 2)])
    check(result, HOSTILE, expected)


def test_reviews_are_joined_by_user_and_item(store):
    keys = [(f"u{user}", f"i{item}") for user in range(5) for item in range(4)]
    for seed, (name, own) in enumerate({"one": keys, "two": keys[::-1]}.items()):
        put_set(store, name, own, vectors_for(own, 4, seed), columns=("user_id", "item_id"))
    report = fuse(["one", "two"], "sum", store=store)
    assert "fused-interactions" in report.path
    check(fused(store, report), keys, vectors_for(keys, 4, 0) + vectors_for(keys, 4, 1))
