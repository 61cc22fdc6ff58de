"""What ``ducho run`` does with a configuration of Ducho 2.0, beside its demos."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import torch
import transformers
import yaml
from ducho2_kit import IDS, PICTURED, TEXTS, arrays, close, of_clip, of_sentences, run
from PIL import Image

from ducho_core.loaders.cleaning import clean_ducho2
from ducho_core.registry import Registry
from ducho_core.store import Store

DATA = "local/data/demo_recsys"
CLIP_NAME = "openai/clip-vit-base-patch16"
CLIP = {"model_name": CLIP_NAME, "backend": "transformers", "output_layers": 1}
MPNET = {
    "model_name": "sentence-transformers/all-mpnet-base-v2",
    "backend": "sentence_transformers",
    "output_layers": 1,
}
VIT = {"model_name": "google/vit-base-patch16-224", "backend": "transformers"}
TABLE = {"input_path": "meta.tsv", "item_column": "asin", "text_column": "description"}
BOTH = {
    **TABLE,
    "input_path": {"visual": "images", "textual": "meta.tsv"},
    "output_path": {"visual": "visual", "textual": "textual"},
}


@pytest.fixture
def config(project):
    """Writes a configuration and gives its name."""

    def write(modality, section, models, origin="items", name="config.yml"):
        entries = models if isinstance(models, list) else [models]
        tree = {"dataset_path": DATA, modality: {origin: {**section, "model": entries}}}
        (project / name).write_text(yaml.safe_dump(tree))
        return name

    return write


@pytest.fixture
def text_config(config):
    return config("textual", {**TABLE, "output_path": "textual"}, MPNET)


@pytest.fixture
def data(project):
    return project / DATA


SENTENCES = "textual/sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"


@pytest.mark.parametrize(
    ("how", "numpy_way"),
    [
        ("sum", np.add),
        ("mul", np.multiply),
        ("mean", lambda picture, text: np.mean([picture, text], axis=0)),
        ("concat", lambda picture, text: np.concatenate([picture, text], axis=1)),
    ],
)
def test_fusion_is_of_the_pictures_and_texts_of_the_same_items(
    config, data, snapshot, how, numpy_way
):
    run("run", config("visual_textual", BOTH, {**CLIP, "fusion": how}))
    images, texts = of_clip(snapshot(CLIP_NAME), data)
    found = arrays(data / f"visual_textual_{how}/transformers/{CLIP_NAME}/1")
    close(found, numpy_way(images, texts[: len(images)]), PICTURED)
    assert not (data / "visual").exists()
    assert not (data / "textual").exists()


def test_a_missing_picture_shifts_nothing(config, data, snapshot):
    (data / f"images/{IDS[1]}.jpg").unlink()
    left = [name for name in PICTURED if name != IDS[1]]
    run("run", config("visual_textual", BOTH, {**CLIP, "fusion": "sum"}))
    images, texts = of_clip(snapshot(CLIP_NAME), data, left)
    rows = [IDS.index(name) for name in left]
    found = arrays(data / f"visual_textual_sum/transformers/{CLIP_NAME}/1")
    close(found, images + texts[rows], left)


def test_pictures_of_several_kinds_and_elsewhere(config, data, snapshot):
    (data / "tables").mkdir()
    (data / "meta.tsv").rename(data / "tables/meta.tsv")
    images, _ = of_clip(snapshot(CLIP_NAME), data)
    first = data / f"images/{IDS[0]}.jpg"
    Image.open(first).save(first.with_suffix(".png"))
    first.unlink()
    section = {**BOTH, "input_path": {"visual": "images", "textual": "tables/meta.tsv"}}
    run("run", config("visual_textual", section, CLIP))
    close(arrays(data / f"visual/transformers/{CLIP_NAME}/1"), images, PICTURED)


def test_reviews_beside_the_pictures_of_their_items(config, data, snapshot):
    rows = [("u1", IDS[0], TEXTS[0]), ("u2", IDS[0], TEXTS[1]), ("u2", IDS[2], TEXTS[2])]
    lines = ["user\titem\treview", *("\t".join(row) for row in rows)]
    (data / "reviews.tsv").write_text("\n".join(lines) + "\n")
    section = {
        "input_path": {"visual": "images", "textual": "reviews.tsv"},
        "output_path": {"visual": "visual", "textual": "textual"},
        "interaction_columns": ["user", "item"],
        "text_column": "review",
    }
    run("run", config("visual_textual", section, CLIP, "interactions"))
    images, texts = of_clip(snapshot(CLIP_NAME), data)
    names = [f"{user}__{item}" for user, item, _ in rows]
    place = f"transformers/{CLIP_NAME}/1"
    close(arrays(data / "visual" / place), images[[0, 0, 2]], names)
    close(arrays(data / "textual" / place), texts[:3], names)


def test_items_and_reviews_of_one_folder_are_told_apart(project, data):
    (data / "reviews.tsv").write_text("user\titem\treview\nu\ti\tgood\n")
    reviews = {
        "input_path": "reviews.tsv",
        "interaction_columns": ["user", "item"],
        "text_column": "review",
    }
    sections = {"items": TABLE, "interactions": reviews}
    places = {
        origin: {**section, "output_path": "textual", "model": [MPNET]}
        for origin, section in sections.items()
    }
    (project / "config.yml").write_text(yaml.safe_dump({"dataset_path": DATA, "textual": places}))
    result = run("run", "config.yml", code=2)
    assert "output_path: local/data/demo_recsys/textual would hold both items and" in result.stderr
    run("run", "config.yml", "--textual.interactions.output_path=reviews")
    place = "sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
    assert sorted(arrays(data / "textual" / place)) == sorted(IDS)
    assert sorted(arrays(data / "reviews" / place)) == ["u__i"]


def test_texts_are_cleaned_as_in_ducho_2(config, data, snapshot):
    (data / "meta.tsv").write_text("asin\tdescription\nx\ta red-shoe, 1 lamp!!\ny\tblue\n")
    model = {**MPNET, "clear_text": True}
    run("run", config("textual", {**TABLE, "output_path": "textual"}, model))
    cleaned = [clean_ducho2("a red-shoe, 1 lamp!!"), "blue"]
    expected = of_sentences(snapshot(MPNET["model_name"]), cleaned)
    close(arrays(data / SENTENCES), expected, ("x", "y"))


def test_reviews_are_files_of_user_and_item(config, data, snapshot):
    rows = [("u1", "i1", TEXTS[0]), ("u1", "i2", TEXTS[1]), ("u2", "i1", TEXTS[2])]
    lines = ["user\titem\treview", *("\t".join(row) for row in rows)]
    (data / "reviews.tsv").write_text("\n".join(lines) + "\n")
    section = {
        "input_path": "reviews.tsv",
        "output_path": "reviews",
        "interaction_columns": ["user", "item"],
        "text_column": "review",
    }
    bert = {"model_name": "google-bert/bert-base-uncased", "backend": "transformers"}
    layers = ["pooler_output", "last_hidden_state"]
    result = run(
        "run", config("textual", section, {**bert, "output_layers": layers}, "interactions")
    )
    folder = snapshot(bert["model_name"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    texts = [text for _, _, text in rows]
    tokens = tokenizer(texts, return_tensors="pt", padding="max_length", truncation=True)
    with torch.inference_mode():
        output = model(**tokens)
    names = [f"{user}__{item}" for user, item, _ in rows]
    place = data / "reviews/transformers/google-bert/bert-base-uncased"
    close(arrays(place / "pooler_output"), output.pooler_output.numpy(), names)
    mask = tokens["attention_mask"].unsqueeze(-1)
    mean = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
    close(arrays(place / "last_hidden_state"), mean.numpy(), names)
    assert "their mean is taken, where Ducho 2.0 kept them all" in result.stderr


def test_a_vision_model_of_transformers_after_reshape(config, data, snapshot):
    section = {"input_path": "images", "output_path": "visual"}
    run(
        "run",
        config("visual", section, {**VIT, "output_layers": "pooler_output", "reshape": [50, 40]}),
    )
    folder = snapshot(VIT["model_name"])
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    pictures = [
        Image.open(data / f"images/{name}.jpg").resize((50, 40), Image.Resampling.BICUBIC)
        for name in PICTURED
    ]
    with torch.inference_mode():
        expected = model(**processor(pictures, return_tensors="pt")).pooler_output.numpy()
    found = arrays(data / "visual/transformers/vit-base-patch16-224/pooler_output")
    close(found, expected, PICTURED)


def test_overrides_on_the_command_line(text_config, data):
    run(
        "run",
        text_config,
        "--textual.items.model.0.batch_size",
        "2",
        "--textual.items.output_path=elsewhere",
        "textual.items.text_column=asin",
        "--store",
        "kept",
    )
    assert (data / "elsewhere").is_dir()
    assert not (data / "textual").exists()
    (found,) = Store("kept").sets()
    features = Store("kept").open(found.fingerprint)
    assert features.spec["inputs"][0]["columns"] == ["asin"]
    runs = [json.loads(path.read_text()) for path in (features.path / "runs").iterdir()]
    assert any(one.get("batch_size") == 2 for one in runs)


def test_a_dry_run_writes_nothing(text_config, project):
    before = sorted(project.rglob("*"))
    result = run("run", text_config, "--dry-run")
    assert "5 pending" in result.stdout
    assert sorted(project.rglob("*")) == before


def test_running_again_computes_nothing_and_keeps_the_tree(text_config, data):
    run("run", text_config)
    before = arrays(data / SENTENCES)
    result = run("run", text_config)
    assert "nothing to do, no model was loaded" in result.stdout
    after = arrays(data / SENTENCES)
    assert all(np.array_equal(before[name], after[name]) for name in IDS)


def test_items_that_are_added_join_the_tree(text_config, data):
    run("run", text_config)
    with open(data / "meta.tsv", "a") as table:
        table.write("new\ta new chair\n")
    result = run("run", text_config)
    assert "1 stored of 1 pending" in result.stdout
    assert sorted(arrays(data / SENTENCES)) == sorted([*IDS, "new"])


def test_another_configuration_adds_to_the_same_folder(text_config, config, data):
    run("run", text_config)
    before = arrays(data / SENTENCES)
    run("run", config("visual_textual", BOTH, CLIP, name="other.yml"))
    after = arrays(data / SENTENCES)
    assert all(np.array_equal(before[name], after[name]) for name in IDS)
    assert sorted(arrays(data / f"textual/transformers/{CLIP_NAME}/1")) == sorted(IDS)


def test_a_folder_would_lose_what_another_store_holds(text_config, config, data):
    run("run", text_config, "--store", "first")
    other = config("visual_textual", BOTH, CLIP, name="other.yml")
    result = run("run", other, "--store", "second", code=2)
    assert f"{DATA}/textual holds sentence_transformers/sentence-transformers" in result.stderr
    assert sorted(arrays(data / SENTENCES)) == sorted(IDS)
    assert not os.path.exists("second")


def test_files_of_ducho_2_are_not_written_over(text_config, data):
    old = data / SENTENCES / "097293751X.npy"
    old.parent.mkdir(parents=True)
    np.save(old, np.ones((1, 3), np.float32))
    result = run("run", text_config, code=2)
    assert "Files of Ducho 2.0 are never written over: move the folder away" in result.stderr
    assert np.load(old).shape == (1, 3)
    assert not os.path.exists("features")


@pytest.mark.parametrize("bad", ["../out", "/etc/out", "a/../../../b", "..", "C:\\x"])
def test_no_id_leads_out_of_the_folder(text_config, project, data, bad):
    (data / "meta.tsv").write_text(f"asin\tdescription\n{bad}\ta red shoe\nplain\tblue\n")
    before = {path for path in project.rglob("*") if data / "textual" not in path.parents}
    run("run", text_config)
    files = {path.name for path in (data / SENTENCES).iterdir()}
    assert len(files) == 2
    assert "plain.npy" in files
    after = {path for path in project.rglob("*") if data / "textual" not in path.parents}
    new = {str(path.relative_to(project)) for path in after - before}
    assert {name for name in new if not name.startswith("features")} == {f"{DATA}/textual"}
    listed = (data / "textual/ids.tsv").read_text()
    assert bad in listed


def test_what_cannot_be_done_stops_all(config, project):
    section = {"input_path": "images", "output_path": "audio"}
    model = {"model_name": "HDEMUCS_HIGH_MUSDB", "backend": "torch", "output_layers": 1}
    result = run("run", config("audio", section, model), code=2)
    assert "audio.items.model.0.model_name: torchaudio's HDEMUCS_HIGH_MUSDB" in result.stderr
    assert not (project / "features").exists()


def test_a_wrong_key_is_said_with_its_path(config):
    name = config("visual_textual", BOTH, {**CLIP, "fusoin": "sum"})
    result = run("run", name, code=2)
    assert (
        "visual_textual.items.model.0.fusoin: Ducho 2.0 has no such key (did you mean 'fusion'?)"
        in result.stderr
    )


def test_a_wrong_column_is_said_in_the_words_of_the_configuration(text_config):
    result = run("run", text_config, "--textual.items.text_column=descripton", code=2)
    assert "textual.items.model.0: meta.tsv has no column 'descripton'" in result.stderr
    assert "--text is textual.items.text_column, --key textual.items.item_column" in result.stderr


def test_a_folder_that_is_not_there_is_named(config):
    section = {"input_path": "pictures", "output_path": "visual"}
    name = config("visual", section, {**VIT, "output_layers": "pooler_output"})
    result = run("run", name, code=1)
    assert f"visual.items.model.0: there is no file or folder '{DATA}/pictures'" in result.stderr


class Canary:
    """Creates a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mknod, (self.path,)


def test_a_pickle_is_refused_and_runs_nothing(config, project):
    torch.save({"model": Canary(project / "sang")}, project / "mine.pt")
    section = {"input_path": "images", "output_path": "visual"}
    model = {"model_name": "mine.pt", "backend": "torch", "output_layers": "avgpool"}
    name = config("visual", section, model)
    run("convert-config", name)
    assert "mine.pt is a pickle" in run("run", name, code=2).stderr
    flag = "--visual.items.model.0.options.architecture=torchvision:resnet50"
    assert "mine.pt" in run("run", name, flag, code=2).stderr
    assert not (project / "sang").exists()
    torch.load(project / "mine.pt", weights_only=False)
    assert (project / "sang").exists(), "the canary sings when it is loaded"


def test_a_recipe_takes_no_overrides(project):
    (project / "recipe.yaml").write_text("source: x.tsv\nextractions: [{plugin: core/hash}]\n")
    assert "No such option '--dry-rnu'" in run("run", "recipe.yaml", "--dry-rnu", code=2).stderr
    assert "extra argument (more)" in run("run", "recipe.yaml", "more", code=2).stderr


def test_a_mixture_is_an_error(project, text_config):
    tree = yaml.safe_load((project / text_config).read_text())
    (project / "mixed.yml").write_text(yaml.safe_dump({**tree, "extractions": []}))
    assert "mixed.yml is a mixture" in run("run", "mixed.yml", code=2).stderr


def test_the_summaries_as_json(text_config):
    found = json.loads(run("run", text_config, "--json").stdout)
    assert [one.get("stored") for one in found] == [5, None]
    assert found[1]["exporter"] == "core/ducho2"


def test_bad_pictures_fail_alone_and_the_rest_is_written(config, data):
    (data / "images/broken.jpg").write_bytes(b"no image")
    section = {"input_path": "images", "output_path": "visual"}
    run("run", config("visual", section, {**VIT, "output_layers": "pooler_output"}), code=3)
    found = arrays(data / "visual/transformers/vit-base-patch16-224/pooler_output")
    assert sorted(found) == sorted(PICTURED)


def test_plugins_that_are_not_installed_give_one_command(config, monkeypatch):
    monkeypatch.setattr(Registry, "plugins", lambda _self: [])
    models = [CLIP, {**CLIP, "fusion": "sum"}]
    result = run("run", config("visual_textual", BOTH, models), code=2)
    assert (
        "not installed: visual_textual.items.model.0 needs clip/dual: pip install ducho-clip"
        in result.stderr
    )


def test_a_converted_recipe_makes_the_same_sets_and_the_same_tree(config, project, data):
    name = config("visual_textual", BOTH, [CLIP, {**CLIP, "fusion": "concat"}])
    run("run", name)
    trees = [*data.glob("visual*"), *data.glob("textual*")]
    before = {path: path.read_bytes() for tree in trees for path in tree.rglob("*.npy")}
    prints = {one.fingerprint for one in Store("features").sets()}
    for tree in trees:
        shutil.rmtree(tree)
    run("convert-config", name, "--out", "recipe.yaml")
    result = run("run", "recipe.yaml", "--store", "other")
    assert "concat" in result.stdout
    assert {one.fingerprint for one in Store("other").sets()} == prints
    after = {path: path.read_bytes() for tree in trees for path in tree.rglob("*.npy")}
    assert after == before
    assert len(after) == 3 * len(PICTURED) + 1
