"""Windows put through a model in passes that fit, and their results joined to one an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ducho_core import DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    import numpy.typing as npt

T = TypeVar("T")


class Passes:
    """Cuts windows into passes up to a budget, and to smaller ones where memory runs out.

    One item may have many windows, so what the core bounds, the items of a batch, does not
    bound what goes through the model at once.

    Args:
        budget: highest cost of a pass, n * max(cost) of its windows. One window may exceed it.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def run(
        self,
        kinds: Sequence[Hashable],
        costs: Sequence[int],
        compute: Callable[[list[int]], T],
    ) -> Iterator[tuple[list[int], T]]:
        """Compute all windows, those of a kind together, the costliest first.

        Args:
            kinds: windows of different kinds never share a pass.
            costs: of each window, at least 1.
            compute: takes positions in ``kinds``.

        Yields:
            Positions, and what ``compute`` gave for them.

        Raises:
            DeviceMemoryError: one window alone does not fit.
        """
        groups: dict[Hashable, list[int]] = {}
        for at in sorted(range(len(kinds)), key=lambda at: -costs[at]):
            groups.setdefault(kinds[at], []).append(at)
        for group in groups.values():
            start = 0
            while start < len(group):
                count = max(1, self.budget // costs[group[start]])
                rows = group[start : start + count]
                try:
                    found = compute(rows)
                except DeviceMemoryError:
                    if len(rows) == 1:
                        raise
                    self.budget = costs[rows[0]] * (len(rows) // 2)
                    continue
                yield rows, found
                start += len(rows)


def join(
    how: str,
    vectors: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float64],
    counts: Sequence[int],
) -> npt.NDArray[np.float32]:
    """One vector an item from those of its windows.

    Args:
        how: ``max`` takes the largest of each number, ``last`` the last window's; all else is
            averaged, by weight.
        vectors: of all windows, shape (windows, d), those of an item together and in order.
        weights: of all windows, shape (windows,).
        counts: windows of each item.

    Returns:
        Shape (n, d).
    """
    joined = np.empty((len(counts), vectors.shape[1]), np.float32)
    stop = 0
    for row, count in enumerate(counts):
        start, stop = stop, stop + count
        part = vectors[start:stop]
        if count == 1 or how == "last":
            joined[row] = part[-1]
        elif how == "max":
            joined[row] = part.max(axis=0)
        else:
            share = weights[start:stop, None] / weights[start:stop].sum()
            joined[row] = (part * share).sum(axis=0)
    return joined
