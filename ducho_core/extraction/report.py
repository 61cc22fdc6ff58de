"""What an extraction did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ducho_core.extraction.job import ChunkResult, Seconds


@dataclass(slots=True, kw_only=True)
class Report:
    """The outcome of one extraction for one feature set.

    Attributes:
        name: how to call the set: the user's name for it, else its folder name.
        path: its folder, relative to the store.
        fingerprint: sha256 of its SPEC.
        rows: items that were pending.
        stored, absent, withdrawn, repeated: of these, by what became of them.
        elsewhere: of these, how many another process dealt with first.
        failed: by code.
        notes: by word.
        scalars: of each scalar output the stored rows that have a value, and their sum.
        examples: some failures as (key, code, message).
        skipped: items that earlier runs had stored.
        failed_before, absent_before: items that earlier runs gave up on, not tried again.
        duplicates: rows of the source that repeat a key with the same content.
        left: reasons why chunks were left pending, and how many.
        interrupted: whether the user stopped the run.
        loaded: whether a model was loaded.
        seconds: by stage; ``total`` is the wall clock.
    """

    name: str
    path: str
    fingerprint: str
    rows: int = 0
    stored: int = 0
    absent: int = 0
    withdrawn: int = 0
    repeated: int = 0
    elsewhere: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    scalars: dict[str, tuple[int, float]] = field(default_factory=dict)
    examples: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: int = 0
    failed_before: int = 0
    absent_before: int = 0
    duplicates: int = 0
    left: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    loaded: bool = False
    seconds: Seconds = field(default_factory=Seconds)

    def add(self, result: ChunkResult) -> None:
        """Count a chunk."""
        self.seconds.add(result.seconds)
        self.elsewhere += result.elsewhere
        if result.reason:
            self.left[result.reason] += 1
        if not result.committed:
            return
        self.stored += result.stored
        self.absent += result.absent
        self.withdrawn += result.withdrawn
        self.repeated += result.repeated
        self.failed.update(result.failed)
        self.notes.update(result.notes)
        for name, (count, total) in result.scalars.items():
            before = self.scalars.get(name, (0, 0.0))
            self.scalars[name] = (before[0] + count, before[1] + total)
        room = 5 - len(self.examples)
        self.examples.extend(result.examples[: max(0, room)])

    @property
    def means(self) -> dict[str, float]:
        """Mean of each scalar output over the stored rows that have a value; of a flag, its share.

        Outputs without any value are left out.
        """
        return {name: total / count for name, (count, total) in self.scalars.items() if count}

    @property
    def failures(self) -> int:
        """New failures of this run."""
        return sum(self.failed.values())

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "name": self.name,
            "path": self.path,
            "fingerprint": self.fingerprint,
            "pending": self.rows,
            "stored": self.stored,
            "absent": self.absent,
            "withdrawn": self.withdrawn,
            "repeated": self.repeated,
            "elsewhere": self.elsewhere,
            "failed": dict(self.failed),
            "notes": dict(self.notes),
            "means": {name: round(mean, 6) for name, mean in self.means.items()},
            "skipped": {
                "stored": self.skipped,
                "failed": self.failed_before,
                "absent": self.absent_before,
            },
            "duplicates": self.duplicates,
            "left_pending": dict(self.left),
            "interrupted": self.interrupted,
            "model_loaded": self.loaded,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }
