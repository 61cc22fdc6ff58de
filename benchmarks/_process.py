"""What work costs: CPU time here, and time and memory of a child process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# A process inherits the peak memory of the one that starts it, so a small one starts it.
_STARTER = """
import json, os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - began
code = os.waitstatus_to_exitcode(status)
figures = [code, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
os.write(int(sys.argv[1]), json.dumps(figures).encode())
"""


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of a call, threads and finished child processes included."""
    before = _cpu()
    work()
    return _cpu() - before


def _cpu() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, who))


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child process took.

    Attributes:
        seconds: wall time.
        cpu: CPU seconds, user and system.
        peak: largest resident set, MiB.
        output: what it printed to stdout.
    """

    seconds: float
    cpu: float
    peak: float
    output: str


def child(arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end; an exit status other than 0 raises with what it printed."""
    reading, writing = os.pipe()
    try:
        finished = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _STARTER, str(writing), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **(env or {})},
            pass_fds=(writing,),
            text=True,
            check=True,
        )
        code, seconds, cpu, peak = json.loads(os.read(reading, 4096))
    finally:
        os.close(reading)
        os.close(writing)
    if code:
        raise RuntimeError(f"exit status {code}: {arguments}\n{finished.stdout}{finished.stderr}")
    return Usage(seconds, cpu, peak, finished.stdout)
