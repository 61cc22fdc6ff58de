"""Where everything lies in a store, and how its files are called.

STORE/STORE.json                      format and version
STORE/names/NAME                      a user's name for a fingerprint
STORE/CATALOGUE/INPUTS/SLUG-FP12/     one feature set
    SPEC.json                         its sha256 is the fingerprint
    plans/p000000.parquet             keys and the chunk of each
    data/p000000-c000042.parquet      a committed chunk; nothing else ever lies in data/
    failures/p000000-c000042-0.parquet
    runs/RUN-start.json, RUN-end.json
    fit/                              fitted state
    tmp/                              unfinished files
STORE/.tmp/                           the same for the files above the sets
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_FILE = "STORE.json"
SPEC_FILE = "SPEC.json"
NAMES = "names"
ROOT_TEMPORARY = ".tmp"
SET_FOLDERS = ("plans", "data", "failures", "runs", "fit", "tmp")
FORMAT = "ducho-store"
MAJOR, MINOR = 1, 0

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PLAN = re.compile(r"p(\d{6,})\.parquet")
_CHUNK = re.compile(r"p(\d{6,})-c(\d{6,})\.parquet")
_FAILURES = re.compile(r"p(\d{6,})-c(\d{6,})-(\d+)\.parquet")


def check_name(name: str, what: str) -> str:
    """Check a user's name for a catalogue or set, which becomes a file name.

    Raises:
        UsageError: it is not ``[a-z0-9][a-z0-9._-]*`` or longer than 100 characters.
    """
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise UsageError(
            f"{name!r} cannot name a {what}: use up to 100 lower-case letters, digits, '.', '_'"
            " and '-', starting with a letter or digit"
        )
    if what == "catalogue" and name == NAMES:
        raise UsageError(f"a catalogue cannot be called {name!r}; the store uses that folder")
    return name


def check_run_id(run_id: str) -> str:
    """Check a run's id, which becomes a file name.

    Raises:
        ValueError: it has characters beside letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _RUN.fullmatch(run_id):
        raise ValueError(f"{run_id!r} cannot be a run id")
    return run_id


def plan_file(plan: int) -> str:
    return f"p{plan:06d}.parquet"


def chunk_file(plan: int, chunk: int) -> str:
    return f"p{plan:06d}-c{chunk:06d}.parquet"


def failures_file(plan: int, chunk: int, attempt: int) -> str:
    return f"p{plan:06d}-c{chunk:06d}-{attempt}.parquet"


def parse_plan(name: str) -> int | None:
    """The number in a plan's file name, or None where it is no such name."""
    match = _PLAN.fullmatch(name)
    return int(match[1]) if match and plan_file(int(match[1])) == name else None


def parse_chunk(name: str) -> tuple[int, int] | None:
    """Plan and chunk in a data file's name, or None where it is no such name."""
    match = _CHUNK.fullmatch(name)
    if match is None:
        return None
    chunk = int(match[1]), int(match[2])
    return chunk if chunk_file(*chunk) == name else None


def parse_failures(name: str) -> tuple[int, int, int] | None:
    """Plan, chunk and attempt in a failures file's name, or None where it is no such name."""
    match = _FAILURES.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether a store lies at ``path``."""
    return os.path.isfile(os.path.join(path, STORE_FILE))


def set_folders(store: Path) -> Iterator[Path]:
    """The folders of all feature sets, sorted by path."""
    return (folder for folder in _third_level(store) if os.path.isfile(folder / SPEC_FILE))


def folders_without_spec(store: Path) -> Iterator[Path]:
    """Folders that have plans or data and no SPEC.json, which no crash leaves behind."""
    for folder in _third_level(store):
        if not os.path.isfile(folder / SPEC_FILE) and any(
            os.path.isdir(folder / name) and os.listdir(folder / name)
            for name in ("plans", "data")
        ):
            yield folder


def _third_level(store: Path) -> Iterator[Path]:
    for catalogue in _folders(store):
        if catalogue.name != NAMES:
            for inputs in _folders(catalogue):
                yield from _folders(inputs)


def _folders(parent: Path) -> list[Path]:
    with os.scandir(parent) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=True)
        )
