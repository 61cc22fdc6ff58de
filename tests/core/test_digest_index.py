"""The index of key digests against a plain dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ducho_core.extraction.digest_index import DigestIndex

# Few values, so that first halves collide, which real digests hardly ever do.
PAIRS = st.tuples(st.integers(0, 3), st.integers(0, 3))
ROUNDS = st.lists(st.lists(st.tuples(PAIRS, st.integers(-9, 9)), max_size=8), max_size=8)


def digests(pairs):
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


@given(rounds=ROUNDS, asked=st.lists(PAIRS, max_size=16))
def test_the_index_finds_what_a_dict_finds(rounds, asked):
    index, expected = DigestIndex(), {}
    for entries in rounds:
        index.add(
            digests([pair for pair, _ in entries]),
            np.array([value for _, value in entries], dtype=np.int64),
        )
        expected.update(dict(entries))
    found, values = index.find(digests(asked))
    assert found.tolist() == [pair in expected for pair in asked]
    assert values.tolist() == [expected.get(pair, 0) for pair in asked]
