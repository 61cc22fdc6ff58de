"""What a fusion did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ducho_core.fusion.join import Coverage


@dataclass(slots=True, kw_only=True)
class FusionReport:
    """The outcome of one fusion.

    Attributes:
        name: how to call the new set: the user's name for it, else its folder name.
        path: its folder, relative to the store.
        fingerprint: sha256 of its SPEC.
        how: canonical name of the fuser.
        missing: the policy.
        coverage: how the inputs overlap.
        dims: lengths of the new embeddings.
        rows: keys that are fused, now or before.
        filled: for each input, rows that the policy fills in.
        dropped: keys that the policy leaves out.
        untaken: keys that the fuser does not take.
        takes_only: what those are that it takes, where it does not take all.
        stored: rows stored by this run.
        skipped: rows that were stored before.
        failed: rows that could not be stored, by code.
        elsewhere: rows that another process stored meanwhile.
        fit: sha256 of the fitted state, or None.
        fit_reused: whether that was there before.
        interrupted: whether the user stopped the run.
        seconds: wall clock.
    """

    name: str
    path: str
    fingerprint: str
    how: str
    missing: str
    coverage: Coverage
    dims: dict[str, int]
    rows: int = 0
    filled: tuple[int, ...] = ()
    dropped: int = 0
    untaken: int = 0
    takes_only: str | None = None
    stored: int = 0
    skipped: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    elsewhere: int = 0
    fit: str | None = None
    fit_reused: bool = False
    interrupted: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "name": self.name,
            "path": self.path,
            "fingerprint": self.fingerprint,
            "how": self.how,
            "missing": self.missing,
            "coverage": self.coverage.as_dict(),
            "dims": self.dims,
            "rows": self.rows,
            "filled": list(self.filled),
            "dropped": self.dropped,
            "untaken": self.untaken,
            "stored": self.stored,
            "skipped": self.skipped,
            "failed": dict(self.failed),
            "elsewhere": self.elsewhere,
            "fit": self.fit,
            "fit_reused": self.fit_reused,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
        }
