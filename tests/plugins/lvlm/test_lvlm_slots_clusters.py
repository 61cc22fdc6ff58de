"""Clusters of values: those of scikit-learn, in bounded memory, in any order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ducho_lvlm.slots.clusters import average_linkage, nearest
from ducho_lvlm.slots.mapping import OTHER, dump, learn, load
from ducho_lvlm.slots.options import SlotsOptions
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist
from sklearn.cluster import AgglomerativeClustering

from ducho_core import UsageError


def partition(labels):
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in np.unique(labels)}


def near_groups(count, dim, groups, noise, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(groups, dim))
    return centres[random.integers(groups, size=count)] + noise * random.normal(size=(count, dim))


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.45, 0.8, 1.0, 1.5])
@pytest.mark.parametrize(
    ("count", "dim", "groups", "noise"),
    [(2, 3, 2, 0.1), (40, 4, 6, 0.5), (300, 16, 20, 0.6), (1200, 8, 40, 0.4)],
)
def test_the_clusters_are_those_of_scikit_learn_and_scipy(count, dim, groups, noise, threshold):
    vectors = near_groups(count, dim, groups, noise).astype(np.float32)
    ours = average_linkage(vectors, threshold)
    theirs = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=threshold
    ).fit_predict(vectors.astype(np.float64))
    assert partition(ours) == partition(theirs)
    tree = linkage(vectors.astype(np.float64), "average", metric="cosine")
    assert partition(ours) == partition(fcluster(tree, threshold, "distance"))
    assert len(np.unique(ours)) > 1 or threshold >= 0.8 or count == 2


def test_clusters_are_numbered_by_their_first_members():
    vectors = near_groups(200, 6, 12, 0.3)
    labels = average_linkage(vectors, 0.3)
    _numbers, firsts = np.unique(labels, return_index=True)
    assert (np.diff(firsts) > 0).all()


def test_the_order_of_the_vectors_changes_no_cluster():
    vectors = near_groups(400, 10, 30, 0.5)
    expected = partition(average_linkage(vectors, 0.4))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(400)
        found = average_linkage(vectors[order], 0.4)
        assert {frozenset(order[list(one)].tolist()) for one in partition(found)} == expected


def test_none_one_and_zeros():
    assert average_linkage(np.zeros((0, 3)), 0.4).tolist() == []
    assert average_linkage(np.ones((1, 3)), 0.4).tolist() == [0]
    vectors = np.array([[0, 0], [1, 0], [0, 0], [2, 0]], np.float32)
    assert average_linkage(vectors, 0.45).tolist() == [0, 1, 2, 1]


def test_the_nearest_is_the_nearest_by_cosine_within_the_threshold():
    random = np.random.default_rng(1)
    vectors, targets = random.normal(size=(700, 5)), random.normal(size=(9, 5))
    distances = cdist(vectors, targets, "cosine")
    expected = np.where(distances.min(axis=1) < 0.2, distances.argmin(axis=1), -1)
    found = nearest(vectors, targets, 0.2)
    assert found.tolist() == expected.tolist()
    assert {-1, 0, 8} <= set(found.tolist())
    assert nearest(vectors[:2], targets[:0], 0.2).tolist() == [-1, -1]
    assert nearest(vectors[:1], np.vstack([vectors[:1]] * 2), 0.2).tolist() == [0]


def letters(values):
    """A vector of the letters in each value."""
    return np.array([[value.count(one) for one in "abcd"] for value in values], np.float32)


def found(counts, **options):
    mapping = learn("slot_x", counts, letters, SlotsOptions(**options))
    return [(one.value, one.count, one.members) for one in mapping.clusters], mapping.rare


def test_the_most_frequent_value_stands_for_its_cluster():
    counts = {"a": 2, "aa": 5, "b": 3, "bb": 1, "c": 1}
    assert found(counts)[0] == [("aa", 7, ("a", "aa")), ("b", 4, ("b", "bb")), ("c", 1, ("c",))]


def test_ties_are_settled_by_the_values_themselves():
    counts = {"d": 2, "bb": 2, "b": 2, "a": 3, "aaa": 1, "cc": 2, "c": 2}
    expected = [
        ("a", 4, ("a", "aaa")),
        ("b", 4, ("b", "bb")),
        ("c", 4, ("c", "cc")),
        ("d", 2, ("d",)),
    ]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(list(counts)).tolist()
        assert found({value: counts[value] for value in order})[0] == expected


def test_rarer_values_join_the_nearest_cluster_or_none():
    counts = {"a": 9, "b": 8, "ab" * 5: 1, "aab": 2, "d": 1, "aaaab": 7}
    clusters, rare = found(counts, clustered=3, threshold=0.2)
    assert clusters == [("a", 18, ("a", "aaaab", "aab")), ("b", 8, ("b",))]
    assert rare == ("ababababab", "d")


def test_20001_values_cluster_the_most_frequent_20000():
    random = np.random.default_rng(0)
    centres = random.normal(size=(5_000, 16)).astype(np.float32)
    noise = random.normal(size=(20_001, 16)).astype(np.float32) / 200
    asked = []

    def embed(values):
        asked.append(len(values))
        numbers = np.array([int(value) for value in values])
        return centres[numbers % 5_000] + noise[numbers]

    counts = Counter({f"{number}": 30_000 - number for number in range(20_001)})
    mapping = learn("slot_x", counts, embed, SlotsOptions(threshold=0.01))
    assert asked == [20_000, 1]
    assert (len(mapping.clusters), mapping.rare) == (5_000, ())
    first = mapping.clusters[0]
    assert (first.value, first.members) == ("0", ("0", "10000", "15000", "20000", "5000"))
    assert first.count == sum(counts[member] for member in first.members)
    assert mapping.vectors.shape == (5_000, 16)


def test_a_mapping_comes_back_from_its_arrays():
    one = learn("slot_x", {"a": 2, "aa": 1, "é": 1}, letters, SlotsOptions())
    none = learn("slot_y", {}, letters, SlotsOptions())
    state = dump([one, none], {"text": {"a": 1}})
    (first, second), identity = load(state)
    assert identity == {"text": {"a": 1}}
    assert (first.slot, first.clusters, first.rare) == (one.slot, one.clusters, one.rare)
    np.testing.assert_array_equal(first.vectors, one.vectors)
    assert first.numbers() == {"aa": 0, "a": 0, "é": 1}
    assert second.columns(50, flag_missing=True) == ["y:other", "y:missing"]
    assert OTHER not in first.numbers().values()
    for broken in ({}, {**state, "mapping": np.frombuffer(b"[]", np.uint8)}):
        with pytest.raises(UsageError, match="no mapping of lvlm/slots"):
            load(broken)
