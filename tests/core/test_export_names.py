"""File names of keys: legible, safe, and never the same for two keys."""

from __future__ import annotations

import os
import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ducho_core.exporting.names import LONGEST, Names, part_name, plain_name
from tests.core.set_samples import HOSTILE

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
near = st.text(st.sampled_from("aAbBéÉe\u0301ßsSkK\u212a%4_./ "), max_size=4)


def folded(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_safe(name):
    assert name
    assert name not in (".", "..")
    assert len(name.encode()) <= LONGEST
    assert not re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', name)
    assert not name.startswith((".", " "))
    assert name.isprintable()


@pytest.mark.parametrize("key", ["B00ABC1234", "item-1", "a.1", "x_y", "日本", "é", "a b"])
def test_ordinary_ids_stay_what_they_are(key):
    assert Names([[key]], ".npy").name([key]) == f"{key}.npy"


def test_hostile_ids_get_safe_names_of_their_own():
    keys = [[key] for key in HOSTILE]
    names = Names(keys, ".npy")
    made = [names.name(key) for key in keys]
    for name in made:
        check_safe(name)
        assert os.path.basename(name) == name
    assert len({folded(name) for name in made}) == len(HOSTILE)


@given(st.lists(st.one_of(texts, near), unique=True, max_size=12))
def test_no_two_ids_share_a_file_even_where_case_and_form_are_not_told_apart(keys):
    names = Names([[key] for key in keys], ".npy")
    made = [names.name([key]) for key in keys]
    for key, name in zip(keys, made, strict=True):
        check_safe(name)
        if key and not name.startswith("%long-"):
            assert unquote(name.removesuffix(".npy"), errors="strict") == key
    assert len({folded(name) for name in made}) == len(keys)


@given(st.lists(st.tuples(near, near), unique=True, max_size=8))
def test_no_two_pairs_share_a_file(keys):
    names = Names(keys, ".npy")
    assert len({folded(names.name(key)) for key in keys}) == len(keys)


def test_a_review_is_called_like_user_and_item():
    names = Names([("u1", "i1")], ".npy")
    assert names.name(("u1", "i1")) == "u1__i1.npy"
    assert names.name(("u_", "_i")) == "u%5F__%5Fi.npy"


def test_the_name_does_not_depend_on_the_order_of_keys():
    keys = [["Ab"], ["ab"], ["c"]]
    one, two = Names(keys, ".npy"), Names(keys[::-1], ".npy")
    assert [one.name(key) for key in keys] == [two.name(key) for key in keys]
    assert [one.name(key) for key in keys] == ["%41b.npy", "ab.npy", "c.npy"]


@given(texts)
def test_a_folder_cannot_lead_anywhere_else(text):
    check_safe(part_name(text))


def test_a_long_name_is_a_digest():
    assert plain_name(["x" * 251], ".npy") == "x" * 251
    assert re.fullmatch(r"%long-[0-9a-f]{64}", plain_name(["x" * 252], ".npy"))
    assert re.fullmatch(r"%long-[0-9a-f]{64}", plain_name(["é" * 200], ".npy"))
