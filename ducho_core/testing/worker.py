"""Another process that computes a case's numbers; started once and used for many cases."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.testing.checks import CheckFailed
from ducho_core.testing.part_case import python_path

if TYPE_CHECKING:
    from ducho_core.testing.extractor_case import ExtractorCase

PATIENCE = 600.0
"""Seconds after which the other process is given up."""

_STEADY = "PYTEST_CURRENT_TEST"
"""Changes from test to test and means nothing to a plugin."""


class _Worker:
    """A fresh interpreter with other hashes of texts, in an empty folder."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self._folder = tempfile.TemporaryDirectory(prefix="ducho-check-")
        self._log = Path(self._folder.name, "stderr")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ducho_core.testing.worker"],
                env=env,
                cwd=self._folder.name,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a case, and wait for what came of it."""
        sent, back = (Path(self._folder.name, name) for name in ("case", "numbers"))
        sent.write_bytes(pickle.dumps(payload))
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps([str(sent), str(back)]) + "\n")
            self._process.stdin.flush()
            watchdog = threading.Timer(PATIENCE, self._process.kill)
            watchdog.start()
            answer = self._process.stdout.readline()
            watchdog.cancel()
        if not answer:
            told = self._log.read_text("utf-8", "replace")[-800:].strip()
            raise CheckFailed(
                f"another process dies of it, or says nothing for {PATIENCE:.0f} s: {told}"
            )
        trouble = json.loads(answer)
        if trouble:
            raise CheckFailed(f"in another process it fails: {trouble[-800:].strip()}")
        found: dict[str, Any] = pickle.loads(back.read_bytes())  # noqa: S301 - by our own process
        return found

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


_running: list[_Worker] = []


def elsewhere(case: ExtractorCase) -> dict[str, Any]:
    """Resolve, load and extract a case in another process.

    Returns:
        ``facts`` of what resolved, and ``numbers`` by the inputs that a feature set requires.

    Raises:
        CheckFailed: the extractor does not work there.
    """
    env = {name: value for name, value in python_path().items() if name != _STEADY}
    env["PYTHONHASHSEED"] = "1" if env.get("PYTHONHASHSEED", "0") == "0" else "0"
    if _running and (_running[0].env != env or not _running[0].alive()):
        close_worker()
    if not _running:
        _running.append(_Worker(env))
    return _running[0].ask(
        {
            "plugin": case.name,
            "options": case.given,
            "items": case.items,
            "precision": case.precision,
        }
    )


@atexit.register
def close_worker() -> None:
    """End the other process, where there is one."""
    while _running:
        _running.pop().close()


def compute(payload: dict[str, Any]) -> dict[str, Any]:
    """What the other process does with a case."""
    from ducho_core.testing.extractor_case import ExtractorCase
    from ducho_core.testing.resolve_checks import facts

    case = ExtractorCase(
        payload["plugin"],
        payload["options"],
        items=payload["items"],
        broken={},
        precision=payload["precision"],
    )
    try:
        numbers = {group.requires: case.numbers(group) for group in case.groups}
        return {"facts": facts(case.resolved), "numbers": numbers}
    finally:
        case.close()


def main() -> None:
    """Answer each line ``[CASE, NUMBERS]`` with an empty text, or with a traceback."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin prints is no answer
    for line in sys.stdin:
        sent, back = json.loads(line)
        trouble = ""
        try:
            payload = pickle.loads(Path(sent).read_bytes())  # noqa: S301 - by the process above
            Path(back).write_bytes(pickle.dumps(compute(payload)))
        except Exception:  # noqa: BLE001 - whatever the plugin raises is the answer
            trouble = traceback.format_exc()
        answers.write(json.dumps(trouble) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
