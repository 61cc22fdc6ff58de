"""SPECs: canonical form, fingerprints, folders, and what a store refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ducho_core.errors import (
    CorruptionError,
    SetNotFoundError,
    SpecMismatchError,
    StoreError,
    UsageError,
)
from ducho_core.store import Store
from ducho_core.store import spec as specs
from tests.core.store_samples import CAPTION, fill, make_spec

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half of a surrogate pair is no text.
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("aé😀", max_size=3), inner),
    max_leaves=12,
)


def test_a_fingerprint_never_changes():
    # Whoever changes this number makes every existing feature set unreachable.
    assert specs.fingerprint(make_spec()) == (
        "3e6623ca6b3e4053478560cff3e4f3ffdf6f88d4def68d68c91c5cd21b056c93"
    )


def test_the_canonical_form_is_exact():
    value = {"b": 1, "a": [1.0, True, None, "é\n"], "ä": {}, "B": -0.0}
    text = '{"B":-0.0,"a":[1.0,true,null,"é\\n"],"b":1,"ä":{}}'
    assert specs.canonical_json(value) == text.encode()


@given(JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_canonical_json_keeps_the_value_and_forgets_the_order(value):
    text = specs.canonical_json(value)
    again = json.loads(text)
    assert again == value
    assert specs.canonical_json(again) == text
    if isinstance(value, dict):
        assert specs.canonical_json(dict(reversed(value.items()))) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, b"x", {1}, np.float32(1)])
def test_what_json_cannot_hold_is_refused_with_its_place(value):
    with pytest.raises(StoreError, match=r"options"):
        specs.fingerprint({"options": value})


def test_text_that_is_no_unicode_is_refused():
    with pytest.raises(StoreError, match="Unicode"):
        specs.fingerprint({"options": "\ud800"})


def test_fingerprints_do_not_depend_on_the_process():
    code = (
        "import json, sys; from ducho_core.store.spec import fingerprint;"
        "print(fingerprint(json.loads(sys.argv[1])))"
    )
    spec = make_spec(options={"layers": ["a", "b"], "rate": 0.1})
    for seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(dict(reversed(spec.items())))],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == specs.fingerprint(spec)


def test_every_field_of_a_spec_changes_the_fingerprint():
    base = make_spec(options={"x": 1})
    changed = [
        make_spec(options={"x": 1.0}),
        make_spec(options={"x": "1"}),
        make_spec(options={"x": True}),
        make_spec(options={"x": 1}, dim=9),
        make_spec(options={"x": 1}, keys=["item_id", "slot"]),
        make_spec(options={"x": 1}, stored_dtype="float16"),
        make_spec(options={"x": 1}, catalogue="other"),
        make_spec(options={"x": 1}, revision=1),
        make_spec(options={"x": 1}, variant="again"),
        make_spec(options={"x": 1}, label="other"),
        {**base, "precision": {"tf32": True}},
        {**base, "slots": "first"},
    ]
    assert len({specs.fingerprint(one) for one in [base, *changed]}) == 1 + len(changed)


def test_settings_compare_work_on_other_catalogues():
    ours, theirs = make_spec(), make_spec(catalogue="theirs", revision=3, variant="b")
    assert specs.settings_sha256(ours) == specs.settings_sha256(theirs)
    assert specs.settings_sha256(ours) != specs.settings_sha256(make_spec(dim=9))


def test_the_folder_tells_catalogue_inputs_model_and_fingerprint(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(label="ResNet 50.a1_in1k!"))
    fp12 = writer.fingerprint[:12]
    assert writer.path == tmp_path / f"s/main/text/core-hash-resnet-50-a1-in1k-{fp12}"
    content = (writer.path / "SPEC.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == writer.fingerprint
    assert specs.slug(make_spec(label="x" * 200)) == ("core-hash-" + "x" * 200)[:48]


@pytest.mark.parametrize(
    ("inputs", "requires", "keys", "name"),
    [
        (["image"], [], ["item_id"], "image"),
        (["text", "image"], [], ["item_id", "slot"], "image-text"),
        (["text", "image"], ["text"], ["item_id"], "text"),
        (["text"], [], ["user_id", "item_id"], "text-interactions"),
        (["text"], [], ["user_id"], "text-users"),
        ([], [], ["user_id", "slot"], "fused-users"),
        (["text", "image", "audio"], [], ["item_id"], "audio-image-text"),
    ],
)
def test_the_inputs_folder_names_what_rows_require(inputs, requires, keys, name):
    spec = make_spec(keys=keys)
    spec["inputs"] = [{"name": f"{one}", "modality": one} for one in inputs]
    spec["outputs"][0]["requires"] = requires
    assert specs.inputs_name(spec) == name


@pytest.mark.parametrize(
    "change",
    [
        {"keys": ["slot", "item_id"]},
        {"keys": ["slot"]},
        {"keys": []},
        {"keys": ["item_id", "user_id"]},
        {"stored_dtype": "float64"},
        {"outputs": []},
        {"outputs": [{**CAPTION, "name": "item_id"}]},
        {"outputs": [{**CAPTION, "name": "a:b"}]},
        {"outputs": [CAPTION, CAPTION]},
        {"catalogue": {"name": "../up", "revision": 0}},
        {"catalogue": {"name": "names", "revision": 0}},
    ],
)
def test_a_spec_that_cannot_be_stored_is_refused(tmp_path, change):
    store = Store(tmp_path / "s", create=True)
    with pytest.raises((StoreError, UsageError)):
        store.create_set({**make_spec(), **change})
    assert store.sets() == []


def test_creating_a_set_twice_joins_it(tmp_path):
    store = Store(tmp_path / "s", create=True)
    assert store.create_set(make_spec()).path == store.create_set(make_spec()).path
    assert store.find(specs.fingerprint(make_spec())) is not None
    assert store.find("0" * 64) is None


def test_a_changed_spec_file_is_damage(tmp_path):
    writer = fill(tmp_path / "s", name="n")
    path = writer.path / "SPEC.json"
    path.write_bytes(path.read_bytes().replace(b'"variant":""', b'"variant":"b"'))
    with pytest.raises(CorruptionError, match=r"SPEC\.json"):
        Store(tmp_path / "s").open(writer.path.name)


def test_one_damaged_set_does_not_hide_the_others(tmp_path):
    damaged = fill(tmp_path / "s", variant="a")
    fill(tmp_path / "s", name="good", dim=9)
    (damaged.path / "SPEC.json").write_text("{")
    assert len(Store(tmp_path / "s").open("good")) == 57


# stores


def test_what_is_no_store_is_said(tmp_path):
    with pytest.raises(StoreError, match="no feature store"):
        Store(tmp_path)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(StoreError, match="other things"):
        Store(tmp_path, create=True)
    assert sorted(os.listdir(tmp_path)) == ["photo.jpg"]


@pytest.mark.parametrize(
    "content", ['{"format":"ducho-store","version":"2.0"}', '{"format":"x","version":"1.0"}']
)
def test_an_unknown_format_is_refused(tmp_path, content):
    Store(tmp_path / "s", create=True)
    (tmp_path / "s/STORE.json").write_text(content)
    for create in (False, True):
        with pytest.raises(StoreError, match="has the format"):
            Store(tmp_path / "s", create=create)


def test_a_newer_minor_version_is_read(tmp_path):
    Store(tmp_path / "s", create=True)
    (tmp_path / "s/STORE.json").write_text('{"format":"ducho-store","version":"1.7"}')
    assert Store(tmp_path / "s").sets() == []


# names


def test_a_name_is_bound_once(tmp_path):
    store = Store(tmp_path / "s", create=True)
    first = store.create_set(make_spec(options={"rate": 1}))
    second = store.create_set(make_spec(options={"rate": 2}))
    store.bind_name("mine", first.fingerprint)
    store.bind_name("mine", first.fingerprint)
    with pytest.raises(SpecMismatchError, match=r"options\.rate: 1 → 2"):
        store.bind_name("mine", second.fingerprint)
    assert store.open("mine").fingerprint == first.fingerprint


def test_a_name_stays_with_the_revisions_of_its_set(tmp_path):
    store = Store(tmp_path / "s", create=True)
    first, second = (store.create_set(make_spec(revision=number)) for number in (0, 1))
    store.bind_name("mine", first.fingerprint)
    store.bind_name("mine", second.fingerprint)
    assert store.names() == {"mine": first.fingerprint}


@pytest.mark.parametrize("name", ["../x", "A", "", ".x", "a/b", "x" * 101, "é"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    store = Store(tmp_path / "s", create=True)
    with pytest.raises(UsageError, match="cannot name"):
        store.bind_name(name, "0" * 64)


def test_a_set_answers_to_its_names(tmp_path):
    writer = fill(tmp_path / "s", name="mine")
    store = Store(tmp_path / "s")
    names = ["mine", writer.slug, writer.path.name, "core-h", writer.fingerprint]
    for name in [*names, writer.fingerprint[:4]]:
        assert store.open(name).path == writer.path
    assert store.open("mine:embedding").output == "embedding"
    with pytest.raises(UsageError, match="it has embedding"):
        store.open("mine:caption")


def test_a_word_that_may_mean_several_sets_lists_them(tmp_path):
    first, second = fill(tmp_path / "s", variant="a"), fill(tmp_path / "s", variant="b")
    with pytest.raises(SetNotFoundError) as caught:
        Store(tmp_path / "s").open("core-hash")
    assert first.path.name in str(caught.value)
    assert second.path.name in str(caught.value)


def test_an_unknown_set_gets_a_proposal_and_the_list(tmp_path):
    writer = fill(tmp_path / "s", name="titles")
    with pytest.raises(SetNotFoundError, match="Did you mean 'titles'") as caught:
        Store(tmp_path / "s").open("title")
    assert writer.path.name in str(caught.value)
    with pytest.raises(SetNotFoundError):
        Store(tmp_path / "s").open(writer.fingerprint[:3])  # too short to be safe


def test_of_many_sets_the_first_twenty_are_listed(tmp_path):
    store = Store(tmp_path / "s", create=True)
    for number in range(23):
        store.create_set(make_spec(options={"seed": number}), name=f"set-{number}")
    with pytest.raises(SetNotFoundError, match="and 3 more: ducho store ls") as caught:
        store.open("nothing")
    assert str(caught.value).count("catalogue main") == 20


def test_a_bare_name_opens_the_newest_complete_revision(tmp_path):
    store = Store(tmp_path / "s", create=True)
    first = fill(tmp_path / "s", name="mine", revision=0)
    second = fill(tmp_path / "s", revision=1)
    unfinished = store.create_set(make_spec(revision=2))
    assert store.open("mine").path == second.path
    assert store.open(first.slug).path == second.path
    assert store.open(first.path.name).path == first.path
    assert store.open(unfinished.path.name).path == unfinished.path
