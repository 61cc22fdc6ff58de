"""Feature sets as sources of texts."""

from __future__ import annotations

import pytest

from ducho_core.catalogue import Binding
from ducho_core.errors import SetNotFoundError, SourceError, UsageError
from ducho_core.loaders.features import SetLoader
from ducho_core.loaders.options import SetOptions
from ducho_core.store import Store
from tests.core.loader_samples import rows
from tests.core.store_samples import CAPTION, fill, make_spec, plan_of, rows_of

EMBEDDING = make_spec()["outputs"][0]


def open_set(store, source, **binding):
    binding.setdefault("accepts", ("text",))
    return SetLoader.open(source, Binding(**binding), SetOptions(store=str(store)))


@pytest.fixture
def captions(tmp_path):
    """A store with the set ``captions``: an embedding and a text, some texts null."""
    store = Store(tmp_path, create=True)
    spec = make_spec(outputs=[EMBEDDING, CAPTION], keys=("user_id", "item_id", "slot"))
    writer = store.create_set(spec, name="captions")
    keys = [("u", f"i{at}", "0") for at in range(20)]
    assert writer.commit_plan(0, plan_of(writer, [keys]))
    assert writer.commit_chunk(0, 0, rows_of(writer, keys), None, "run")
    return tmp_path


@pytest.mark.parametrize("source", ["set:captions", "set:captions:caption"])
def test_keys_and_texts_are_carried_over(captions, source):
    loader = open_set(captions, source)
    assert loader.keys == ("user_id", "item_id", "slot")
    assert loader.root is None
    found = rows(loader)
    assert found[0] == {"user_id": "u", "item_id": "i0", "slot": "0", "text": None}
    assert found[10] == {
        "user_id": "u",
        "item_id": "i10",
        "slot": "0",
        "text": "about u\x1fi10\x1f0",
    }
    table = Store(captions).open("captions:caption")
    stored = [text for batch in table.batches() for text in batch.column("caption").to_pylist()]
    assert [row["text"] for row in found] == stored


def test_what_the_set_is_enters_the_spec(captions):
    loader = open_set(captions, "set:captions:caption")
    features = Store(captions).open("captions")
    assert dict(loader.identity) == {"set": features.fingerprint, "output": "caption"}
    assert loader.inputs[0].columns == ("caption",)


def test_a_template_over_outputs_and_keys(captions):
    loader = open_set(captions, "set:captions", texts=((None, "{item_id}: {caption}"),))
    assert rows(loader)[10]["text"] == "i10: about u\x1fi10\x1f0"


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("set:captions:embedding", UsageError, "is an embedding.*set:captions:caption"),
        ("set:captions:captoin", UsageError, "did you mean 'caption'"),
        ("set:gone", SetNotFoundError, "gone"),
        ("set:", UsageError, "set:NAME:OUTPUT"),
    ],
)
def test_a_wrong_output_is_explained(captions, source, error, words):
    with pytest.raises(error, match=words):
        open_set(captions, source)


def test_a_set_without_texts_and_one_with_several(tmp_path):
    fill(tmp_path, name="plain", chunks=1)
    with pytest.raises(SourceError, match="holds no texts"):
        open_set(tmp_path, "set:plain")
    fill(tmp_path, name="two", chunks=1, outputs=[CAPTION, {**CAPTION, "name": "tags"}])
    with pytest.raises(UsageError, match="set:two:caption or set:two:tags"):
        open_set(tmp_path, "set:two")


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ({"keys": ("item_id",)}, "leave out --key"),
        ({"image": "x", "accepts": ("image", "text")}, "leave out --image"),
        ({"accepts": ("image",)}, "takes image"),
    ],
)
def test_flags_that_do_not_fit_are_refused(captions, binding, words):
    with pytest.raises(UsageError, match=words):
        open_set(captions, "set:captions", **binding)
