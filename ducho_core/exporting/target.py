"""Where an export may be written: to nothing, an empty folder, or an earlier export."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.errors import UsageError
from ducho_core.store.layout import is_store

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = "export.json"
FORMAT = "ducho-export"


def check_apart(given: str | os.PathLike[str], store: str | os.PathLike[str]) -> None:
    """See that a folder and a store, which need not exist yet, do not lie in each other.

    Raises:
        UsageError: they do.
    """
    out, real = Path(os.path.realpath(given)), Path(os.path.realpath(store))
    if real in (out, *out.parents):
        raise UsageError(
            f"{given} lies in the store {real.name}: choose a folder outside it, or another"
            " --store"
        )
    if out in real.parents:
        raise UsageError(
            f"{given} holds the store {real.name}, and an export replaces its folder as a whole:"
            " choose another folder, or another --store"
        )


def check_target(given: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """See that a folder can take an export: absent, empty, or an earlier export.

    Raises:
        UsageError: something else is there, or something was added to an earlier export.
    """
    out = Path(os.path.realpath(given))
    inside = next((one for one in (out, *out.parents) if is_store(one)), None)
    if inside is not None:
        raise UsageError(f"{given} lies in the store {inside.name}: choose a folder outside it")
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise UsageError(f"{given} is a file; --out is a folder")
    if not any(os.scandir(out)):
        return
    try:
        earlier = json.loads((out / REPORT).read_bytes())
        ours = earlier["format"] == FORMAT
        files = set(earlier["files"])
        items = {one["folder"]: one for one in earlier["item_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        ours, files, items = False, set(), {}
    if not ours:
        raise UsageError(
            f"{given} is not empty and no earlier export: choose a new or empty folder"
        )
    if overwrite:
        return
    added = list(_added(out, files, items))
    if added:
        shown = ", ".join(added[:5]) + (", …" if len(added) > 5 else "")
        raise UsageError(
            f"{given} is an earlier export to which something was added ({shown}): --overwrite"
            " replaces the whole folder and removes that too"
        )


def _added(out: Path, files: set[str], items: dict[str, Any]) -> Iterator[str]:
    for path, _folders, names in os.walk(out):
        where = os.path.relpath(path, out).replace(os.sep, "/")
        known = items.get(where)
        others = [name for name in names if known and name.endswith(known["suffix"])]
        if known and len(others) > known["files"]:
            yield f"{len(others) - known['files']} files in {where}"
        for name in sorted(set(names) - set(others)):
            full = name if where == "." else f"{where}/{name}"
            if full not in files:
                yield full


__all__ = ["FORMAT", "REPORT", "check_apart", "check_target"]
