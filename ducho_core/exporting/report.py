"""What an export did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ducho_core.exporter import ExportNotes
    from ducho_core.fusion.join import Coverage


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
        present: of these, rows that were written.
        filled: rows of the export that it has no vector for, filled in by the policy.
        dropped: its rows that were left out.
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
    dropped: int
    zero: int
    zero_examples: tuple[tuple[str, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "zero_examples": [list(key) for key in self.zero_examples]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """The outcome of one export.

    Attributes:
        exporter: canonical name of the exporter.
        folder: where it was written.
        rows: rows of the export.
        keys: their key columns.
        missing: the policy for missing rows; ``leave`` where the format keeps sets apart.
        coverage: how the sets overlap.
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
            "sets": [one.as_dict() for one in self.inputs],
            "files": list(self.files),
            "remarks": list(self.notes.remarks),
            "next": self.notes.next_step,
            "seconds": round(self.seconds, 3),
        }
