"""Further families against Transformers, unbatched and without a cache."""

from __future__ import annotations

import families_kit
import lvlm_kit as kit
import pytest

from ducho_core import UsageError

WAYS = ("eos", "answer_last", "mean_answer", "last", "mean_image", "mean_prompt")
MOST = 5
INSTRUCTION = "describe this item in at most 30 words for the title category brand"
PLAIN = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Folder of a tiny model of a further family."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("families")
    kit.BUILDERS.update(families_kit.FAMILIES)
    built = {}

    def get(name):
        if name not in built:
            built[name] = kit.build(name, folder)
        return built[name]

    return get


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "plain.toml"
    path.write_text(f'instruction = "{INSTRUCTION}"\norder = "text_first"\n')
    return str(path)


def held_against_transformers(folder, prompt, template=None):
    theirs = kit.Library(folder)
    if template is not None:
        theirs.processor.chat_template = template
    pictures = kit.pictures()
    texts = [f"{INSTRUCTION}\nTitle: {title}" for title in kit.TITLES]
    wanted = [
        theirs.reference(text, picture, MOST, image_first=False)
        for text, picture in zip(texts, pictures, strict=True)
    ]
    for reuse in (True, False):
        extractor = kit.load(
            folder,
            ["image", "title"],
            prompt=[prompt],
            max_new_tokens=MOST,
            embeddings=list(WAYS),
            prefix_cache=reuse,
            max_pixels=None,
            chat_template=template,
        )
        heard = kit.said(extractor)
        for size in (1, 4):
            heard.clear()
            found = kit.extract(extractor, kit.items("image", "title"), size=size)
            assert heard == [one["tokens"] for one in wanted], (reuse, size)
            for way in WAYS:
                gap = kit.far(found[way], [one[way] for one in wanted])
                assert gap <= 1e-4, (reuse, size, way)


@pytest.mark.parametrize("name", [one for one in families_kit.FAMILIES if one != "paligemma"])
def test_vectors_and_answers_are_those_of_transformers(family, prompt, name):
    held_against_transformers(family(name), prompt)


def test_a_model_without_a_chat_template_takes_one(family, prompt):
    held_against_transformers(family("paligemma"), prompt, PLAIN)


def test_a_model_without_a_chat_template_says_what_to_write(family):
    with pytest.raises(UsageError, match=r"no chat template.*chat_template=@FILE"):
        kit.load(family("paligemma"), ["image"])
