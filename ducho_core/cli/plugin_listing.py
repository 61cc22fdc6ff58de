"""What ``ducho plugins index`` says: what is installed, what could be, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ducho_core.cli.output import emit, emit_json, table
from ducho_core.plugin_index import compare, read_index, shipped_index

if TYPE_CHECKING:
    from ducho_core.registry import Registry


def print_index(registry: Registry, path: str | None, *, as_json: bool) -> None:
    """Print a plugin index beside what is installed.

    Args:
        registry: the plugins at hand; none is imported.
        path: the index; None for the one that comes with Ducho.
        as_json: print JSON.

    Raises:
        UsageError: the index cannot be read or something in it is wrong.
    """
    entries = read_index(shipped_index() if path is None else Path(path))
    records = [one for one in registry.plugins() if one.name != "core"]
    listings = compare(entries, records)
    if as_json:
        emit_json([one.as_dict() for one in listings])
        return
    rows = [(one.entry.name, one.state, one.version or "", one.entry.summary) for one in listings]
    emit(table(("plugin", "state", "version", "what it brings"), rows) if rows else "no plugins")
    commands = [one.install for one in listings if one.install]
    if commands:
        emit("\nto install what is not:\n" + "\n".join(f"  {command}" for command in commands))
