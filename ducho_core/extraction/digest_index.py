"""A map from 16-byte digests to integers in 24 bytes an entry."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Digests = npt.NDArray[np.uint64]
"""Shape (n, 2)."""


def digest_keys(batch: pa.RecordBatch | pa.Table, keys: tuple[str, ...]) -> Digests:
    """Digest the key of every row; equal keys, and in effect only those, have equal digests."""
    columns = [batch.column(name).to_pylist() for name in keys]
    if len(columns) == 1:
        joined = b"".join([blake2b(key.encode(), digest_size=16).digest() for key in columns[0]])
    else:
        parts = []
        for row in zip(*columns, strict=True):
            whole = blake2b(digest_size=16)
            for key in row:
                encoded = key.encode()
                whole.update(len(encoded).to_bytes(8, "little"))
                whole.update(encoded)
            parts.append(whole.digest())
        joined = b"".join(parts)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


def has_repeats(digests: Digests) -> bool:
    """Whether one of the digests comes twice."""
    order = np.argsort(digests[:, 0], kind="stable")
    first = digests[order, 0]
    same = np.flatnonzero(first[1:] == first[:-1])
    if not len(same):
        return False
    # A stable order keeps equal keys together only as far as their first halves go.
    suspects = digests[np.isin(digests[:, 0], first[same])]
    return len(np.unique(suspects, axis=0)) < len(suspects)


class DigestIndex:
    """Digest to int64, kept as a few sorted runs that are merged as they grow.

    A Python dict would need some 200 bytes an entry; ten million keys must fit.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Digests, npt.NDArray[np.int64]]] = []

    def __len__(self) -> int:
        return sum(len(values) for _, values in self._runs)

    def add(self, digests: Digests, values: npt.NDArray[np.int64]) -> None:
        """Add entries; of entries with one digest the one added last is found."""
        if not len(values):
            return
        self._runs.append(_sorted_run(digests, values))
        while len(self._runs) > 1 and len(self._runs[-2][1]) <= 2 * len(self._runs[-1][1]):
            late, early = self._runs.pop(), self._runs.pop()
            self._runs.append(
                _sorted_run(
                    np.concatenate([early[0], late[0]]), np.concatenate([early[1], late[1]])
                )
            )

    def add_fresh(self, digests: Digests, first: int) -> bool:
        """Add entries whose values are ``first``, ``first`` + 1 and so on; False on a repeat.

        Takes less memory than ``add``. What is added must not be there yet; that two of the
        entries have one digest is noticed, and then nothing is added.
        """
        if not len(digests):
            return True
        order = np.argsort(digests[:, 0], kind="stable")
        ordered = digests[order]
        halves = ordered[:, 0]
        same = np.flatnonzero(halves[1:] == halves[:-1])
        if len(same):
            # A stable order keeps equal digests together only as far as their first halves go.
            suspects = ordered[np.isin(halves, halves[same])]
            if len(np.unique(suspects, axis=0)) < len(suspects):
                return False
        order += first
        self._runs.append((ordered, order))
        return True

    def find(self, digests: Digests) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Look up many digests.

        Returns:
            Which were found, shape (n,), and their values (0 where not found), shape (n,).
        """
        found = np.zeros(len(digests), dtype=bool)
        values = np.zeros(len(digests), dtype=np.int64)
        for run_digests, run_values in reversed(self._runs):
            # "right" - 1: the entry added last among equals stands last.
            at = np.searchsorted(run_digests[:, 0], digests[:, 0], side="right") - 1
            while True:
                inside = at >= 0
                same_first = inside & (run_digests[at, 0] == digests[:, 0])
                collided = same_first & (run_digests[at, 1] != digests[:, 1])
                if not collided.any():
                    break
                at = np.where(collided, at - 1, at)
            hit = same_first & ~found
            found |= hit
            values[hit] = run_values[at[hit]]
        return found, values


def _sorted_run(
    digests: Digests, values: npt.NDArray[np.int64]
) -> tuple[Digests, npt.NDArray[np.int64]]:
    order = np.argsort(digests[:, 0], kind="stable")
    return digests[order], values[order]
