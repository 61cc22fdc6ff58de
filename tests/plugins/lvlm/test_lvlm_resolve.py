"""What resolve settles without building a network, what it refuses, and a whole run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import lvlm_kit as kit
import pytest
from ducho_lvlm import EmbedderExtractor
from ducho_lvlm.options import EmbedderOptions, LvlmRunOptions, PromptedOptions

from ducho_core import Store, UsageError, extract
from ducho_core.options import describe, spec_options

GOLDEN = Path(__file__).with_name("golden.json")
CASES = {
    "defaults": ("qwen2vl", ["image"], {}),
    "slots": (
        "idefics3",
        ["image", "title"],
        {"prompt": "clothing,word", "layers": "-1,0", "embeddings": "last,eos"},
    ),
    "study": ("llava", ["image"], {"prompt": "pets", "study": "yes"}),
    "texts": ("llama", ["title"], {"control": "random_weights", "decoding": "free"}),
    "embedder": ("qwen2vl", ["image", "title"], {"kind": EmbedderExtractor, "truncate_dim": "8"}),
}
DIGESTS = ("weights_sha256", "config_sha256", "tokenizer_sha256")


def settled(model, name):
    """What of a case enters the SPEC; digests of files that a library writes are left out."""
    kind, inputs, options = CASES[name]
    found, _ = kit.resolved(model(kind), inputs, precision="exact", **options)
    identity = {key: value for key, value in found.identity.items() if key not in DIGESTS}
    assert all(len(found.identity[key]) == 64 for key in DIGESTS[1:])
    return {
        "label": found.label,
        "identity": identity,
        "precision": dict(found.precision),
        "options": spec_options(found.options),
        "outputs": [[one.name, one.kind, one.dim, one.dtype] for one in found.outputs],
    }


def test_golden_spec(model):
    found = {name: settled(model, name) for name in CASES}
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())


def test_a_comma_in_the_prompt_makes_another_set(model, tmp_path):
    path = tmp_path / "mine.toml"
    seen = []
    for words in ("Say, what is it?", "Say what is it?"):
        path.write_text(f'instruction = "{words}"')
        found, _ = kit.resolved(model("llava"), ["image"], prompt=[str(path)])
        seen.append(found.identity["prompts"])
        assert found.options.prompt == ("mine",)
    assert seen[0] != seen[1]
    assert seen[0][0]["rendered_sha256"] != seen[1][0]["rendered_sha256"]


def test_another_end_token_makes_another_set(model, tmp_path):
    seen = []
    for ends in ([2], [2, 70], [70, 2]):
        folder = shutil.copytree(model("llama"), tmp_path / str(len(seen)) / "one")
        path = folder / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": ends}))
        seen.append(kit.resolved(folder, ["title"])[0].identity)
    assert seen[0] != seen[1] == seen[2]


def test_what_is_named_twice_is_one(model):
    once, twice = (
        kit.resolved(model("llama"), ["title"], embeddings=ways)[0]
        for ways in (["eos", "last"], ["eos", "last", "eos"])
    )
    assert once.options == twice.options


@pytest.mark.parametrize(
    ("kind", "inputs", "options", "message"),
    [
        ("bert", ["title"], {}, "no model that answers prompts"),
        ("llama", ["image"], {}, "takes texts only"),
        ("llava", ["image", "title"], {"study": True}, "leave --text out"),
        ("llava", ["image"], {"study": True, "temperature": 0.7}, "study=yes.*temperature"),
        ("llava", ["image"], {"study": True, "order": "text_first"}, "study=yes.*order"),
        ("llava", ["image"], {"study": True, "decoding": "forced"}, "study=yes.*decoding"),
        ("llava", ["title"], {"embeddings": ["mean_image"]}, "needs an image"),
        ("llava", ["image"], {"control": "title_only"}, "needs a text"),
        ("llava", ["title"], {"control": "blank_image"}, "needs an image"),
        ("llava", ["image"], {"control": "other_image"}, "control_images=FOLDER"),
        ("llava", ["image"], {"control_images": "."}, "nothing else does"),
        ("llava", ["image"], {"embeddings": [], "descriptions": False}, "nothing is wanted"),
        ("llava", ["image"], {"decoding": "forced"}, "'describe' has no slots"),
        ("llava", ["image"], {"layers": [4]}, "hidden states 0 to 3"),
        ("llava", ["image"], {"split_images": True}, "cuts no images"),
        ("llava", ["image"], {"prompt": ["word", "word"]}, "two prompts are called 'word'"),
        ("llava", ["image"], {"chat_template": "{{ nothing.at.all }}"}, "cannot render"),
    ],
)
def test_what_is_refused(model, kind, inputs, options, message):
    with pytest.raises(UsageError, match=message):
        kit.resolved(model(kind), inputs, **options)


def test_models_that_are_not_whole(model, tmp_path):
    folder = shutil.copytree(model("llama"), tmp_path / "plain")
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = folder / name
        if path.is_file() and name.endswith("jinja"):
            path.unlink()
    with pytest.raises(UsageError, match="'plain' has no chat template; give one"):
        kit.resolved(folder, ["title"])
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"lacks model\.safetensors"):
        kit.resolved(folder, ["title"], chat_template="{{ messages[0]['content'] }}")
    with pytest.raises(UsageError, match=r"(?s)no model was given.*SmolVLM"):
        kit.resolved("", ["title"])


def test_options_explain_themselves():
    for struct in (PromptedOptions, EmbedderOptions):
        assert all(one.help for one in describe(struct))
    assert [one.name for one in describe(LvlmRunOptions, in_spec=False)] == [
        "device",
        "prefix_cache",
    ]


def test_light_modules_import_nothing_heavy():
    code = (
        "import sys, ducho_lvlm.plugin, ducho_lvlm.options, ducho_lvlm.models,"
        " ducho_lvlm.commands; print([one for one in ('torch', 'transformers', 'numpy', 'scipy',"
        " 'PIL', 'pyarrow') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_from_a_table_to_the_store(model, tmp_path):
    (tmp_path / "images").mkdir()
    rows = ["item_id\ttitle"]
    for at, (one, title) in enumerate(zip(kit.pictures(), kit.TITLES, strict=True)):
        (tmp_path / "images" / f"{at}.png").write_bytes(kit.encoded(one))
        rows.append(f"{at}\t{title}")
    rows.append("6\tno image")
    (tmp_path / "items.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        "image": "images/{item_id}.png",
        "text": ("title",),
        "options": {
            "model": str(model("qwen2vl")),
            "prompt": "clothing,word",
            "max_new_tokens": 3,
            "max_value_tokens": 2,
            "device": "cpu",
        },
        "name": "said",
        "chunk_size": 2,
    }
    store = tmp_path / "features"
    (report,) = extract(tmp_path / "items.tsv", "lvlm", store=store, **settings)
    assert (report.stored, sum(report.failed.values())) == (6, 0)
    (again,) = extract(tmp_path / "items.tsv", "lvlm", store=store, **settings)
    assert again.stored == 0
    rows = [row for batch in Store(store).open("said").batches() for row in batch.to_pylist()]
    assert sorted(row["item_id"] for row in rows) == list("012345")
    assert {row["clothing.complete"] for row in rows} == {True}
    assert None not in {row["clothing.slot_color"] for row in rows}
    assert {row["clothing.compliance"] for row in rows} == {None}


def test_generation_settings_that_are_left_aside_are_named(model, tmp_path):
    folder = shutil.copytree(model("llama"), tmp_path / "plain")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "no_repeat_ngram_size": 2}))
    (told,) = kit.resolved(folder, ["title"])[0].remarks
    assert "no_repeat_ngram_size" in told
    assert not kit.resolved(folder, ["title"], prompt=["clothing"])[0].remarks
    nothing = {"embeddings": ["last"], "descriptions": False}
    assert not kit.resolved(folder, ["title"], **nothing)[0].remarks


@pytest.mark.parametrize(
    ("name", "fewest", "most"),
    [
        ("gme-Qwen2-VL-2B-Instruct", 256 * 28 * 28, 1280 * 28 * 28),
        ("Qwen3-VL-Embedding-2B", 4 * 32 * 32, 1800 * 32 * 32),
    ],
)
def test_embedders_take_the_pixels_of_their_own_code(model, tmp_path, name, fewest, most):
    folder = shutil.copytree(model("qwen2vl"), tmp_path / name)
    path = folder / "processor_config.json"
    stated = json.loads(path.read_text())
    stated["image_processor"]["size"] = {"shortest_edge": 3136, "longest_edge": 12_845_056}
    path.write_text(json.dumps(stated))
    found = kit.resolved(folder, ["image"], kind=EmbedderExtractor)[0]
    size = found.identity["preprocessing"]["size"]
    assert (size["shortest_edge"], size["longest_edge"]) == (fewest, most)
    assert found.options.max_pixels == most
    small = kit.load(folder, ["image"], kind=EmbedderExtractor)
    (sample,) = small.prepare_many(kit.items("image")[:1])
    patches = sample.data.pixels["image_grid_thw"].prod()
    assert patches * 14 * 14 >= fewest
