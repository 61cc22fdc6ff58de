"""Finds the examples in a Markdown page that can be run, and runs them.

A fenced block of ``console`` (its lines that start with ``$ ``) or ``python`` is runnable where
the line ``<!-- run -->`` stands before it; ``<!-- run: exit 3 -->`` expects that exit status.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MARK = re.compile(r"<!-- run(?:: exit (\d+))? -->")
_FENCE = re.compile(r"```(console|python)")


@dataclass(frozen=True, slots=True)
class Example:
    """One command or script of a page.

    Attributes:
        page: the page's file name.
        line: where it starts, from 1.
        language: ``console`` or ``python``.
        code: the command or the script.
        status: the exit status to be expected.
    """

    page: str
    line: int
    language: str
    code: str
    status: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples(page: Path) -> list[Example]:
    """The runnable examples of a page, in order.

    Raises:
        ValueError: a mark is not followed by a block that can be run.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Example] = []
    for number, line in enumerate(lines):
        mark = _MARK.fullmatch(line.strip())
        if mark is None:
            continue
        fence = _FENCE.fullmatch(lines[number + 1].strip()) if number + 1 < len(lines) else None
        if fence is None:
            raise ValueError(f"{page.name}:{number + 1}: no console or python block follows")
        end = lines.index("```", number + 2)
        block = list(enumerate(lines[number + 2 : end], number + 3))
        status = int(mark[1] or 0)
        if fence[1] == "python":
            code = "\n".join(text for _, text in block)
            found.append(Example(page.name, number + 3, "python", code, status))
        else:
            for start, command in _commands(block):
                found.append(Example(page.name, start, "console", command, status))
    return found


def _commands(block: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    lines = iter(block)
    for number, line in lines:
        if not line.startswith("$ "):
            continue
        command = line[2:]
        while command.endswith("\\"):
            command += "\n" + next(lines)[1]
        yield number, command


def run(
    example: Example, folder: Path, env: Mapping[str, str], *, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder, with this Python's programs found first.

    Args:
        example: what to run.
        folder: working directory.
        env: environment variables on top of this process's.
        capture: keep what it prints rather than let it through.
    """
    programs = os.path.dirname(sys.executable)
    path = programs + os.pathsep + os.environ.get("PATH", "")
    shell = ["bash", "-c", example.code]
    command = shell if example.language == "console" else [sys.executable, "-c", example.code]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        capture_output=capture,
        text=True,
        check=False,
    )
