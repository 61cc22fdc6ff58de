"""Further families against Transformers, unbatched and without a cache."""

from __future__ import annotations

import families_kit as families
import lvlm_kit as kit
import pytest

WAYS = ("eos", "answer_last", "mean_answer", "last", "mean_image", "mean_prompt")
INSTRUCTION = "describe this item in at most 30 words for the title"
SHOWN = slice(0, 4)
# One window or both ways of reading: what comes later changes what came first.
REREAD = ("gemma3", "paligemma")


class Library(kit.Library):
    """Transformers, with what these families need beside."""

    def inputs(self, text, image, **order):
        if self.model.config.model_type == "paligemma":
            made = self.processor(text=[f"<image>{text}"], images=[image], return_tensors="pt")
            return {key: value for key, value in made.items() if key != "labels"}
        return super().inputs(text, image, **order)

    def states(self, inputs, answer):
        types = inputs.get("token_type_ids")
        if types is not None:
            # What is answered is read from left to right.
            fill = 1 if self.model.config.model_type == "paligemma" else 0
            tail = types.new_full((1, len(answer)), fill)
            inputs = {**inputs, "token_type_ids": kit.torch.cat([types, tail], 1)}
        return super().states(inputs, answer)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    done = {}

    def get(name):
        if name not in done:
            done[name] = families.build(name, folder)
        return done[name]

    return get


@pytest.mark.parametrize("name", families.BUILDERS)
def test_as_transformers_computes_it(built, tmp_path, name):
    prompt = tmp_path / "plain.toml"
    first = name == "paligemma"  # its images stand before all texts
    order = "image_first" if first else "text_first"
    prompt.write_text(f'instruction = "{INSTRUCTION}"\norder = "{order}"\n')
    theirs = Library(built(name))
    wanted = [
        theirs.reference(INSTRUCTION, one, 5, image_first=first) for one in kit.pictures()[SHOWN]
    ]
    options = {
        "prompt": [str(prompt)],
        "max_new_tokens": 5,
        "embeddings": list(WAYS),
        **({"chat_template": families.BARE} if first else {}),
    }
    for reuse in (True, False):
        extractor = kit.load(built(name), ["image"], prefix_cache=reuse, **options)
        shared = extractor.circumstances["prefix_tokens"]
        assert bool(shared) is (reuse and name not in REREAD)
        for size, places in ((1, None), (4, [2, 0, 3, 1])):
            found = kit.extract(extractor, kit.items("image")[SHOWN], size=size, order=places)
            for way in WAYS:
                distance = kit.far(found[way], [one[way] for one in wanted])
                assert distance <= 1e-4, (reuse, size, way)
            assert found["description"] == [one["description"] for one in wanted]
