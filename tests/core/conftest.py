"""What tests of the core share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

DISTRIBUTIONS = Path(__file__).parent / "distributions"


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin ``probe`` is installed for this process and its children."""
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS))
    monkeypatch.setenv("PYTHONPATH", str(DISTRIBUTIONS))


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a TSV of (item_id, text) rows."""

    def write(
        rows: Mapping[str, str] | Sequence[tuple[str, ...]],
        header: Sequence[str] = ("item_id", "text"),
        name: str = "items.tsv",
    ) -> Path:
        lines = rows.items() if isinstance(rows, Mapping) else rows
        path = tmp_path / name
        text = "\n".join("\t".join(line) for line in [tuple(header), *lines]) + "\n"
        path.write_text(text, "utf-8")
        return path

    return write


class Listener:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.items = 0
        self.failures = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def planning(self, rows: int) -> None: ...

    def extracting(self, name: str, rows: int) -> None: ...

    def advanced(self, items: int) -> None:
        self.items += items

    def failed(self, failures: int) -> None:
        self.failures += failures

    def finished(self) -> None: ...


@pytest.fixture
def listener() -> Any:
    """An observer that remembers what it was told."""
    return Listener()
