"""Outputs of recent contents, so that a picture that many items share is computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_BYTES = 16 * 2**20


class RecentOutputs:
    """Content digest to outputs, bounded in bytes; forgets everything when it is full.

    De-duplication across chunks is a best effort: within a chunk it is exact.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: dict[bytes, tuple[Mapping[str, Any], int]] = {}
        self._bytes = 0

    def get(self, digest: bytes) -> dict[str, Any] | None:
        """The outputs of a content by name, or None."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        columns, at = entry
        return {name: column[at] for name, column in columns.items()}

    def add(self, digests: Mapping[bytes, int], columns: Mapping[str, Any], nbytes: int) -> None:
        """Remember a chunk's outputs.

        Args:
            digests: content digest to row of the columns.
            columns: output name to array or list.
            nbytes: what they hold alive.
        """
        held = nbytes + 200 * len(digests)
        if held > self._max_bytes:
            return
        if self._bytes + held > self._max_bytes:
            self._entries = {}
            self._bytes = 0
        entries = {digest: (columns, at) for digest, at in digests.items()}
        self._entries.update(entries)
        self._bytes += held
