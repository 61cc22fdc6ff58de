"""Descriptions for the tests of ``lvlm/slots``, written by the plugin in ``distributions``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ducho_core import Store, extract, fuse

DISTRIBUTIONS = Path(__file__).parent / "distributions"
LETTERS = {"text_plugin": "said/letters"}
BOTH = ("slot_color", "slot_material")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin ``said`` is installed for this process and its children."""
    import os

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS))
    monkeypatch.setenv("PYTHONPATH", str(DISTRIBUTIONS))
    for variable in ("DUCHO_PLUGINS", "DUCHO_DISABLE_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)


def answer(color: str | None = None, material: str | None = None) -> str:
    """A description in the form of the prompts, a slot left out where it is None."""
    said = {"Color": color, "Material": material}
    listed = [f"[{label}] {{{value}}}" for label, value in said.items() if value is not None]
    return ", ".join(listed) or "It cannot be seen."


def describe(
    folder: Path, answers: Mapping[str, str], name: str = "described", catalogue: str = "main"
) -> Path:
    """A store with a set of descriptions; returns its folder."""
    source = folder / f"{name}.jsonl"
    lines = [json.dumps({"item_id": key, "text": text}) for key, text in answers.items()]
    source.write_text("\n".join(lines) + "\n", "utf-8")
    store = folder / "features"
    (report,) = extract(source, "said", store=store, name=name, catalogue=catalogue)
    assert report.stored == len(answers)
    return store


def attributes(
    store: Path, name: str = "described", outputs: tuple[str, ...] = BOTH, **settings: object
) -> object:
    """Fuse slots with vectors of letters; options by name, other settings as they are."""
    known = {"fit_from", "name", "variant", "stop", "observer"}
    rest = {key: value for key, value in settings.items() if key in known}
    options = {key: value for key, value in settings.items() if key not in known}
    return fuse(
        [f"{name}:{output}" for output in outputs],
        "lvlm/slots",
        store=store,
        options={**LETTERS, **options},
        **rest,
    )


def ones(store: Path, name: str) -> dict[str, list[str]]:
    """Each key and the names of the columns in which it has a one; all others are zero."""
    from ducho_lvlm.slots import column_names

    features = Store(store).open(name)
    names = column_names(features)
    keys, values = features.to_numpy()
    assert values.shape[1] == len(names) == len(set(names))
    assert set(np.unique(values)) <= {0.0, 1.0}
    return {
        key: [name for name, value in zip(names, row, strict=True) if value]
        for key, row in zip(keys["item_id"].to_pylist(), values, strict=True)
    }
