"""Cornac itself loads what was exported for it, and trains on it."""

from __future__ import annotations

import numpy as np
import pytest
from ducho_recsys import cornac as exported

from ducho_core import UsageError, export
from tests.core.set_samples import unsynced
from tests.plugins.recsys.export_kit import IDS, draw_pairs, put_sets, put_split

cornac = pytest.importorskip("cornac")
eval_methods = pytest.importorskip("cornac.eval_methods")

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.fixture
def out(tmp_path):
    """An export, of odd ids and two of them without a title."""
    return write(tmp_path, "odd", 2)[0]


def write(tmp_path, ids, left):
    items = IDS[ids]
    put_split(tmp_path / "split", items, draw_pairs(items))
    stored = put_sets(tmp_path / "s", items, left)
    export(
        ["covers", "titles"],
        "cornac",
        tmp_path / "out",
        store=tmp_path / "s",
        options={"split": str(tmp_path / "split")},
        missing="mean" if left else None,
    )
    return tmp_path / "out", stored


def evaluate_on(out, label, **further):
    return eval_methods.BaseMethod.from_splits(
        **exported.splits(out),
        item_image=exported.modality(out, label),
        verbose=False,
        **further,
    )


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("left", [0, 2])
@pytest.mark.parametrize("unknown", [True, False])
def test_cornac_holds_each_items_own_vector(tmp_path, ids, left, unknown):
    out, stored = write(tmp_path, ids, left)
    for label, own in stored.items():
        method = evaluate_on(out, label, exclude_unknowns=unknown)
        held = method.train_set.item_image
        numbers = method.global_iid_map
        sample = [item for item in sorted(own) if item in numbers][:50]
        assert len(sample) >= 44
        for item in sample:
            np.testing.assert_array_equal(held.features[numbers[item]], own[item])
            np.testing.assert_array_equal(held.batch_feature([numbers[item]])[0], own[item])


def test_vbpr_trains_on_what_was_exported(out):
    pytest.importorskip("torch")
    method = evaluate_on(out, "titles", seed=1, exclude_unknowns=True)
    model = cornac.models.VBPR(k=4, k2=4, n_epochs=3, use_gpu=False, seed=1, verbose=False)
    metric = cornac.metrics.Recall(k=10)
    result, _ = method.evaluate(model, metrics=[metric], user_based=True)
    assert 0 <= result.metric_avg_results[metric.name] <= 1
    assert np.isfinite(model.theta_item).all()
    # The projection of an item is that of its own vector.
    features = method.train_set.item_image.features[: model.total_items]
    np.testing.assert_allclose(model.theta_item, features @ model.emb_matrix, rtol=1e-4, atol=1e-5)


def test_every_call_gives_a_fresh_copy(out):
    first = exported.modality(out, "covers")
    before = first.features.copy()
    evaluate_on(out, "covers")
    first.features[:] = 0
    second = exported.modality(out, "covers")
    np.testing.assert_array_equal(second.features, before)
    assert exported.splits(out)["train_data"] is not exported.splits(out)["train_data"]


def test_the_modality_is_of_the_kind_that_was_asked_for(out):
    for kind, name in (
        ("image", "ImageModality"),
        ("text", "TextModality"),
        ("feature", "FeatureModality"),
    ):
        assert type(exported.modality(out, "covers", kind=kind)).__name__ == name
    scaled = exported.modality(out, "covers", normalized=True).build()
    assert (scaled.features.min(), round(float(scaled.features.max()), 6)) == (0, 1)


def test_ratings_are_given_on_demand(out):
    assert {rating for *_, rating in exported.splits(out)["train_data"]} == {1.0}
    assert {rating for *_, rating in exported.splits(out, ratings=True)["test_data"]} > {1.0}


def test_wrong_calls_are_explained(out, tmp_path):
    with pytest.raises(UsageError, match="covers, titles: say which"):
        exported.modality(out)
    with pytest.raises(UsageError, match="not 'sounds'"):
        exported.modality(out, "sounds")
    with pytest.raises(UsageError, match="is no export for Cornac"):
        exported.splits(tmp_path)


@pytest.mark.parametrize("cold", ["some", "all"])
def test_test_rows_that_cornac_would_leave_out_are_told(tmp_path, cold):
    items = IDS["contiguous"]
    train = [(f"u{at % 9}", item, 4.0, float(at), True) for at, item in enumerate(items[10:])]
    held = [(f"u{at % 9}", item, 4.0, 90.0, True) for at, item in enumerate(items[:10])]
    known = [("u8", items[10], 4.0, 91.0, True)] if cold == "some" else []
    parts = {"train": train, "validation": held[:5], "test": [*held[5:], *known]}
    put_split(tmp_path / "split", items, parts)
    put_sets(tmp_path / "s", items)
    options = {"split": str(tmp_path / "split")}
    out = tmp_path / "out"
    report = export(["covers"], "cornac", out, store=tmp_path / "s", options=options)
    (told,) = report.notes.remarks
    assert f"5 of {5 + len(known)} test interactions" in told
    assert ("leaves none" in told) == (cold == "all")
    # What is printed runs, and tests on what can be tested on.
    code = report.notes.next_step.replace("'.'", repr(str(out)))
    found = {"BaseMethod": eval_methods.BaseMethod}
    *before, made = code.split("; ")
    exec("\n".join([*before, f"method = {made}"]), found)
    method = found["method"]
    assert method.test_set.num_ratings == (1 if cold == "some" else 5)
    model = cornac.models.VBPR(n_epochs=1, k=2, k2=2, use_gpu=False, verbose=False)
    method.evaluate(model, metrics=[cornac.metrics.Recall(k=5)], user_based=True)
