"""Slots of descriptions as one-hot attributes, through the store."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from ducho_lvlm.slots import column_names, read_mappings

from ducho_core import OptionError, Store, StoreError, UsageError, fuse
from ducho_core.errors import PluginNotFoundError
from ducho_core.fusion import joined
from ducho_core.store.verify import verify_set
from tests.core.set_samples import tree
from tests.plugins.lvlm.slots_kit import (
    BOTH,
    LETTERS,
    answer,
    attributes,
    describe,
    ones,
    said,
)

__all__ = ["said"]
pytestmark = pytest.mark.usefixtures("said")

ANSWERS = {
    "a": answer("Red", "Cotton"),
    "b": answer("reds.", "cottons"),
    "c": answer("blue", None),
    "d": answer(None, "wooden toys"),
    "e": answer("RED", "wooden toy"),
    "f": "no slot at all",
    "g": answer("...", "Other"),
    "h": answer("red colour", "cotton"),
}


def sound(store: Path, name: str):
    opened = Store(store).open(name)
    checked = verify_set(store, opened.path, read_data=True)
    assert (checked.problems, checked.pending) == ((), 0)
    return opened


def test_a_column_for_each_meaning_and_one_for_other_and_missing(tmp_path):
    store = describe(tmp_path, ANSWERS)
    report = attributes(store)
    opened = sound(store, report.name)
    assert column_names(opened) == (
        *("color=red", "color=blue", "color=red colour", "color:other", "color:missing"),
        *("material=cotton", "material=wooden toy", "material=other"),
        *("material:other", "material:missing"),
    )
    assert ones(store, report.name) == {
        "a": ["color=red", "material=cotton"],
        "b": ["color=red", "material=cotton"],
        "c": ["color=blue", "material:missing"],
        "d": ["color:missing", "material=wooden toy"],
        "e": ["color=red", "material=wooden toy"],
        "f": ["color:missing", "material:missing"],
        "g": ["color:missing", "material=other"],
        "h": ["color=red colour", "material=cotton"],
    }
    assert (report.stored, report.dims) == (8, {"embedding": 10})


def test_values_that_are_near_share_the_column_of_the_most_frequent(tmp_path):
    store = describe(tmp_path, ANSWERS)
    report = attributes(store, threshold=0.7)
    (colors, _materials) = read_mappings(Store(store).open(report.name))
    assert [(one.value, one.count, one.members) for one in colors.clusters] == [
        ("red", 4, ("red", "red colour")),
        ("blue", 1, ("blue",)),
    ]
    assert ones(store, report.name)["h"] == ["color=red", "material=cotton"]


def test_what_has_no_column_is_other_and_what_is_not_said_never_is(tmp_path):
    store = describe(tmp_path, ANSWERS)
    made = ones(store, attributes(store, top=1, flag_missing=False).name)
    assert made == {
        "a": ["color=red", "material=cotton"],
        "b": ["color=red", "material=cotton"],
        "c": ["color:other"],
        "d": ["material:other"],
        "e": ["color=red", "material:other"],
        "f": [],
        "g": ["material:other"],
        "h": ["color:other", "material=cotton"],
    }


def test_slots_without_any_value_have_columns_too(tmp_path):
    store = describe(tmp_path, {"a": "nothing", "b": answer("...")})
    report = attributes(store)
    assert ones(store, report.name) == {key: ["color:missing", "material:missing"] for key in "ab"}


def test_the_order_of_rows_and_chunks_changes_nothing(tmp_path, monkeypatch):
    words = ["red", "reds", "dark red", "blue", "navy blue", "green", "greenish", None, "teal"]
    random = np.random.default_rng(0)
    answers = {
        f"i{number}": answer(words[random.integers(9)], words[random.integers(9)])
        for number in range(60)
    }
    orders = [list(answers), list(answers)[::-1], random.permutation(list(answers)).tolist()]
    fits, rows = set(), []
    for number, (order, block) in enumerate(zip(orders, (1000, 7, 1), strict=True)):
        monkeypatch.setattr(joined, "block_rows", lambda dims, size=block: size)
        folder = tmp_path / str(number)
        folder.mkdir()
        store = describe(folder, {key: answers[key] for key in order})
        report = attributes(store, top=3)
        fits.add(report.fit)
        rows.append(ones(store, report.name))
    assert len(fits) == 1
    assert rows[0] == rows[1] == rows[2]


def test_the_same_again_does_nothing_and_writes_nothing(tmp_path):
    from ducho_said.parts import Letters

    store = describe(tmp_path, ANSWERS)
    attributes(store, name="described")
    before, loads = tree(store), Letters.loads
    again = attributes(store, name="described")
    assert (again.stored, again.skipped, again.fit_reused) == (0, 8, True)
    assert (tree(store), Letters.loads) == (before, loads)


def test_stopped_in_the_middle_it_goes_on(tmp_path, monkeypatch):
    from ducho_core.extraction.session import Silent

    monkeypatch.setattr(joined, "block_rows", lambda dims: 2)
    store = describe(tmp_path, ANSWERS)
    stop = threading.Event()

    class Stopping(Silent):
        def advanced(self, items):
            stop.set()

    first = attributes(store, stop=stop, observer=Stopping())
    assert (first.stored, first.interrupted) == (2, True)
    second = attributes(store)
    assert (second.stored, second.skipped, second.fit_reused) == (6, 2, True)
    assert second.fingerprint == first.fingerprint
    sound(store, second.name)
    (tmp_path / "other").mkdir()
    other = describe(tmp_path / "other", ANSWERS)
    assert ones(store, second.name) == ones(other, attributes(other).name)


TOMORROW = {
    "x": answer("a red", "cottony"),
    "y": answer("violet", "Wooden Toys"),
    "z": answer(None, "other"),
    "w": answer("blues", "unusable text"),
}


def test_tomorrows_items_are_put_into_the_same_columns(tmp_path, monkeypatch):
    from ducho_said.parts import Letters

    monkeypatch.setattr(joined, "block_rows", lambda dims: 1)
    store = describe(tmp_path, ANSWERS)
    describe(tmp_path, TOMORROW, "tomorrow", catalogue="tomorrow")
    first = fuse_named(store, "described", "attributes")
    loads = Letters.loads
    second = fuse_named(store, "tomorrow", "later", fit_from="attributes")
    assert Letters.loads == loads + 1
    assert (second.fit, second.fit_reused) == (first.fit, True)
    opened = Store(store)
    assert column_names(opened.open("later")) == column_names(opened.open("attributes"))
    assert ones(store, "later") == {
        "x": ["color=red", "material=cotton"],
        "y": ["color:other", "material=wooden toy"],
        "z": ["color:missing", "material=other"],
        "w": ["color=blue", "material:other"],
    }
    assert ones(
        store, fuse_named(store, "described", "again", fit_from="attributes").name
    ) == ones(store, "attributes")


def fuse_named(store, source, name, outputs=BOTH, **settings):
    options = {**LETTERS, "threshold": 0.5, **settings.pop("options", {})}
    return fuse(
        [f"{source}:{output}" for output in outputs],
        "lvlm/slots",
        store=store,
        name=name,
        options=options,
        **settings,
    )


def test_a_mapping_for_something_else_is_refused(tmp_path):
    store = describe(tmp_path, ANSWERS)
    fuse_named(store, "described", "attributes")
    with pytest.raises(UsageError, match="the mapping is for slot_color, slot_material, not for"):
        fuse_named(store, "described", None, BOTH[::-1], fit_from="attributes")
    options = {"text_options": ["dim=32"]}
    with pytest.raises(UsageError, match="made with another text extractor"):
        fuse_named(store, "described", None, fit_from="attributes", options=options)
    with pytest.raises(UsageError, match="fitted with another options"):
        fuse_named(store, "described", None, fit_from="attributes", options={"top": 2})


def test_the_extractor_of_the_vectors_is_told_in_the_spec_without_a_path(tmp_path):
    store = describe(tmp_path, ANSWERS)
    model = str(tmp_path / "my-model")
    report = attributes(store, text_options=[f"model={model}", "dim=32"])
    text = (Store(store).open(report.name).path / "SPEC.json").read_text("utf-8")
    spec = json.loads(text)
    assert spec["identity"]["text"] == {
        "extractor": "said/letters",
        "numerics": 1,
        "options": {"dim": 32, "model": "my-model"},
        "identity": {"letters": 3, "folder": "my-model", "padding": "space"},
        "precision": {},
        "output": "embedding",
    }
    assert str(tmp_path) not in text
    assert spec["options"]["text_options"] == []
    assert spec["derived"]["fit"] == report.fit
    assert report.fingerprint != attributes(store, text_options=["dim=32"]).fingerprint


def test_the_spec_is_the_one_that_was_agreed(tmp_path):
    store = describe(tmp_path, ANSWERS)
    spec = dict(Store(store).open(attributes(store).name).spec)
    spec["identity"]["spelling"]["lemmas"] = "simplemma VERSION"
    assert len(spec["derived"]["fit"]) == 64
    spec["derived"]["fit"] = "SHA256"
    golden = Path(__file__).parent / "golden_slots.json"
    assert spec == json.loads(golden.read_text("utf-8"))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"text_plugin": "said/pictures"}, UsageError, "said/pictures takes no texts"),
        ({"text_plugin": "said/twice"}, UsageError, "gives the embeddings one, two: say which"),
        ({"text_output": "three"}, UsageError, "gives the embeddings embedding: say which"),
        ({"text_plugin": "nobody"}, PluginNotFoundError, "nobody"),
        ({"text_options": ["dim"]}, OptionError, "key=value"),
        ({"text_options": ["size=3"]}, OptionError, "size"),
        ({"language": "xx"}, OptionError, "simplemma has no lemmas"),
        ({"threshold": 0.0}, OptionError, "threshold"),
        ({"outputs": ("slot_color", "slot_color")}, UsageError, "2 inputs would make columns"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    tmp_path, wrong, error, message
):
    store = describe(tmp_path, ANSWERS)
    before = tree(store)
    with pytest.raises(error, match=message):
        attributes(store, **wrong)
    assert {path for path in tree(store) if "/tmp" not in str(path)} == {
        path for path in before if "/tmp" not in str(path)
    }


def test_one_of_several_embeddings_can_be_named(tmp_path):
    store = describe(tmp_path, ANSWERS)
    both = attributes(store, text_plugin="said/twice", text_output="two", name="described")
    made = ones(store, both.name)
    assert made == ones(store, attributes(store).name)


def test_a_value_that_has_no_vector_is_a_meaning_of_its_own(tmp_path):
    from ducho_said.parts import Letters

    words = ["red", "reds", "unusable", "unusable", "too late", "enormous violet", "red"]
    store = describe(tmp_path, {f"i{at}": answer(word) for at, word in enumerate(words)})
    report = attributes(store, outputs=("slot_color",))
    assert sorted(column_names(Store(store).open(report.name))) == [
        *("color:missing", "color:other"),
        *("color=enormous violet", "color=red", "color=too late", "color=unusable"),
    ]
    assert Letters.largest <= 3


def test_what_is_remembered_is_bounded_and_changes_nothing(tmp_path, monkeypatch):
    from ducho_lvlm.slots import fuser

    monkeypatch.setattr(joined, "block_rows", lambda dims: 2)
    store = describe(tmp_path, ANSWERS)
    expected = ones(store, attributes(store).name)
    monkeypatch.setattr(fuser, "_REMEMBERED", 0)
    assert ones(store, attributes(store, variant="again").name) == expected


def test_a_damaged_mapping_is_found(tmp_path):
    store = describe(tmp_path, ANSWERS)
    opened = Store(store).open(attributes(store).name)
    path = opened.path / "fit" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match="damaged"):
        read_mappings(opened)
    path.unlink()
    with pytest.raises(StoreError, match="cannot read"):
        column_names(opened)
    with pytest.raises(UsageError, match="was not made by `ducho lvlm slots`"):
        read_mappings(Store(store).open("described"))
