"""What an export did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from ducho_core.exporter import ExportNotes
    from ducho_core.fusion.join import Coverage

Keys: TypeAlias = "tuple[tuple[str, ...], ...]"
"""The first few of some keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedInput:
    """What became of one set.

    Attributes:
        name: how the user calls it.
        label: what the exporter calls it.
        output: which of its embeddings.
        fingerprint: sha256 of its SPEC.
        dim: length of its vectors.
        rows: rows that it has.
        present: of these, rows that belong to the export.
        filled: rows of the export that it has no vector for, filled in by the policy.
        filled_examples: the first of their keys; all are marked in ``ids.parquet``.
        dropped: its rows that were left out, such as those outside the universe.
        zero: rows that were written and have length 0.
        zero_examples: the first of their keys.
    """

    name: str
    label: str
    output: str
    fingerprint: str
    dim: int
    rows: int
    present: int
    filled: int
    filled_examples: Keys
    dropped: int
    zero: int
    zero_examples: Keys

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {
            **plain,
            "filled_examples": [list(key) for key in self.filled_examples],
            "zero_examples": [list(key) for key in self.zero_examples],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """The rows that an export had to have: how they are called, and how many there are."""

    name: str
    rows: int

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"name": self.name, "rows": self.rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of the numbers of an earlier export.

    Attributes:
        earlier: keys that it numbered.
        sha256: of its ``ids.parquet``.
        new: keys that were added.
        gone: keys that it had and that no longer belong to the export; they keep their number.
        gone_examples: the first of them; ``gone.parquet`` has all.
    """

    earlier: int
    sha256: str
    new: int
    gone: int
    gone_examples: Keys

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return _plain(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs from an earlier export.

    Attributes:
        sha256: of its ``ids.parquet``.
        new: keys that it has not; written.
        changed: keys whose row differs in some set; written.
        unchanged: keys that are left out.
        gone: keys that it has and this one has not.
        gone_examples: the first of them; ``gone.parquet`` has all.
    """

    sha256: str
    new: int
    changed: int
    unchanged: int
    gone: int
    gone_examples: Keys

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return _plain(self)


def _plain(told: Kept | Changes) -> dict[str, Any]:
    plain = {name: getattr(told, name) for name in told.__slots__}
    return {**plain, "gone_examples": [list(key) for key in told.gone_examples]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """The outcome of one export.

    Attributes:
        exporter: canonical name of the exporter.
        folder: where it was written.
        rows: rows that were written.
        keys: their key columns.
        missing: the policy for missing rows; ``leave`` where the format keeps sets apart.
        coverage: how the sets overlap.
        universe: the rows that it had to have, where the exporter settles that.
        id_map: what became of the numbers of an earlier export.
        since: what differs from an earlier export.
        inputs: what became of each.
        files: what lies in the folder.
        notes: what the exporter has to say.
        seconds: wall clock.
    """

    exporter: str
    folder: str
    rows: int
    keys: tuple[str, ...]
    missing: str
    coverage: Coverage
    universe: Universe | None
    id_map: Kept | None
    since: Changes | None
    inputs: tuple[ExportedInput, ...]
    files: tuple[str, ...]
    notes: ExportNotes
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "exporter": self.exporter,
            "folder": self.folder,
            "rows": self.rows,
            "keys": list(self.keys),
            "missing": self.missing,
            "coverage": self.coverage.as_dict(),
            "universe": self.universe and self.universe.as_dict(),
            "id_map": self.id_map and self.id_map.as_dict(),
            "since": self.since and self.since.as_dict(),
            "sets": [one.as_dict() for one in self.inputs],
            "files": list(self.files),
            "remarks": list(self.notes.remarks),
            "next": self.notes.next_step,
            "seconds": round(self.seconds, 3),
        }
