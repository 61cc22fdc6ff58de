"""Joining: every key once, found again, whatever the sizes and orders of the sets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ducho_core import Store
from ducho_core.errors import CorruptionError
from ducho_core.fusion import join as joining
from ducho_core.fusion.inputs import open_inputs
from ducho_core.fusion.join import Join
from tests.core.set_samples import put_set, unsynced, vectors_for

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "s"


def joined(store, **sets):
    for name, keys in sets.items():
        put_set(store, name, keys, vectors_for(keys, 2), chunk=5)
    return Join(open_inputs(Store(store), list(sets)))


def test_every_key_has_its_row_of_every_set(store):
    draw = np.random.default_rng(7)
    universe = [f"key-{number}" for number in range(60)]
    sets = {
        name: [universe[at] for at in draw.permutation(60)[: draw.integers(20, 60)]]
        for name in ("one", "two", "three")
    }
    join = joined(store, **sets)
    every = list(dict.fromkeys(key for keys in sets.values() for key in keys))
    assert join.key_batch(np.arange(len(join)))["item_id"].to_pylist() == every
    for rows, keys in zip(join.rows, sets.values(), strict=True):
        assert [None if row < 0 else keys[row] for row in rows] == [
            key if key in keys else None for key in every
        ]
    keys = pa.table({"item_id": pa.array([*every[::-1], "none such"])})
    assert join.find(keys).tolist() == [*range(len(every))[::-1], -1]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_blocks_hold_the_keys_that_take_part_once_and_in_order(store, monkeypatch, size):
    monkeypatch.setattr(joining, "_BLOCK", 4)
    join = joined(store, one=[f"k{number}" for number in range(23)])
    join.kept[::3] = False
    blocks = list(join.blocks(size))
    assert np.concatenate(blocks).tolist() == [at for at in range(23) if at % 3]
    assert all(len(block) == size for block in blocks[:-1])


@pytest.mark.parametrize("repeated", ["one", "two"])
def test_a_key_in_two_rows_is_damage_and_not_a_silent_choice(store, repeated):
    keys = [f"k{number}" for number in range(8)]
    other = next(name for name in ("one", "two") if name != repeated)
    put_set(store, other, keys, vectors_for(keys, 2))
    twice = [*keys, "k3"]
    put_set(store, repeated, twice, vectors_for(twice, 2))
    with pytest.raises(CorruptionError, match=f"{repeated} has a key in more than one row"):
        Join(open_inputs(Store(store), ["one", "two"]))


def test_keys_that_agree_in_half_of_their_digest_are_told_apart(store, monkeypatch):
    real = joining.digest_keys

    def half(batch, keys):
        digests = real(batch, keys).copy()
        digests[:, 0] %= 3
        return digests

    monkeypatch.setattr(joining, "digest_keys", half)
    keys = [f"k{number}" for number in range(30)]
    join = joined(store, one=keys, two=keys[::-1])
    assert len(join) == 30
    assert join.rows[1].tolist() == list(range(30))[::-1]
