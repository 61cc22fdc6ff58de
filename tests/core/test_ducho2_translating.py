"""What each key of a Ducho 2.0 configuration becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ducho_core.ducho2.checking import check
from ducho_core.ducho2.plan import Fused, Vectors
from ducho_core.ducho2.remarks import Remarks
from ducho_core.ducho2.translating import translate
from ducho_core.errors import UsageError

TABLE = {"item_column": "asin", "text_column": "description"}
BOTH = {
    "input_path": {"visual": "images", "textual": "meta.tsv"},
    "output_path": {"visual": "v", "textual": "t"},
    **TABLE,
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder data/ with pictures and a table, below the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/images").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / f"data/images/{name}.jpg").touch()
    (tmp_path / "data/meta.tsv").write_text("asin\tdescription\na\tred shoe\n")
    return tmp_path


def translated(modality, models, top=None, origin="items", **section):
    """The plan and what was said of a configuration with one section."""
    places = (
        BOTH if modality == "visual_textual" else {"input_path": "images", "output_path": "out"}
    )
    if modality == "textual":
        places = {"input_path": "meta.tsv", "output_path": "out", **TABLE}
    entries = models if isinstance(models, list) else [models]
    tree: dict[str, Any] = {
        "dataset_path": "data",
        **(top or {}),
        modality: {origin: {**places, "model": entries, **section}},
    }
    remarks = Remarks()
    plan = translate(check(tree, remarks), "config.yml", remarks)
    return plan, [str(one) for one in remarks.lines]


def one(modality, top=None, origin="items", **model):
    """The one request, the parts of its branches with outputs, and what was said."""
    section = model.pop("section", {})
    plan, said = translated(modality, model, top, origin, **section)
    (extraction,) = plan.extractions
    return extraction.request, plan.branches, said


def parts(branches):
    return [(branch.folder, "/".join(branch.parts)) for branch in branches]


def outputs(branches):
    return [branch.vectors.output for branch in branches]


RESNET = {"model_name": "ResNet50", "backend": "torch", "output_layers": "avgpool"}


def test_a_torch_name(data):
    request, branches, said = one("visual", **RESNET, reshape=[200, 100], preprocessing="zscore")
    assert request.plugin == "torchvision/image"
    assert request.options == {
        "model": "resnet50",
        "layers": ["avgpool"],
        "pooling": "none-flatten",
        "preprocessing": "zscore",
        "resize": [200, 100],
    }
    assert request.source == "data/images"
    assert parts(branches) == [("data/out", "torch/ResNet50/avgpool")]
    assert outputs(branches) == ["avgpool"]
    assert any("torchvision's resnet50 with its DEFAULT weights" in line for line in said)


def test_several_layers_are_outputs_of_one_extraction(data):
    model = {**RESNET, "output_layers": ["avgpool", "layer4"]}
    request, branches, _ = one("visual", **model, reshape=[9, 9])
    assert request.options["layers"] == ["avgpool", "layer4"]
    assert parts(branches) == [
        ("data/out", "torch/ResNet50/avgpool"),
        ("data/out", "torch/ResNet50/layer4"),
    ]


def test_several_models_are_extractions_of_their_own(data):
    plan, _ = translated("visual", [RESNET, {**RESNET, "model_name": "VGG19"}])
    assert [one.request.options["model"] for one in plan.extractions] == ["resnet50", "vgg19"]
    assert [one.name for one in plan.extractions] == [
        "visual-items-ResNet50",
        "visual-items-VGG19",
    ]
    assert [one.path for one in plan.extractions] == [
        "visual.items.model.0",
        "visual.items.model.1",
    ]
    assert [branch.vectors.extraction for branch in plan.branches] == [0, 1]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {"preprocessing": "none"}),
        ({"preprocessing": "minmax"}, {"preprocessing": "minmax"}),
        (
            {"preprocessing": "zscore", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]},
            {"preprocessing": "zscore", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]},
        ),
    ],
)
def test_preprocessing_of_torch(data, keys, expected):
    request, _, _ = one("visual", **RESNET, reshape=[224, 224], **keys)
    kept = {
        key: request.options[key]
        for key in ("preprocessing", "mean", "std")
        if key in request.options
    }
    assert kept == expected


def test_without_reshape_pictures_become_224_by_224_and_it_is_said(data):
    request, _, said = one("visual", **RESNET)
    assert request.options["resize"] == [224, 224]
    assert any(line.startswith("visual.items.model.0.reshape: not given") for line in said)


def test_tensorflow_is_keras(data):
    model = {"model_name": "Xception", "backend": "tensorflow", "output_layers": "avg_pool"}
    request, branches, _ = one("visual", **model, reshape=[299, 299])
    assert request.plugin == "keras/image"
    assert request.options == {
        "model": "Xception",
        "layers": ["avg_pool"],
        "pooling": "none-flatten",
        "resize": [299, 299],
    }
    assert parts(branches) == [("data/out", "tensorflow/Xception/avg_pool")]


def test_a_path_is_a_model_of_ones_own(data):
    model = {**RESNET, "model_name": "./models/MMFashion.pt", "reshape": [224, 224]}
    request, branches, said = one("visual", **model)
    assert request.plugin == "custom/model"
    assert request.options["model"] == "models/MMFashion.pt"
    assert request.options["layers"] == ["avgpool"]
    assert parts(branches) == [("data/out", "torch/MMFashion/avgpool")]
    assert any("--visual.items.model.0.options.sha256=DIGEST" in line for line in said)


def test_safetensors_beside_a_pickle_are_taken(data):
    (data / "models").mkdir()
    (data / "models/MMFashion.safetensors").touch()
    request, branches, said = one("visual", **{**RESNET, "model_name": "models/MMFashion.pt"})
    assert request.options["model"] == "models/MMFashion.safetensors"
    assert parts(branches) == [("data/out", "torch/MMFashion/avgpool")]
    assert any("models/MMFashion.safetensors is taken in place of" in line for line in said)


def test_options_of_the_extractor_can_be_added(data):
    own = {"architecture": "torchvision:resnet50", "sha256": "ab" * 32}
    model = {**RESNET, "model_name": "m.pt", "reshape": [224, 224], "options": own}
    request, _, said = one("visual", **model)
    assert own.items() <= request.options.items()
    assert not any("sha256" in line for line in said)


def test_a_vision_model_of_transformers(data):
    model = {
        "model_name": "google/vit.v1",
        "backend": "transformers",
        "output_layers": "pooler_output",
    }
    request, branches, _ = one("visual", **model)
    assert request.plugin == "hf/vision"
    assert request.options == {"model": "google/vit.v1", "pooling": ["pooler"]}
    assert parts(branches) == [("data/out", "transformers/vit/pooler_output")]
    assert outputs(branches) == ["pooler"]


def test_all_keys_of_a_vision_model_of_transformers(data):
    request, branches, said = one(
        "visual",
        model_name="google/vit",
        backend="transformers",
        output_layers=["pooler_output", "last_hidden_state"],
        reshape=[300, 200],
        image_processor_name="google/other",
        batch_size=8,
    )
    assert request.options == {
        "model": "google/vit",
        "pooling": ["pooler", "mean"],
        "resize": [300, 200],
        "image_processor": "google/other",
    }
    assert request.batch_size == 8
    assert outputs(branches) == ["pooler", "mean"]
    assert any("their mean is taken, where Ducho 2.0 kept them all" in line for line in said)


def test_a_text_model_of_transformers(data):
    request, branches, _ = one(
        "textual",
        model_name="bert-base-uncased",
        backend="transformers",
        output_layers="pooler_output",
        tokenizer_name="other",
        clear_text=True,
    )
    assert request.plugin == "hf/text"
    assert request.options == {
        "model": "bert-base-uncased",
        "pooling": ["pooler"],
        "tokenizer": "other",
    }
    assert request.clean == ("ducho2",)
    assert (request.source, request.key, request.text) == (
        "data/meta.tsv",
        ("item_id=asin",),
        ("description",),
    )
    assert parts(branches) == [("data/out", "transformers/bert-base-uncased/pooler_output")]


def test_a_sentence_model_ignores_the_layer(data):
    request, branches, _ = one(
        "textual",
        model_name="sentence-transformers/all-mpnet-base-v2",
        backend="sentence_transformers",
        output_layers=1,
        clear_text=False,
    )
    assert request.plugin == "hf/sentence"
    assert request.options == {"model": "sentence-transformers/all-mpnet-base-v2"}
    assert request.clean == ()
    assert parts(branches) == [
        ("data/out", "sentence_transformers/sentence-transformers/all-mpnet-base-v2/1")
    ]
    assert outputs(branches) == ["embedding"]


def test_a_sentence_model_without_its_organisation(data):
    model = {"backend": "sentence_transformers", "output_layers": 1}
    request, branches, said = one("textual", model_name="all-MiniLM-L6-v2", **model)
    assert request.options["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert parts(branches) == [("data/out", "sentence_transformers/all-MiniLM-L6-v2/1")]
    assert any("sentence-transformers/all-MiniLM-L6-v2" in line for line in said)
    request, _, _ = one("textual", model_name="bert-base-uncased", **model)
    assert request.options["model"] == "bert-base-uncased"


def test_reviews(data):
    (data / "data/reviews.tsv").write_text("user\titem\treview\nu\ti\tgood\n")
    request, branches, _ = one(
        "textual",
        origin="interactions",
        model_name="m",
        backend="transformers",
        output_layers="pooler_output",
        section={
            "input_path": "reviews.tsv",
            "item_column": None,
            "interaction_columns": ["user", "item"],
            "text_column": "review",
        },
    )
    assert request.key == ("user_id=user", "item_id=item")
    assert request.text == ("review",)
    assert parts(branches) == [("data/out", "transformers/m/pooler_output")]


CLIP = {
    "model_name": "openai/clip-vit-base-patch16",
    "backend": "transformers",
    "output_layers": 1,
}


DUAL = {
    "model": "openai/clip-vit-base-patch16",
    # A CLIP-like model normalises its image_embeds and text_embeds.
    "normalize": True,
    "image_pooling": ["projected"],
    "text_pooling": ["projected"],
}


def test_a_model_of_both(data):
    request, branches, said = one("visual_textual", **CLIP, batch_size=32)
    assert request.plugin == "clip/dual"
    assert request.options == DUAL
    assert outputs(branches) == ["image_embeds", "text_embeds"]
    assert (request.source, request.image, request.text) == (
        "data/meta.tsv",
        "images/{asin}.jpg",
        ("description",),
    )
    assert (request.key, request.root, request.batch_size) == (("item_id=asin",), None, 32)
    assert parts(branches) == [
        ("data/v", "transformers/openai/clip-vit-base-patch16/1"),
        ("data/t", "transformers/openai/clip-vit-base-patch16/1"),
    ]
    assert [branch.vectors.requires for branch in branches] == [("image",), ("text",)]
    assert said == []


@pytest.mark.parametrize("how", ["sum", "concat", "mul", "mean"])
def test_fusion_has_a_folder_of_its_own(data, how):
    _, branches, _ = one("visual_textual", **CLIP, fusion=how)
    assert parts(branches) == [(f"data/v_t_{how}", "transformers/openai/clip-vit-base-patch16/1")]
    fused = branches[0].vectors
    assert isinstance(fused, Fused)
    assert fused.how == how
    assert (fused.picture.requires, fused.text.requires) == (("image",), ("text",))


def test_two_layers_are_that_of_the_picture_and_that_of_the_text(data):
    layers = ["vision_model_output.pooler_output", "text_model_output.pooler_output"]
    request, branches, _ = one("visual_textual", **{**CLIP, "output_layers": layers})
    assert (request.options["image_pooling"], request.options["text_pooling"]) == (
        ["pooler"],
        ["pooler"],
    )
    assert outputs(branches) == ["image_pooler", "text_pooler"] * 2
    # Ducho 2.0 writes the pair under the name of each layer.
    assert [branch.parts[-1] for branch in branches] == [
        layers[0],
        layers[0],
        layers[1],
        layers[1],
    ]
    assert {branch.vectors.requires for branch in branches} == {("image",), ("text",)}


def test_one_layer_means_its_twin_of_the_other_input(data):
    _, one_name, said = one("visual_textual", **{**CLIP, "output_layers": "image_embeds"})
    _, number, _ = one("visual_textual", **CLIP)
    assert outputs(one_name) == outputs(number)
    assert any(
        line.endswith("image_embeds of the picture and text_embeds of the text") for line in said
    )


def test_processors_of_a_model_of_both(data):
    request, _, _ = one("visual_textual", **CLIP, tokenizer_name="t", image_processor_name="i")
    assert request.options["tokenizer"] == "t"
    assert request.options["image_processor"] == "i"
    named = CLIP["model_name"]
    request, _, _ = one("visual_textual", **CLIP, tokenizer_name=named, image_processor_name=named)
    assert request.options == DUAL


def test_pictures_elsewhere_have_the_common_folder_as_root(data):
    section = {"input_path": {"visual": "images", "textual": "tables/meta.tsv"}}
    (data / "data/tables").mkdir()
    (data / "data/tables/meta.tsv").write_text("asin\tdescription\n")
    request, _, _ = one("visual_textual", **CLIP, section=section)
    assert (request.root, request.image) == ("data", "images/{asin}.jpg")


def test_pictures_of_several_kinds_are_found_by_a_glob(data):
    (data / "data/images/c.png").touch()
    request, _, said = one("visual_textual", **CLIP)
    assert (request.image, request.slots) == ("images/{asin}.*", "first")
    assert any(
        line.startswith("visual_textual.items.input_path.visual: images of several")
        for line in said
    )


def test_a_glob_that_could_find_another_items_picture_is_refused(data):
    (data / "data/images/a.1.png").touch()
    with pytest.raises(UsageError, match=r"a\.\* would find a\.1 too"):
        one("visual_textual", **CLIP)


@pytest.mark.parametrize(
    ("name", "hub"),
    [("WAV2VEC2_BASE", "facebook/wav2vec2-base"), ("WAVLM_LARGE", "microsoft/wavlm-large")],
)
def test_torchaudio_names_are_the_hubs_same_weights(data, name, hub):
    request, branches, said = one("audio", model_name=name, backend="torch", output_layers=[3, 12])
    assert request.plugin == "audio/encoder"
    assert request.options["model"] == hub
    assert request.options["layers"] == [3, 12]
    assert parts(branches) == [("data/out", f"torch/{name}/3"), ("data/out", f"torch/{name}/12")]
    assert f"audio.items.model.0.model_name: torchaudio's {name} is {hub} on the hub" in said


def test_layers_counted_from_the_end_are_extracted_one_by_one(data):
    model = {"model_name": "facebook/wav2vec2-base", "backend": "transformers"}
    plan, _ = translated("audio", [{**model, "output_layers": [2, -1, 3, -2]}])
    assert [one.request.options["layers"] for one in plan.extractions] == [[2, 3], [-1], [-2]]
    found = {branch.parts[-1]: branch.vectors for branch in plan.branches}
    assert found["-1"].of("NAME") == "NAME"
    assert found["3"].of("NAME") == "NAME:layer3_mean"


def test_a_sound_model_of_transformers(data):
    request, branches, _ = one(
        "audio", model_name="facebook/wav2vec2-base", backend="transformers", output_layers=12
    )
    assert request.options["model"] == "facebook/wav2vec2-base"
    assert parts(branches) == [("data/out", "transformers/wav2vec2-base/12")]


@pytest.mark.parametrize(
    ("modality", "model", "says"),
    [
        (
            "audio",
            {"model_name": "HDEMUCS_HIGH_MUSDB", "backend": "torch", "output_layers": 1},
            "audio.items.model.0.model_name: torchaudio's HDEMUCS_HIGH_MUSDB is not on the",
        ),
        (
            "audio",
            {"model_name": "m/x", "backend": "transformers", "output_layers": "out"},
            "audio.items.model.0.output_layers: 'out' is not the number of a layer",
        ),
        (
            "audio",
            {"model_name": "m/x", "backend": "transformers", "output_layers": "--1"},
            "audio.items.model.0.output_layers: '--1' is not the number of a layer",
        ),
        (
            "textual",
            {"model_name": "m", "backend": "transformers", "output_layers": "logits"},
            "textual.items.model.0.output_layers: 'logits' cannot be had of m",
        ),
        (
            "visual_textual",
            {**CLIP, "output_layers": ["image_embeds", "logits_per_text"]},
            "visual_textual.items.model.0.output_layers: cannot be had of",
        ),
    ],
)
def test_what_cannot_be_done_is_left_out_and_said(data, modality, model, says):
    plan, said = translated(modality, [model])
    assert plan.extractions == ()
    assert plan.branches == ()
    assert any(line.startswith(says) for line in said)


@pytest.mark.parametrize(
    ("value", "device"), [(-1, "cpu"), (0, "auto"), (1, "cuda:1"), ([2, 3], "cuda:2")]
)
def test_gpu_list(data, value, device):
    request, _, said = one("visual", top={"gpu list": value}, **RESNET)
    assert request.device == device
    assert any(line.startswith("gpu list:") for line in said) == isinstance(value, list)


def test_batch_size_is_given_only_where_it_was(data):
    assert one("visual", **RESNET)[0].batch_size is None
    assert one("visual", **RESNET, batch_size=16)[0].batch_size == 16


def test_paths_are_below_the_current_folder_else_beside_the_configuration(tmp_path, monkeypatch):
    place = tmp_path / "project"
    (place / "data/images").mkdir(parents=True)
    tree = {
        "dataset_path": "data",
        "visual": {"items": {"input_path": "images", "output_path": "out", "model": [RESNET]}},
    }
    for folder, expected in ((place, "data/images"), (tmp_path, "project/data/images")):
        monkeypatch.chdir(folder)
        remarks = Remarks()
        config = Path("config.yml") if folder == place else Path("project/config.yml")
        plan = translate(check(tree, remarks), str(config), remarks)
        assert plan.extractions[0].request.source == expected
        said = [str(one) for one in remarks.lines if one.path == "dataset_path"]
        assert bool(said) == (folder == tmp_path)


def test_ids_with_dots_are_said(data):
    (data / "data/images/a.1.jpg").touch()
    _, _, said = one("visual", **RESNET)
    (line,) = [line for line in said if line.startswith("visual.items.input_path")]
    assert "'a.1' here and was 'a' in Ducho 2.0" in line


def test_two_models_of_one_folder_the_later_wins(data):
    plan, said = translated("visual", [RESNET, {**RESNET, "reshape": [9, 9]}])
    (branch,) = plan.branches
    assert isinstance(branch.vectors, Vectors)
    assert branch.vectors.extraction == 1
    assert any("takes the place of an earlier model's" in line for line in said)


def test_a_folder_of_one_table_is_that_table(data):
    (data / "data/tables").mkdir()
    (data / "data/tables/meta.csv").write_text("asin\tdescription\n")
    model = {"model_name": "m", "backend": "transformers", "output_layers": "pooler_output"}
    request, _, _ = one("textual", **model, section={"input_path": "tables"})
    assert request.source == "data/tables/meta.csv"
    assert request.loader_options == {"separator": "tab"}
    (data / "data/tables/other.tsv").touch()
    with pytest.raises(UsageError, match=r"textual\.items\.input_path: .* 2 files"):
        one("textual", **model, section={"input_path": "tables"})


@pytest.mark.parametrize("name", ["/abs/model", "../up/model", "a/../b", "./here"])
def test_no_model_name_leads_out_of_the_output_folder(data, name):
    model = {"model_name": name, "backend": "sentence_transformers", "output_layers": "../../x"}
    _, (branch,), _ = one("textual", **model)
    names = branch.parts[1].split("/")
    assert not any(name in ("", ".", "..") for name in names)


def test_output_folders_must_not_lie_in_each_other(data):
    section = {"output_path": {"visual": "out", "textual": "out/texts"}}
    _, said = translated("visual_textual", [CLIP], **section)
    assert any(line.startswith("output_path: data/out/texts lies in data/out") for line in said)
    _, said = translated("visual_textual", [CLIP], output_path={"visual": "a", "textual": "ab"})
    assert said == []


def test_dots_after_a_link_lead_where_the_link_leads(data):
    (data / "far").mkdir()
    (data / "data").rename(data / "far/data")
    (data / "data").symlink_to(data / "far/data")
    request, (branch,), _ = one("visual", **RESNET, section={"output_path": "../out"})
    assert (data / branch.folder).resolve() == data / "far/out"
    assert (data / request.source).resolve() == data / "far/data/images"


def test_default_weights_are_said_only_where_they_are_taken(data):
    _, _, said = one("visual", **RESNET, reshape=[9, 9], options={"weights": "IMAGENET1K_V1"})
    assert said == []
