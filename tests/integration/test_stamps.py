"""Real items with pictures, titles and sounds, in one recipe."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from ducho_core import Store

RECIPE = """
store: features
source: {source}
root: {root}
extractions:
  - {{plugin: starter/image, image: image, name: pictures}}
  - {{plugin: starter/text, text: title, name: titles}}
  - {{plugin: starter/audio, audio: audio, name: sounds}}
"""


def test_items_without_a_sound_are_absent_and_lose_nothing_else(ducho, stamps, tmp_path: Path):
    if importlib.util.find_spec("ducho_starter") is None:
        pytest.skip("ducho-starter is not installed")
    source = stamps / "items.tsv"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(source=json.dumps(str(source)), root=json.dumps(str(stamps))))
    done = ducho("run", "recipe.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reports = {one["name"]: one for one in json.loads(done.stdout)}
    counts = {
        name: (one["stored"], one["absent"], sum(one["failed"].values()))
        for name, one in reports.items()
    }
    assert counts == {"pictures": (300, 0, 0), "titles": (300, 0, 0), "sounds": (90, 210, 0)}

    lines = source.read_text("utf-8").splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=False)) for line in lines[1:]]
    silent = {row["item_id"] for row in rows if not row.get("audio")}
    heard = Store(tmp_path / "features").open("sounds").to_numpy()[0]["item_id"].to_pylist()
    assert set(heard) == {row["item_id"] for row in rows} - silent
    assert len(silent) == 210

    again = ducho("run", "recipe.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("nothing to do, no model was loaded") == 3
