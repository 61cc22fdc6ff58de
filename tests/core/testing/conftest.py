"""The plugin of wrong parts, installed for these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

DISTRIBUTIONS = Path(__file__).parent / "distributions"


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins ``wrong`` and ``heavy`` are installed for this process and its children."""
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS))
    monkeypatch.setenv("PYTHONPATH", str(DISTRIBUTIONS))
    for variable in ("DUCHO_PLUGINS", "DUCHO_DISABLE_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
