"""Refining one input, and what two have in common: against scikit-learn and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from ducho_core import Store, UsageError, fuse
from ducho_core.fusers.moments import Moments
from ducho_core.fusers.products import RowProduct
from ducho_core.fusion import joined
from ducho_core.store import tensors
from tests.core.set_samples import content, put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = [f"k{number:03}" for number in range(120)]
DIM = 10

FITTED = {
    "pca": ["dim=4"],
    "pca-whiten": ["dim=4", "whiten=true"],
    "whiten": ["eps=0.01"],
    "whiten-pca": ["method=pca"],
}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def correlated(keys=KEYS, dim=DIM, seed=0):
    """A vector for each key; dimensions correlate, and their mean is far from 0."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((dim, dim)) * np.linspace(0.3, 3, dim)[:, None]
    return (vectors_for(keys, dim, seed) @ mixing + 5).astype(np.float32)


def whitened(values, eps=0.0, *, zca=True):
    wide = values.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(centred.T))
    scores = centred @ axes / np.sqrt(variances + eps)
    return scores @ axes.T if zca else scores[:, ::-1]


def rows_of(store, report, keys=KEYS):
    found = content(Store(store).open(report.name))
    assert set(found) == set(keys)
    return np.array([found[key] for key in keys])


def state_of(store, report):
    return tensors.load((store / report.path / "fit" / "state.safetensors").read_bytes())


def close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
def test_pca_is_that_of_scikit_learn(store, whiten, solver):
    pca = pytest.importorskip("sklearn.decomposition").PCA
    values = correlated()
    put_set(store, "one", KEYS[::-1], values[::-1])
    report = fuse("one", "pca", store=store, options={"dim": 4, "whiten": whiten})
    reference = pca(4, whiten=whiten, svd_solver=solver).fit(values.astype(np.float64))
    close(rows_of(store, report), reference.transform(values.astype(np.float64)))
    close(state_of(store, report)["fuser.variance"], reference.explained_variance_, 1e-10)


def test_pca_is_plain_numpy(store):
    values = correlated()
    put_set(store, "one", KEYS, values)
    wide = values.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:4]
    axes *= np.sign(axes[np.arange(4), np.abs(axes).argmax(axis=1)])[:, None]
    close(rows_of(store, fuse("one", "pca", store=store, options=["dim=4"])), centred @ axes.T)


@pytest.mark.parametrize("eps", [0, 0.5])
def test_whitening_is_plain_numpy(store, eps):
    values = correlated()
    put_set(store, "one", KEYS, values)
    zca = rows_of(store, fuse("one", "whiten", store=store, options={"eps": eps}))
    close(zca, whitened(values, eps), 1e-4)
    pca = rows_of(store, fuse("one", "whiten", store=store, options={"eps": eps, "method": "pca"}))
    close(np.abs(pca), np.abs(whitened(values, eps, zca=False)), 1e-4)
    if not eps:
        close(np.cov(zca.T.astype(np.float64)), np.eye(DIM), 1e-4)
        close(np.cov(pca.T.astype(np.float64)), np.eye(DIM), 1e-4)


def test_whitening_by_pca_is_that_of_scikit_learn(store):
    pca = pytest.importorskip("sklearn.decomposition").PCA
    values = correlated()
    put_set(store, "one", KEYS, values)
    report = fuse("one", "whiten", store=store, options=["method=pca"])
    reference = pca(whiten=True, svd_solver="full").fit_transform(values.astype(np.float64))
    close(rows_of(store, report), reference, 1e-4)


def test_a_gaussian_projection_is_that_of_scikit_learn(store):
    projection = pytest.importorskip("sklearn.random_projection").GaussianRandomProjection
    put_set(store, "one", KEYS, correlated())
    report = fuse("one", "project", store=store, options=["dim=6", "seed=7"])
    expected = projection(6, random_state=7).fit_transform(correlated().astype(np.float64))
    close(rows_of(store, report), expected)
    assert report.fit is None
    plain = np.random.RandomState(7).normal(0, 6**-0.5, (6, DIM))
    close(rows_of(store, report), correlated() @ plain.T)


@pytest.mark.parametrize("method", ["gaussian", "sparse"])
def test_a_projection_about_keeps_distances(store, method):
    values = vectors_for(KEYS, 600, 3)
    put_set(store, "one", KEYS, values)
    ask = {"store": store, "options": {"dim": 400, "method": method}}
    found = rows_of(store, fuse("one", "project", **ask))
    first, second = np.triu_indices(len(KEYS), 1)
    ratios = np.sum((found[first] - found[second]) ** 2, axis=1) / np.sum(
        (values[first] - values[second]) ** 2, axis=1
    )
    # A ratio is about chi-squared over its 400 degrees of freedom: deviation sqrt(2 / 400).
    assert 0.97 < ratios.mean() < 1.03
    assert ratios.min() > 0.6
    assert ratios.max() < 1.5
    other = rows_of(
        store,
        fuse("one", "project", store=store, name="other", options={**ask["options"], "seed": 1}),
    )
    assert not np.allclose(found, other)


@pytest.mark.parametrize("density", [0, 0.25])
def test_a_sparse_matrix_has_few_numbers_of_one_size(store, density):
    dim = 400
    keys = [f"k{number:03}" for number in range(dim)]
    put_set(store, "unit", keys, np.eye(dim, dtype=np.float32))
    ask = {"dim": 50, "method": "sparse", "density": density}
    matrix = rows_of(store, fuse("unit", "project", store=store, options=ask), keys)
    share = density or dim**-0.5
    size = (share * 50) ** -0.5
    close(np.unique(matrix), [-size, 0, size])
    deviation = np.sqrt(share * (1 - share) / matrix.size)
    assert abs(np.mean(matrix != 0) - share) < 5 * deviation
    assert abs(np.mean(matrix > 0) - share / 2) < 5 * deviation


def test_a_density_without_a_sparse_matrix_is_refused(store):
    put_set(store, "one", KEYS, correlated())
    with pytest.raises(UsageError, match="method=sparse"):
        fuse("one", "project", store=store, options=["dim=6", "density=0.5"])


def two_views(keys=KEYS, seed=0):
    """Two inputs of 8 and 6 numbers with three causes in common."""
    random = np.random.default_rng(seed)
    common = vectors_for(keys, 3, 90)
    one = common @ random.standard_normal((3, 8)) + vectors_for(keys, 8, 91) + 2
    two = common @ random.standard_normal((3, 6)) + vectors_for(keys, 6, 92) - 1
    return one.astype(np.float32), two.astype(np.float32)


def plain_correlations(one, two):
    left, right = (np.linalg.qr(v - v.mean(axis=0))[0] for v in (one, two))
    return np.linalg.svd(left.T @ right, compute_uv=False)


def test_cca_finds_what_two_inputs_have_in_common(store):
    cross = pytest.importorskip("sklearn.cross_decomposition")
    one, two = two_views()
    put_set(store, "one", KEYS, one)
    put_set(store, "two", KEYS[::-1], two[::-1])
    report = fuse(["one", "two"], "cca", store=store, options=["dim=3"])
    found = rows_of(store, report).astype(np.float64)
    correlations = state_of(store, report)["fuser.correlation"]
    close(correlations, plain_correlations(one.astype(float), two.astype(float))[:3], 1e-9)
    reference = cross.CCA(3, max_iter=10_000, tol=1e-12).fit(one, two)
    theirs = reference.transform(one, two)
    for at in range(3):
        mine = np.corrcoef(found[:, at], found[:, 3 + at])[0, 1]
        close(mine, correlations[at], 1e-6)
        close(mine, np.corrcoef(theirs[0][:, at], theirs[1][:, at])[0, 1], 1e-4)
        close(abs(np.corrcoef(theirs[0][:, at], found[:, at])[0, 1]), 1, 1e-3)
    close(np.cov(found[:, :3].T), np.eye(3), 1e-5)
    close(np.cov(found[:, 3:].T), np.eye(3), 1e-5)


@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_canonical_variates_are_combined(store, combine):
    one, two = two_views()
    put_set(store, "one", KEYS, one)
    put_set(store, "two", KEYS, two)
    both = rows_of(store, fuse(["one", "two"], "cca", store=store, options=["dim=3"]))
    report = fuse(["one", "two"], "cca", store=store, options=["dim=3", f"combine={combine}"])
    expected = (both[:, :3] + both[:, 3:]) / (2 if combine == "mean" else 1)
    close(rows_of(store, report), expected)


def test_cca_with_regularization_is_plain_numpy(store):
    one, two = two_views()
    put_set(store, "one", KEYS, one)
    put_set(store, "two", KEYS, two)
    report = fuse(["one", "two"], "cca", store=store, options=["dim=2", "regularization=0.3"])
    joint = np.cov(np.hstack([one, two]).astype(np.float64).T)
    blocks = [joint[:8, :8], joint[8:, 8:]]
    roots = [
        np.linalg.cholesky(np.linalg.inv(b + 0.3 * np.trace(b) / len(b) * np.eye(len(b))))
        for b in blocks
    ]
    expected = np.linalg.svd(roots[0].T @ joint[:8, 8:] @ roots[1], compute_uv=False)
    close(state_of(store, report)["fuser.correlation"], expected[:2], 1e-9)
    few = KEYS[:9]
    put_set(store, "three", few, one[:9])
    put_set(store, "four", few, two[:9])
    with pytest.raises(UsageError, match=r"9 rows are too few.*regularization=0\.1"):
        fuse(["three", "four"], "cca", store=store, options=["dim=2"])
    report = fuse(["three", "four"], "cca", store=store, options=["dim=2", "regularization=0.1"])
    assert report.stored == 9


def test_a_key_that_one_input_lacks_is_no_part_of_the_fit(store):
    one, two = two_views()
    put_set(store, "one", KEYS, one)
    put_set(store, "two", KEYS[:100], two[:100])
    ask = {"store": store, "options": ["dim=2"]}
    dropped = rows_of(store, fuse(["one", "two"], "cca", missing="drop", **ask), KEYS[:100])
    filled = rows_of(store, fuse(["one", "two"], "cca", missing="zero", **ask))
    np.testing.assert_array_equal(filled[:100], dropped)
    assert not filled[100:, 2:].any()
    assert filled[100:, :2].all()


def test_inputs_that_do_not_fit_are_refused(store):
    one, two = two_views()
    put_set(store, "one", KEYS, one)
    put_set(store, "two", KEYS, two)
    put_set(store, "flat", KEYS, np.hstack([two[:, :1]] * 4))
    put_set(store, "alone", KEYS[:1], one[:1])
    put_set(store, "few", KEYS[:4], one[:4])
    for ask, match in (
        ((["one", "two"], "cca", ["dim=7"]), "two have 6 numbers"),
        ((["one", "flat"], "cca", ["dim=2"]), "flat varies in 1 directions"),
        ((["one"], "cca", ["dim=2"]), "takes 2 feature sets, not 1"),
        ((["one", "two"], "pca", ["dim=2"]), "takes 1 feature set, not 2"),
        ((["one"], "pca", ["dim=9"]), "one have 8 numbers"),
        ((["one"], "project", ["dim=65537"]), "65537"),
        ((["one"], "pca", []), "dim"),
        ((["few"], "pca", ["dim=4"]), "4 rows vary in 3 directions at most"),
        ((["alone"], "pca", ["dim=1"]), "alone has 1: a single row has no covariance"),
        ((["alone"], "whiten", []), "a single row has no covariance"),
    ):
        with pytest.raises(UsageError, match=match):
            fuse(ask[0], ask[1], store=store, options=ask[2])


def test_one_row_can_be_projected(store):
    put_set(store, "one", KEYS, correlated())
    put_set(store, "alone", KEYS[:1], correlated()[:1])
    ask = {"store": store, "options": ["dim=6"]}
    every = rows_of(store, fuse("one", "project", **ask))
    alone = rows_of(store, fuse("alone", "project", **ask), KEYS[:1])
    assert every[:1].tobytes() == alone.tobytes()


@pytest.mark.parametrize("how", FITTED)
def test_what_does_not_vary_is_zero_and_the_rest_is_right(store, how):
    """A constant dimension and a repeated one: three directions fewer than dimensions."""
    values = correlated()[:, :5]
    flat = np.hstack([values[:, :2], np.full((len(KEYS), 1), 3), values[:, :2]])
    put_set(store, "flat", KEYS, flat.astype(np.float32))
    report = fuse("flat", how.partition("-")[0], store=store, options=FITTED[how])
    found = rows_of(store, report).astype(np.float64)
    assert np.isfinite(found).all()
    variances = np.linalg.eigvalsh(np.cov(found.T))
    assert np.count_nonzero(variances > 1e-6) == 2
    if how == "pca":
        close(variances[::-1][:2], np.linalg.eigvalsh(np.cov(flat.T))[::-1][:2], 1e-4)
        assert not found[:, 2:].any()
    else:
        close(variances[::-1][:2], [1, 1], 1e-2)
    assert np.abs(found[:, 2]).max() < 1e-6


@pytest.mark.parametrize("how", FITTED)
def test_fewer_rows_than_numbers(store, how):
    few = KEYS[:6]
    put_set(store, "few", few, correlated(few))
    report = fuse("few", how.partition("-")[0], store=store, options=FITTED[how])
    found = rows_of(store, report, few).astype(np.float64)
    if how == "whiten-pca":
        close(np.cov(found.T)[:5, :5], np.eye(5), 1e-4)
        assert not found[:, 5:].any()
    if how == "whiten":
        assert np.linalg.matrix_rank(found - found.mean(axis=0), tol=1e-3) == 5


@pytest.mark.parametrize("how", [*FITTED, "cca"])
def test_a_fit_that_is_taken_over_gives_the_old_rows_bit_for_bit(store, how, monkeypatch):
    options = [*FITTED.get(how, ["dim=3"]), *(["regularization=0.2"] if how == "cca" else [])]
    names = ["one", "two"] if how == "cca" else ["one"]
    old_keys, values = KEYS[:71], dict(zip(("one", "two"), two_views(), strict=True))
    for name in names:
        put_set(store, name, old_keys, values[name][:71])
    fuser = how.partition("-")[0]
    ask = {"store": store, "options": options}
    old = rows_of(store, fuse(names, fuser, name="old", **ask), old_keys)
    for name in names:
        put_set(store, name, KEYS[71:], values[name][71:], plan=1)
    monkeypatch.setattr(joined, "block_rows", lambda dims: 13)
    report = fuse(names, fuser, name="new", fit_from="old", **ask)
    assert report.fit_reused
    assert rows_of(store, report)[:71].tobytes() == old.tobytes()
    anew = rows_of(store, fuse(names, fuser, name="anew", **ask))
    assert anew[:71].tobytes() != old.tobytes()


@pytest.mark.parametrize("how", [*FITTED, "cca", "zscore"])
def test_a_fit_has_the_same_bits_however_rows_are_cut(store, how, monkeypatch):
    keys = [f"k{number:04}" for number in range(1300)]
    values = dict(zip(("one", "two"), two_views(keys), strict=True))
    for name in ("one", "two"):
        put_set(store, name, keys, values[name], chunk=400)
    names = ["one", "two"] if how in ("cca", "zscore") else ["one"]
    options = {"cca": ["dim=3"], "zscore": ["scale=zscore"], **FITTED}[how]
    fuser = "concat" if how == "zscore" else how.partition("-")[0]
    found = []
    for block in (7, 512, 5000):
        monkeypatch.setattr(joined, "block_rows", lambda dims, block=block: block)
        report = fuse(names, fuser, store=store, options=options, variant=str(block))
        found.append((report.fit, rows_of(store, report, keys).tobytes()))
    assert len(set(found)) == 1


def test_moments_far_from_zero_keep_their_digits():
    random = np.random.default_rng(0)
    rows = random.standard_normal((3000, 5)) + 1e7
    moments = Moments.of(np.array_split(rows, 17), 5, joint=True)
    np.testing.assert_allclose(moments.covariance(), np.cov(rows.T), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-14)
    apart = Moments.of(np.array_split(rows, 3), 5)
    np.testing.assert_allclose(apart.covariance(), np.var(rows, axis=0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("dim", [1, 3, 768, 1025])
def test_a_product_has_the_same_bits_in_any_company_and_order(dim):
    random = np.random.default_rng(dim)
    rows = random.standard_normal((97, dim)) * np.exp(random.standard_normal((97, 1)) * 20)
    matrix = random.standard_normal((dim, 33)) * np.exp(random.standard_normal(33) * 5)
    rows[5] = 0
    product = RowProduct(matrix)
    whole = product(rows)
    one_by_one = np.concatenate([product(row[None]) for row in rows])
    assert whole.tobytes() == one_by_one.tobytes()
    assert product(rows[::-1])[::-1].tobytes() == whole.tobytes()
    turned = random.permutation(dim)
    other = RowProduct(np.asfortranarray(matrix[turned]))(rows[:, turned])
    np.testing.assert_array_equal(other, whole)
    scale = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(matrix, axis=0)
    errors = np.abs(whole - rows @ matrix) / np.where(scale > 0, scale, 1)
    assert errors.max() < 2**-24


def test_inputs_without_a_common_key_have_nothing_in_common(store):
    one, two = two_views()
    put_set(store, "one", KEYS[:60], one[:60])
    put_set(store, "two", KEYS[60:], two[60:])
    with pytest.raises(UsageError, match="no key is in every set"):
        fuse(["one", "two"], "cca", store=store, missing="drop", options=["dim=2"])


@pytest.mark.parametrize("scale", ["l2", "zscore"])
def test_one_row_is_scaled_as_many_are(store, scale):
    put_set(store, "one", KEYS[:1], correlated()[:1])
    report = fuse("one", "concat", store=store, options={"scale": scale})
    wide = correlated()[:1].astype(np.float64)
    expected = wide / np.linalg.norm(wide) if scale == "l2" else np.zeros_like(wide)
    close(rows_of(store, report, KEYS[:1]), expected)
