"""Writes docs/cli.md from the commands' own help: `python docs/generate_cli.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ducho_core.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parent / "cli.md"
WIDTH = 95
HEAD = """\
# Commands

Written by `python docs/generate_cli.py` from what `--help` prints.

Results go to stdout, talk and progress to stderr; `--json` is there where a script would want it.
Exit statuses: 0 all is stored, 1 an error, 2 wrong usage, 3 this run left new failures, 130
interrupted.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_sections(main, None))


def _sections(command: click.Command, parent: click.Context | None) -> Iterator[str]:
    name = "ducho" if parent is None else command.name
    settings = {"terminal_width": WIDTH, **command.context_settings}
    with click.Context(command, parent, info_name=name, **settings) as context:
        yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context).strip()}\n```\n"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    yield from _sections(found, context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
