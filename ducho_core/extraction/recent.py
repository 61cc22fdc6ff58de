"""Outputs of recent contents, so that a picture that many items share is computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 16 * 2**20
MAX_CHUNKS = 8


class RecentOutputs:
    """Content digest to outputs, for the last few chunks, bounded in bytes.

    De-duplication across chunks is a best effort: within a chunk it is exact.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._chunks: tuple[tuple[Mapping[bytes, int], Mapping[str, Any], int], ...] = ()

    def get(self, digest: bytes) -> dict[str, Any] | None:
        """The outputs of a content by name, or None. Any thread may ask."""
        for digests, columns, _ in self._chunks:
            at = digests.get(digest)
            if at is not None:
                return {name: column[at] for name, column in columns.items()}
        return None

    def add(self, digests: Mapping[bytes, int], columns: Mapping[str, Any], nbytes: int) -> None:
        """Remember a chunk's outputs and forget the oldest ones over the bound.

        Args:
            digests: content digest to row of the columns.
            columns: output name to array or list.
            nbytes: what the columns hold.
        """
        held = nbytes + 200 * len(digests)
        if not digests or held > self._max_bytes:
            return
        kept = [(digests, columns, held)]
        for chunk in self._chunks[: MAX_CHUNKS - 1]:
            held += chunk[2]
            if held > self._max_bytes:
                break
            kept.append(chunk)
        self._chunks = tuple(kept)
