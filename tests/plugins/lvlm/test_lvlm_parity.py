"""Every number against Transformers, unbatched and without a cache."""

from __future__ import annotations

import lvlm_kit as kit
import numpy as np
import pytest

from ducho_core import Media

WAYS = ("eos", "answer_last", "mean_answer", "last", "mean_image", "mean_prompt")
MOST = 6
INSTRUCTION = "describe this item in at most 30 words for the title category brand"


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "plain.toml"
    path.write_text(f'instruction = "{INSTRUCTION}"\norder = "text_first"\n')
    return str(path)


def settings(prompt, **more):
    return {"prompt": [prompt], "max_new_tokens": MOST, "embeddings": list(WAYS), **more}


def references(library, ways, texts, pictures, layer=-1):
    found = [
        library.reference(text, picture, MOST, layer, image_first=False)
        for text, picture in zip(texts, pictures, strict=True)
    ]
    return {way: [one[way] for one in found] for way in ways}


@pytest.mark.parametrize("name", kit.SEEING)
def test_image_prompts_in_every_batch(model, library, prompt, name):
    pictures = kit.pictures()
    wanted = references(
        library(name),
        (*WAYS, "description", "complete", "tokens"),
        [INSTRUCTION] * len(pictures),
        pictures,
    )
    for reuse in (True, False):
        extractor = kit.load(model(name), ["image"], prefix_cache=reuse, **settings(prompt))
        heard = kit.said(extractor)
        shared = extractor.circumstances["prefix_tokens"]
        assert (shared.get("plain", 0) > 10) is reuse
        for size, order in ((1, None), (2, None), (4, [3, 1, 5, 0, 2, 4]), (6, None)):
            heard.clear()
            found = kit.extract(extractor, kit.items("image"), size=size, order=order)
            assert heard == [wanted["tokens"][at] for at in order or range(len(pictures))]
            for way in WAYS:
                assert kit.far(found[way], wanted[way]) <= 1e-4, (reuse, size, way)
            assert found["description"] == wanted["description"]
            assert found["complete"] == wanted["complete"]


def test_answers_end_by_themselves_and_are_cut(model, library, prompt):
    """Else the tests above would say nothing about one of the two."""
    pictures, texts = kit.pictures(), [INSTRUCTION] * 6
    ended = {
        one
        for name in (*kit.SEEING, "llama")
        for one in references(
            library(name),
            ["complete"],
            texts if name != "llama" else [f"{INSTRUCTION}\nTitle: {one}" for one in kit.TITLES],
            pictures if name != "llama" else [None] * 6,
        )["complete"]
    }
    assert ended == {True, False}


@pytest.mark.parametrize("name", ["qwen2vl", "llama"])
def test_texts_and_layers(model, library, prompt, name):
    ways = [way for way in WAYS if way != "mean_image"]
    texts = [f"{INSTRUCTION}\nTitle: {title}" for title in kit.TITLES]
    extractor = kit.load(
        model(name), ["title"], **{**settings(prompt), "embeddings": ways, "layers": [1, -2, -1]}
    )
    assert extractor.circumstances["prefix_tokens"]["plain"] > 10
    for size in (1, 4):
        found = kit.extract(extractor, kit.items("title"), size=size)
        for layer in (1, 2, 3):
            wanted = references(library(name), ways, texts, [None] * len(texts), layer)
            for way in ways:
                assert kit.far(found[f"layer{layer}_{way}"], wanted[way]) <= 1e-4, (layer, way)


@pytest.mark.parametrize("name", kit.SEEING)
def test_both_inputs_and_several_prompts_look_once(model, library, prompt, name):
    extractor = kit.load(
        model(name), ["image", "title"], **{**settings(prompt), "prompt": [prompt, "describe"]}
    )
    looked = []
    base = extractor._network.base
    towers = [one for one in ("visual", "vision_tower", "vision_model") if hasattr(base, one)]
    getattr(base, towers[0]).register_forward_hook(lambda *args: looked.append(1))
    found = kit.extract(extractor, kit.items("image", "title"))
    assert looked == [1]
    texts = [f"{INSTRUCTION}\nTitle: {title}" for title in kit.TITLES]
    wanted = references(library(name), WAYS, texts, kit.pictures())
    for way in WAYS:
        assert kit.far(found[f"plain.{way}"], wanted[way]) <= 1e-4, way
    assert {one.name for one in extractor.outputs} == set(found)
    assert not np.allclose(found["plain.last"], found["describe.last"])


def test_repetition_penalty_of_the_model(model, library, prompt):
    extractor = kit.load(
        model("llava"), ["image"], **settings(prompt, repetition_penalty=1.7, max_new_tokens=12)
    )
    found = kit.extract(extractor, kit.items("image"), size=4)
    theirs = library("llava")
    for at, picture in enumerate(kit.pictures()):
        inputs = theirs.inputs(INSTRUCTION, picture, image_first=False)
        said = theirs.generate(inputs, 12, repetition_penalty=1.7)
        plain = theirs.generate(inputs, 12)
        assert said != plain
        assert (
            found["description"][at]
            == theirs.tokenizer.decode(said, skip_special_tokens=True).strip()
        )


def test_no_head_where_only_states_are_wanted(model, prompt):
    extractor = kit.load(
        model("qwen2vl"),
        ["image"],
        **{**settings(prompt), "embeddings": ["last", "mean_image"], "descriptions": False},
    )
    ran = []
    extractor._network.model.lm_head.register_forward_hook(lambda *a: ran.append(1))
    kit.extract(extractor, kit.items("image"))
    assert not ran


@pytest.mark.parametrize("name", kit.SEEING)
def test_several_images_in_one_prompt(model, library, prompt, name):
    """``--slots joint``: as Transformers does with all of them in one message."""
    shown = kit.pictures()
    several = [[shown[0], shown[1]], [shown[2]], [shown[3], shown[4], shown[5]], [shown[1]]]
    titles = kit.TITLES[:4]
    texts = [f"{INSTRUCTION}\nTitle: {title}" for title in titles]
    wanted = references(library(name), (*WAYS, "description"), texts, several)
    given = [
        {"image": tuple(Media(kit.encoded(one)) for one in images), "title": (title,)}
        for images, title in zip(several, titles, strict=True)
    ]
    extractor = kit.load(model(name), ["image", "title"], joint=True, **settings(prompt))
    for size, order in ((1, None), (4, [2, 0, 3, 1])):
        found = kit.extract(extractor, given, size=size, order=order)
        for way in WAYS:
            assert kit.far(found[way], wanted[way]) <= 1e-4, (size, way)
        assert found["description"] == wanted["description"]


def test_more_images_than_wanted_are_counted(model, prompt):
    shown = [Media(kit.encoded(one)) for one in kit.pictures()]
    extractor = kit.load(model("qwen2vl"), ["image"], joint=True, **settings(prompt, max_images=2))
    (all_of_them,) = extractor.prepare_many([{"image": tuple(shown)}])
    (first_two,) = extractor.prepare_many([{"image": tuple(shown[:2])}])
    assert (all_of_them.notes, first_two.notes) == (("images_left_out",), ())
    found = extractor.extract([all_of_them, first_two])["last"]
    assert np.array_equal(found[0], found[1])


def test_several_texts_of_an_item_are_lines(model, prompt):
    extractor = kit.load(
        model("llama"),
        ["title"],
        joint=True,
        **settings(prompt)
        | {
            "embeddings": ["last"],
            "descriptions": False,
        },
    )
    samples = extractor.prepare_many([{"title": ("red", "shoe")}, {"title": ("red\nshoe",)}])
    found = extractor.extract(samples)["last"]
    assert np.allclose(found[0], found[1], atol=1e-5)
