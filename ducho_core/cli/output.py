"""What every command shares: where text goes, tables, and the registry."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.registry import Registry

_REGISTRY = "ducho_core.registry"


def emit(text: str) -> None:
    """Print a result to stdout."""
    click.echo(text)


def emit_json(value: Any) -> None:
    """Print a result to stdout as indented JSON."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """Tell the user something on stderr."""
    click.echo(text, err=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows in aligned columns under their headers, two spaces apart, to be emitted."""
    lines = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def get_registry(context: click.Context) -> Registry:
    """The plugins at hand, found once a command; what is passed over is said on stderr."""
    from ducho_core.registry import Registry

    if _REGISTRY not in context.meta:
        no_plugins = bool(context.find_root().params.get("no_plugins"))
        context.meta[_REGISTRY] = Registry.discover(no_plugins=no_plugins, warn=say)
    found: Registry = context.meta[_REGISTRY]
    return found


def abandon_stdout() -> None:
    """Let nothing more be written to a stdout that nobody reads."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    # The interpreter flushes stdout at exit, and would complain there again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
