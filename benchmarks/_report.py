"""A benchmark's command line, its table and its JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _common import Row

OUT = Path(__file__).resolve().parent / "out"
PACKAGES = ("numpy", "pyarrow", "torch", "timm", "transformers", "sentence-transformers", "pillow")


def arguments(
    description: str, add: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """Parse a benchmark's command line: ``quick``, ``rounds`` (3 with --quick, else 9), ``check``.

    Args:
        description: what the benchmark measures.
        add: adds further options to the parser.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small inputs and few rounds")
    parser.add_argument("--rounds", type=int, help="rounds to measure (default: 9; quick: 3)")
    parser.add_argument("--check", action="store_true", help="exit 1 unless every goal is met")
    if add is not None:
        add(parser)
    parsed = parser.parse_args()
    parsed.rounds = parsed.rounds or (3 if parsed.quick else 9)
    return parsed


def report(name: str, rows: Sequence[Row], args: argparse.Namespace | None = None) -> None:
    """Print the table, write ``benchmarks/out/NAME.json``; with ``--check`` exit 1 on a miss."""
    print(f"\n{name} · {machine()}{' · QUICK: not a result' if _quick(args) else ''}")
    print(_table(rows))
    OUT.mkdir(exist_ok=True)
    record = {
        "benchmark": name,
        "machine": machine(),
        "versions": versions(),
        "quick": _quick(args),
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
    }
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if args is not None and args.check and any(row.verdict not in ("", "met") for row in rows):
        sys.exit(1)


def _quick(args: argparse.Namespace | None) -> bool:
    return bool(args is not None and args.quick)


def _table(rows: Sequence[Row]) -> str:
    header = ("row", "A", "B", "ratio", "95 % interval", "goal", "", "rounds")
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    sign = "≥" if row.higher_is_better else "≤"
    return (
        row.name,
        f"{_figure(row.a)} {row.unit}",
        "" if row.b is None else f"{_figure(row.b)} {row.unit}",
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        f"{_figure(row.low)} … {_figure(row.high)}",
        "" if row.goal is None else f"{sign} {row.goal:,g}",
        row.verdict,
        f"{row.rounds}" + (f" (-{row.dropped})" if row.dropped else ""),
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> str:
    """The processor in words: model, cores, the instruction sets that matter here."""
    model, flags = platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = value
    wanted = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags.split()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores" + (f", {' '.join(wanted)}" if wanted else "")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter to a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
