"""How this project measures: two things side by side, in rounds, with a ratio at the end.

A benchmark is a script, run as ``python benchmarks/NAME.py [--quick] [--rounds N] [--check]``::

    from _common import arguments, compare, report

    args = arguments("text features, against SentenceTransformer.encode")
    rows = [
        # ours first, the peer second; each callable does the whole work once
        compare("exact", ours, theirs, rounds=args.rounds, goal=1.3),
        # a cost that may be at most 1.10 times the peer's
        compare("4 layers", four, one, rounds=args.rounds, goal=1.10, higher_is_better=False),
    ]
    report("text", rows, args)

The method:

- The cells are interleaved, A B B A A B…, in one process on the same inputs. A warm-up of each
  cell comes first and is not counted.
- The figure is the **median of the ratios per round**, with a 95 % bootstrap interval. A goal is
  met only where the whole interval meets it.
- A canary (a fixed matrix product and copy of about 50 ms) runs before and after every cell. A
  round in which it fell below 0.8 of its best is dropped; the number dropped is shown, and
  more than a third dropped makes the row inconclusive.
- A cell costs its wall time, or, where the callable returns a number, that number: CPU seconds,
  MiB, the sum of the best stage costs. ``cpu_seconds`` and ``child`` measure those.
- Several things against one peer in the same rounds: ``interleave`` and ``Rounds.row``.
- A figure without a peer (items a second, say): ``measure``.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from _process import Usage, child, cpu_seconds
from _report import arguments, report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Cell = Callable[[], object]

__all__ = [
    "Rounds",
    "Row",
    "Usage",
    "arguments",
    "child",
    "compare",
    "cpu_seconds",
    "interleave",
    "measure",
    "report",
]

CANARY_FLOOR = 0.8
DROPPED_LIMIT = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a benchmark's table.

    Attributes:
        name: what was measured.
        a: median cost of ours, or the figure itself where there is no peer.
        b: median cost of the peer, or None.
        ratio: median of the ratios per round, or None without a peer.
        low: lower end of the 95 % interval of the ratio, or of the figure.
        high: upper end of it.
        goal: what is to be reached, or None.
        higher_is_better: whether the goal is a lower bound.
        rounds: rounds counted.
        dropped: rounds left out because the canary was slow.
        unit: unit of a and b.
        values: the ratio (or figure) of every counted round.
    """

    name: str
    a: float
    b: float | None
    ratio: float | None
    low: float
    high: float
    goal: float | None = None
    higher_is_better: bool = True
    rounds: int = 0
    dropped: int = 0
    unit: str = "s"
    values: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``inconclusive``; empty without a goal."""
        if self.dropped > (self.rounds + self.dropped) * DROPPED_LIMIT:
            return "inconclusive"
        if self.goal is None:
            return ""
        met = self.low >= self.goal if self.higher_is_better else self.high <= self.goal
        return "met" if met else "missed"


@dataclass(slots=True)
class Rounds:
    """The costs of several cells, measured in the same rounds.

    Attributes:
        costs: cell name → cost per counted round.
        dropped: rounds left out because the canary was slow.
    """

    costs: dict[str, list[float]] = field(default_factory=dict)
    dropped: int = 0

    def row(
        self,
        name: str,
        a: str,
        b: str,
        *,
        goal: float | None = None,
        higher_is_better: bool = True,
        unit: str = "s",
    ) -> Row:
        """Compare two of the cells.

        Args:
            name: name of the table's line.
            a: our cell.
            b: the peer's cell.
            goal: bound on the ratio.
            higher_is_better: True for how many times as fast as the peer we are (cost of b
                over cost of a), False for what multiple of the peer's cost ours is.
            unit: unit of the costs.
        """
        pairs = zip(self.costs[a], self.costs[b], strict=True)
        ratios = [(y / x if higher_is_better else x / y) for x, y in pairs]
        low, high = interval(ratios)
        return Row(
            name=name,
            a=statistics.median(self.costs[a]),
            b=statistics.median(self.costs[b]),
            ratio=statistics.median(ratios),
            low=low,
            high=high,
            goal=goal,
            higher_is_better=higher_is_better,
            rounds=len(ratios),
            dropped=self.dropped,
            unit=unit,
            values=tuple(ratios),
        )


def compare(
    name: str,
    a: Cell,
    b: Cell,
    *,
    rounds: int = 9,
    goal: float | None = None,
    higher_is_better: bool = True,
    unit: str = "s",
    warmup: bool = True,
) -> Row:
    """Measure ours (a) against a peer (b); see the module's docstring and ``Rounds.row``."""
    measured = interleave({"a": a, "b": b}, rounds=rounds, warmup=warmup, title=name)
    return measured.row(name, "a", "b", goal=goal, higher_is_better=higher_is_better, unit=unit)


def measure(
    name: str,
    a: Callable[[], float],
    *,
    rounds: int = 9,
    goal: float | None = None,
    higher_is_better: bool = True,
    unit: str = "items/s",
    warmup: bool = True,
) -> Row:
    """Measure a figure that has no peer: the callable returns it."""
    measured = interleave({"a": a}, rounds=rounds, warmup=warmup, title=name)
    values = measured.costs["a"]
    low, high = interval(values)
    return Row(
        name=name,
        a=statistics.median(values),
        b=None,
        ratio=None,
        low=low,
        high=high,
        goal=goal,
        higher_is_better=higher_is_better,
        rounds=len(values),
        dropped=measured.dropped,
        unit=unit,
        values=tuple(values),
    )


def interleave(
    cells: Mapping[str, Cell], *, rounds: int = 9, warmup: bool = True, title: str = ""
) -> Rounds:
    """Run every cell once a round, in turn forwards and backwards.

    Args:
        cells: name → callable that does the whole work once, and may return its own cost.
        rounds: how many rounds.
        warmup: whether every cell runs once before the first round.
        title: what to call it on the progress line (stderr).
    """
    names = list(cells)
    if warmup:
        for name in names:
            cells[name]()
    canary = _Canary()
    costs: list[dict[str, float]] = []
    canaries: list[float] = []
    for number in range(rounds):
        _progress(f"{title}: round {number + 1} of {rounds}")
        order = names if number % 2 == 0 else names[::-1]
        scores = [canary.score()]
        measured: dict[str, float] = {}
        for name in order:
            began = time.perf_counter()
            returned = cells[name]()
            seconds = time.perf_counter() - began
            measured[name] = float(returned) if isinstance(returned, int | float) else seconds
            scores.append(canary.score())
        costs.append(measured)
        canaries.append(min(scores))
    _progress("")
    kept = [c for c, score in zip(costs, canaries, strict=True) if score >= CANARY_FLOOR]
    # Where nearly all were slow the figures are still shown, and the row is inconclusive.
    usable = kept or costs
    return Rounds({name: [c[name] for c in usable] for name in names}, rounds - len(kept))


def interval(values: Sequence[float], *, resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    data = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(data, size=(resamples, data.size)), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


class _Canary:
    """A fixed piece of work that tells whether the machine was slow just now."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = rng.standard_normal((512, 512), dtype=np.float32)
        self._bytes = np.ones(1 << 23, dtype=np.uint8)
        self._once()
        seconds = min(self._once() for _ in range(5))
        self._repeats = max(1, round(0.05 / seconds))
        self._best = self._run()

    def _once(self) -> float:
        began = time.perf_counter()
        np.dot(self._left, self._left)
        self._bytes.copy()
        return time.perf_counter() - began

    def _run(self) -> float:
        return sum(self._once() for _ in range(self._repeats))

    def score(self) -> float:
        """Speed now over the best speed so far: at most 1."""
        seconds = self._run()
        self._best = min(self._best, seconds)
        return self._best / seconds


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
