"""Controls: noise and constants, by key, whatever the other rows."""

from __future__ import annotations

import numpy as np
import pytest

from ducho_core import Store, UsageError, fuse
from ducho_core.fusion import joined
from tests.core.set_samples import HOSTILE, content, put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:04}" for number in range(3000)]
LIKE = ["standard", "moments", "covariance"]
GOLDEN = [[-0.48169827, -0.49072722, 1.35267687], [-0.08455731, 0.03679186, -0.52660435]]


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def correlated(keys=KEYS, dim=5):
    mixing = np.random.default_rng(1).standard_normal((dim, dim))
    return (vectors_for(keys, dim, 3) @ mixing + np.arange(dim) * 3).astype(np.float32)


def made(store, how="noise", name="one", keys=KEYS, **ask):
    report = fuse(name, how, store=store, **ask)
    found = content(Store(store).open(report.name))
    assert set(found) == set(keys)
    return np.array([found[key] for key in keys])


@pytest.mark.parametrize("like", LIKE)
def test_noise_has_the_moments_that_were_asked_for(store, like):
    values = correlated().astype(np.float64)
    put_set(store, "one", KEYS, correlated(), chunk=1000)
    noise = made(store, options={"like": like}).astype(np.float64)
    mean, covariance = values.mean(axis=0), np.cov(values.T)
    if like == "standard":
        mean, covariance = np.zeros(5), np.eye(5)
    if like == "moments":
        covariance = np.diag(np.diag(covariance))
    deviation = np.sqrt(np.diag(covariance))
    assert (np.abs(noise.mean(axis=0) - mean) < 5 * deviation / np.sqrt(len(KEYS))).all()
    # Five deviations of a sample covariance of normal numbers.
    spread = np.sqrt((np.outer(deviation, deviation) ** 2 + covariance**2) / len(KEYS))
    assert (np.abs(np.cov(noise.T) - covariance) < 5 * spread).all()
    standard = (noise - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert abs((standard**4).mean() - 3) < 5 * np.sqrt(96 / standard.size)
    assert abs((standard**3).mean()) < 5 * np.sqrt(15 / standard.size)
    # Nothing is left of what a vector said about its item.
    for at in range(5):
        assert abs(np.corrcoef(noise[:, at], values[:, at])[0, 1]) < 5 / np.sqrt(len(KEYS))
    # Nor does a key's noise tell that of the next.
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 5 / np.sqrt(len(KEYS))


@pytest.mark.parametrize("like", LIKE)
def test_noise_of_a_key_is_the_same_in_any_company_order_and_batch(store, like, monkeypatch):
    values = correlated()
    put_set(store, "one", KEYS, values, chunk=1000)
    put_set(store, "few", KEYS[:100][::-1], values[:100][::-1])
    ask = {"options": {"like": like, "seed": 4}}
    every = content(Store(store).open(fuse("one", "noise", store=store, name="noisy", **ask).name))
    every = np.array([every[key] for key in KEYS])
    monkeypatch.setattr(joined, "block_rows", lambda dims: 77)
    assert made(store, variant="2", **ask).tobytes() == every.tobytes()
    if like != "standard":
        ask["fit_from"] = "noisy"
    few = made(store, name="few", keys=KEYS[:100], **ask)
    assert few.tobytes() == every[:100].tobytes()


def test_another_seed_gives_other_noise_and_no_two_keys_have_the_same(store):
    put_set(store, "one", HOSTILE, vectors_for(HOSTILE, 4))
    first = made(store, keys=HOSTILE)
    other = made(store, keys=HOSTILE, options=["seed=1"])
    assert len(np.unique(np.vstack([first, other])[:, 0])) == 2 * len(HOSTILE)


def test_the_noise_of_a_key_never_changes(store):
    put_set(store, "one", ["a", "b"], vectors_for(["a", "b"], 3))
    noise = made(store, keys=["a", "b"])
    np.testing.assert_allclose(noise, GOLDEN, rtol=1e-6)


def test_noise_of_users_and_items(store):
    keys = [(f"u{user}", f"i{item}") for user in range(5) for item in range(4)]
    put_set(store, "one", keys, vectors_for(keys, 3), columns=("user_id", "item_id"))
    noise = made(store, keys=keys)
    assert len(np.unique(noise)) == noise.size


def test_a_dimension_that_never_varies_gets_no_noise(store):
    values = correlated()
    values[:, 2] = 7
    put_set(store, "one", KEYS, values, chunk=1000)
    for like in ("moments", "covariance"):
        noise = made(store, options={"like": like})
        np.testing.assert_allclose(noise[:, 2], 7, rtol=1e-5)
        assert noise[:, 1].std() > 0.1


def test_one_row_has_noise_and_no_moments(store):
    put_set(store, "one", ["a"], vectors_for(["a"], 3))
    assert made(store, keys=["a"]).shape == (1, 3)
    with pytest.raises(UsageError, match="has one row, which has no deviation"):
        made(store, options=["like=moments"])
    with pytest.raises(UsageError, match="one has 1: a single row has no covariance"):
        made(store, options=["like=covariance"])


def test_a_constant_is_the_mean_or_ones(store):
    values = correlated()
    put_set(store, "one", KEYS, values, chunk=1000)
    mean = made(store, "constant")
    assert len(np.unique(mean, axis=0)) == 1
    np.testing.assert_allclose(mean[0], values.astype(np.float64).mean(axis=0), rtol=1e-6)
    ones = made(store, "constant", options=["value=ones"])
    np.testing.assert_array_equal(ones, np.ones_like(values))
    put_set(store, "alone", KEYS[:1], values[:1])
    alone = made(store, "constant", name="alone", keys=KEYS[:1])
    np.testing.assert_array_equal(alone, values[:1])


def test_a_fit_of_another_control_is_refused(store):
    put_set(store, "one", KEYS[:20], correlated(KEYS[:20]))
    put_set(store, "short", KEYS[:20], correlated(KEYS[:20], 4))
    fuse("one", "noise", store=store, options=["like=covariance"], name="noisy")
    fuse("one", "constant", store=store, name="flat")
    fuse("one", "pca", store=store, options=["dim=2"], name="parts")
    for how, options, source, match in (
        ("noise", ["like=covariance"], "noisy", "no fit of noise like=covariance"),
        ("constant", [], "flat", "no mean of vectors of 4 numbers"),
        ("pca", ["dim=2"], "parts", "no fit that makes vectors of 2 numbers of those of 4"),
        ("noise", ["like=moments"], "noisy", "another options"),
    ):
        with pytest.raises(UsageError, match=match):
            fuse("short", how, store=store, options=options, fit_from=source)
