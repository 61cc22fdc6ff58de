"""Finds the examples in a Markdown page that can be run, and runs them.

A fenced block of ``console`` (its lines that start with ``$ ``) or ``python`` is runnable where
the line ``<!-- run -->`` stands before it; ``<!-- run: exit 3 -->`` expects that exit status.
Other lines of a ``console`` block are what the command before them prints; in them ``…`` stands
for anything. A block of any language after ``<!-- file: NAME -->`` is written to that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MARK = re.compile(r"<!-- run(?:: exit (\d+))? -->")
_FILE = re.compile(r"<!-- file: ((?!\.)[\w-][\w.-]*(?:/[\w-][\w.-]*)*) -->")
_FENCE = re.compile(r"```(\w+)")
_RUNNABLE = ("console", "python")


@dataclass(frozen=True, slots=True)
class Example:
    """One command or script of a page.

    Attributes:
        page: the page's file name.
        line: where it starts, from 1.
        language: ``console``, ``python``, or ``file`` for a file to be written.
        code: the command, the script or the file's content.
        status: the exit status to be expected.
        file: name of the file to be written, folders included.
        shown: lines that the page shows as what a command prints.
    """

    page: str
    line: int
    language: str
    code: str
    status: int = 0
    file: str = ""
    shown: tuple[str, ...] = ()

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
        mark, file = _MARK.fullmatch(line.strip()), _FILE.fullmatch(line.strip())
        if mark is None and file is None:
            continue
        fence = _FENCE.fullmatch(lines[number + 1].strip()) if number + 1 < len(lines) else None
        if fence is None or (mark and fence[1] not in _RUNNABLE):
            raise ValueError(f"{page.name}:{number + 1}: no block that can be run follows")
        begin = number + 2
        block = lines[begin : lines.index("```", begin)]
        code = "\n".join(block)
        if file is not None:
            found.append(Example(page.name, begin + 1, "file", code + "\n", file=file[1]))
        elif mark is not None and fence[1] == "python":
            found.append(Example(page.name, begin + 1, "python", code, int(mark[1] or 0)))
        elif mark is not None:
            status = int(mark[1] or 0)
            found += _commands(page.name, list(enumerate(block, begin + 1)), status)
    return found


def not_printed(example: Example, output: str) -> list[str]:
    """The lines that a page shows and a command did not print; blanks are not compared."""
    printed = [" ".join(line.split()) for line in output.splitlines()]
    missing = []
    for line in example.shown:
        pattern = re.escape(" ".join(line.split())).replace("…", ".*")
        if not any(re.fullmatch(pattern, one) for one in printed):
            missing.append(line)
    return missing


def _commands(page: str, block: list[tuple[int, str]], status: int) -> list[Example]:
    found: list[Example] = []
    continued = False
    for number, line in block:
        if continued or line.startswith("$ "):
            text = line if continued else line[2:]
            before = found.pop() if continued else None
            code = f"{before.code}\n{text}" if before else text
            start = before.line if before else number
            found.append(Example(page, start, "console", code, status))
            continued = text.endswith("\\")
        elif found and line.strip():
            found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
    return found


def run(
    example: Example,
    folder: Path,
    env: Mapping[str, str],
    *,
    capture: bool = False,
    programs: str = os.path.dirname(sys.executable),
) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder.

    Args:
        example: what to run.
        folder: working directory.
        env: environment variables on top of this process's.
        capture: keep what it prints rather than let it through.
        programs: folder whose programs, ``python`` among them, are found first.
    """
    if example.language == "file":
        path = folder / example.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.code, encoding="utf-8")
        return subprocess.CompletedProcess([], 0, "", "")
    search = programs + os.pathsep + os.environ.get("PATH", "")
    shell = ["bash", "-c", example.code]
    script = [os.path.join(programs, "python"), "-c", example.code]
    return subprocess.run(
        shell if example.language == "console" else script,
        cwd=folder,
        env={**os.environ, "PATH": search, **env},
        stdin=subprocess.DEVNULL,
        capture_output=capture,
        text=True,
        check=False,
    )
