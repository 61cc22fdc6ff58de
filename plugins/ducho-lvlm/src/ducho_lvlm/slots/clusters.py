"""Values that mean the same, found by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    import numpy.typing as npt

_BLOCK = 512


def unit(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The vectors at length 1, (n, dim); one of zeros stays so."""
    wide = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = wide / np.where(norms > 0, norms, 1.0)
    return scaled


def average_linkage(vectors: npt.NDArray[np.floating], threshold: float) -> npt.NDArray[np.int64]:
    """Agglomerative clustering by average linkage on cosine distance, cut at a threshold.

    The clusters are those of scikit-learn's ``AgglomerativeClustering(n_clusters=None,
    metric="cosine", linkage="average", distance_threshold=threshold)``. What no chain of pairs
    within the threshold connects lies further apart on average, too, and is never merged: so
    each connected part is clustered by itself, which bounds memory by n²/2 float64 of the
    largest one, twice.

    Args:
        vectors: (n, dim); a vector of zeros is at distance 1 of all others.
        threshold: clusters are merged while their average distance is less.

    Returns:
        The cluster of each vector, (n,), numbered by their first members.
    """
    unified = unit(vectors)
    count = len(unified)
    part = _connected(unified, threshold)
    labels = np.empty(count, np.int64)
    order = np.argsort(part, kind="stable")
    bounds = np.flatnonzero(np.diff(part[order])) + 1
    used = 0
    for members in np.split(order, bounds):
        inside = np.zeros(len(members), np.int64)
        if len(members) > 1:
            tree = linkage(_condensed(unified[members]), "average")
            inside = fcluster(tree, np.nextafter(threshold, -1), "distance").astype(np.int64) - 1
        labels[members] = inside + used
        used += int(inside.max(initial=-1)) + 1
    _values, firsts, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(firsts))
    numbered: npt.NDArray[np.int64] = rank[numbers].astype(np.int64)
    return numbered


def nearest(
    vectors: npt.NDArray[np.floating],
    representatives: npt.NDArray[np.floating],
    threshold: float,
) -> npt.NDArray[np.int64]:
    """The nearest representative of each vector by cosine distance.

    Args:
        vectors: (n, dim).
        representatives: (k, dim); of several at the same distance the first is taken.
        threshold: how near it must be; less than this.

    Returns:
        Its number, (n,), -1 where none is near enough.
    """
    if not len(representatives) or not len(vectors):
        return np.full(len(vectors), -1, np.int64)
    targets = unit(representatives).T
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        distances = 1 - unit(vectors[start : start + _BLOCK]) @ targets
        best = distances.argmin(axis=1)
        near = distances[np.arange(len(best)), best] < threshold
        found[start : start + _BLOCK] = np.where(near, best, -1)
    return found


def _connected(unified: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.int64]:
    """Which part of the graph of pairs within the threshold each vector is in, (n,)."""
    count = len(unified)
    part = np.arange(count)
    for start in range(0, count, _BLOCK):
        distances = 1 - unified[start : start + _BLOCK] @ unified[start:].T
        # A little more than the threshold, since products of other shapes are rounded otherwise.
        row, column = np.nonzero(distances <= threshold + 1e-9)
        ends = part[row + start], part[column + start]
        pairs = coo_array((np.ones(len(row), np.bool_), ends), shape=(count, count))
        part = connected_components(pairs, directed=False)[1][part]
    return part.astype(np.int64)


def _condensed(unified: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cosine distances of all pairs, in the order of ``scipy.spatial.distance.pdist``."""
    count = len(unified)
    distances = np.empty(count * (count - 1) // 2, np.float64)
    at = 0
    for start in range(0, count, _BLOCK):
        block = 1 - unified[start : start + _BLOCK] @ unified[start:].T
        for row in range(len(block)):
            part = block[row, row + 1 :]
            distances[at : at + len(part)] = part
            at += len(part)
    return np.clip(distances, 0, 2, out=distances)
