"""What ``verify`` reports."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.store.parquet import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from ducho_core.errors import StoreError

RECOMPUTE = "remove the file and run the same extraction again: it recomputes just this chunk"
RESTORE = "restore the file from a copy"
_EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        set: folder of the feature set, relative to the store; empty for the store itself.
        file: the file, relative to the store.
        kind: ``unreadable``, ``content``, ``spec``, ``schema``, ``misplaced``, ``row_count``,
            ``unplanned``, ``duplicate_keys``, ``non_finite``, ``stray_file``, ``plan``,
            ``failures`` or ``name``.
        message: what is wrong, for a person.
        keys_affected: number of keys, None where that cannot be told.
        examples: the first of these keys.
        action: what to do.
    """

    set: str
    file: str
    kind: str
    message: str
    keys_affected: int | None
    examples: tuple[str, ...]
    action: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was checked of one feature set.

    Attributes:
        set: folder of the feature set, relative to the store.
        rows: rows in its readable data files.
        chunks: data files.
        pending: chunks that are planned and not committed yet, which is no damage.
        problems: what is wrong.
    """

    set: str
    rows: int
    chunks: int
    pending: int
    problems: tuple[Problem, ...]


class ProblemLog:
    """Collects the problems of one set.

    Args:
        store: the store's folder.
        folder: the set's folder.
    """

    def __init__(self, store: Path, folder: Path) -> None:
        self._store = store
        self.set = os.path.relpath(folder, store)
        self.problems: list[Problem] = []

    def add(
        self,
        path: Path,
        kind: str,
        reason: str | StoreError,
        action: str,
        keys: pa.Table | None = None,
    ) -> None:
        """Note a problem.

        Args:
            path: the file or folder.
            kind: as in ``Problem``.
            reason: what is wrong.
            action: what to do.
            keys: the keys affected, in the set's key columns, where they are known.
        """
        if isinstance(reason, DamagedFileError):
            reason = reason.reason
        self.problems.append(
            Problem(
                set=self.set,
                file=os.path.relpath(path, self._store),
                kind=kind,
                message=str(reason),
                keys_affected=None if keys is None else keys.num_rows,
                examples=() if keys is None else _first(keys),
                action=action,
            )
        )


def _first(keys: pa.Table) -> tuple[str, ...]:
    names: Sequence[str] = [name for name in keys.column_names if name in KEY_COLUMNS]
    columns = [keys[name].slice(0, _EXAMPLES).to_pylist() for name in names]
    return tuple(" / ".join(parts) for parts in zip(*columns, strict=True))
