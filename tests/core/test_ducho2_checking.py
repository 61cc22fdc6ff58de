"""Every key of a Ducho 2.0 configuration: what it may hold, and what is said where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from ducho_core.ducho2.checking import check
from ducho_core.ducho2.remarks import Remarks
from ducho_core.errors import UsageError

PLACE = {"input_path": "in", "output_path": "out"}
TABLE = {**PLACE, "item_column": "asin", "text_column": "description"}
BOTH = {
    "input_path": {"visual": "images", "textual": "meta.tsv"},
    "output_path": {"visual": "v", "textual": "t"},
    "item_column": "asin",
    "text_column": "description",
}
SECTIONS: dict[str, dict[str, Any]] = {
    "visual": PLACE,
    "textual": TABLE,
    "visual_textual": BOTH,
    "audio": PLACE,
}
MODELS: dict[str, dict[str, Any]] = {
    "visual": {"model_name": "ResNet50", "backend": "torch", "output_layers": "avgpool"},
    "textual": {"model_name": "m", "backend": "transformers", "output_layers": "pooler_output"},
    "visual_textual": {"model_name": "m", "backend": "transformers", "output_layers": 1},
    "audio": {"model_name": "WAV2VEC2_BASE", "backend": "torch", "output_layers": 12},
}


def checked(modality="visual", origin="items", section=None, top=None, **model):
    """A configuration of one model, checked, with its remarks as text."""
    tree = {
        "dataset_path": "data",
        **(top or {}),
        modality: {
            origin: {
                **SECTIONS[modality],
                "model": [{**MODELS[modality], **model}],
                **(section or {}),
            }
        },
    }
    remarks = Remarks()
    config = check(tree, remarks)
    return config, [str(one) for one in remarks.lines]


def model_of(modality="visual", **keys):
    config, _ = checked(modality, **keys)
    return config.sections[0].models[0]


@pytest.mark.parametrize("modality", SECTIONS)
def test_the_smallest_configuration_of_each_modality(modality):
    config, remarks = checked(modality)
    (section,) = config.sections
    assert (section.path, section.modality, section.origin) == (
        f"{modality}.items",
        modality,
        "items",
    )
    assert section.models[0].name == MODELS[modality]["model_name"]
    assert config.dataset == "data"
    assert remarks == []


def test_sections_keep_the_order_of_the_file():
    order = ["textual", "audio", "visual"]
    tree = {
        modality: {"items": {**SECTIONS[modality], "model": [MODELS[modality]]}}
        for modality in order
    }
    config = check({"dataset_path": "d", **tree}, Remarks())
    assert [section.modality for section in config.sections] == order


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        (-1, ()),
        ("-1", ()),
        (0, (0,)),
        ("1", (1,)),
        ("0,1", (0, 1)),
        ([1, 3], (1, 3)),
        ("1, 2", (1, 2)),
    ],
)
def test_gpu_list_in_each_form(value, gpus):
    assert checked(top={"gpu list": value})[0].gpus == gpus


def test_without_gpu_list_it_is_the_cpu():
    assert checked()[0].gpus == ()


def test_gpu_list_as_the_guide_writes_it():
    config, remarks = checked(top={"gpu_list": 1})
    assert config.gpus == (1,)
    assert remarks == ["gpu_list: taken as 'gpu list', as Ducho 2.0's own guide writes it"]


@pytest.mark.parametrize("value", ["first", None, [0, "x"], 1.5, True, {}])
def test_a_wrong_gpu_list_is_explained(value):
    with pytest.raises(UsageError, match="gpu list must be a number"):
        checked(top={"gpu list": value})


def test_model_map_has_no_effect():
    assert checked(top={"model map": "m.yml"})[1] == ["model map: has no effect, as in Ducho 2.0"]


def test_without_dataset_path_it_is_that_of_ducho_2():
    config, remarks = checked(top={"dataset_path": None})
    assert config.dataset == "../data/"
    assert remarks[0].startswith("dataset_path: not given, so ../data/")


@pytest.mark.parametrize(
    ("keys", "field", "value"),
    [
        ({"reshape": [299, 200]}, "reshape", (299, 200)),
        ({"reshape": "[299, 200]"}, "reshape", (299, 200)),
        ({"reshape": "(299, 200)"}, "reshape", (299, 200)),
        ({}, "reshape", None),
        ({"preprocessing": "zscore"}, "preprocessing", "zscore"),
        ({"preprocessing": "minmax"}, "preprocessing", "minmax"),
        ({"preprocessing": "none"}, "preprocessing", None),
        ({"preprocessing": "None"}, "preprocessing", None),
        ({"preprocessing": None}, "preprocessing", None),
        ({}, "preprocessing", None),
        ({"batch_size": 32}, "batch_size", 32),
        ({"batch_size": "32"}, "batch_size", 32),
        ({}, "batch_size", None),
        ({"output_layers": ["a", "b", "a"]}, "layers", ("a", "b")),
        ({"backend": ["torch"]}, "backend", "torch"),
        ({"backend": "tensorflow"}, "backend", "tensorflow"),
    ],
)
def test_keys_of_a_visual_model(keys, field, value):
    assert getattr(model_of(**keys), field) == value


def test_mean_and_std_of_zscore():
    model = model_of(preprocessing="zscore", mean=[0.5, 0.4, 0], std=[1, 1, 0.2])
    assert (model.mean, model.std) == ((0.5, 0.4, 0.0), (1.0, 1.0, 0.2))
    assert model_of(preprocessing="zscore").mean is None


def test_mean_without_std_has_no_effect():
    config, remarks = checked(preprocessing="zscore", mean=[0.5, 0.4, 0])
    assert config.sections[0].models[0].mean is None
    assert remarks == [
        "visual.items.model.0.mean: has no effect without the other, as in Ducho 2.0"
    ]


@pytest.mark.parametrize(
    ("keys", "field", "value"),
    [
        ({"clear_text": True}, "clear_text", True),
        ({"clear_text": "False"}, "clear_text", False),
        ({}, "clear_text", False),
        ({"tokenizer_name": "other"}, "tokenizer", "other"),
        ({}, "tokenizer", None),
        ({"backend": "sentence_transformers", "output_layers": None}, "layers", (1,)),
        ({"backend": "sentence_transformers", "output_layers": 3}, "layers", (3,)),
    ],
)
def test_keys_of_a_textual_model(keys, field, value):
    assert getattr(model_of("textual", **keys), field) == value


@pytest.mark.parametrize("fusion", ["sum", "concat", "mul", "mean", None, "none"])
def test_fusion(fusion):
    model = model_of("visual_textual", fusion=fusion)
    assert model.fusion == (None if fusion == "none" else fusion)


def test_processors_of_a_visual_textual_model():
    model = model_of("visual_textual", tokenizer_name="t", image_processor_name="i")
    assert (model.tokenizer, model.image_processor) == ("t", "i")


@pytest.mark.parametrize("layers", [1, "image_embeds", ["a.b", "c"], [1, 2]])
def test_layers_of_a_visual_textual_model(layers):
    expected = tuple(layers) if isinstance(layers, list) else (layers,)
    assert model_of("visual_textual", output_layers=layers).layers == expected


def test_reviews_have_two_key_columns():
    section = {
        "item_column": None,
        "interaction_columns": ["user", "item"],
        "text_column": "review",
    }
    config, _ = checked("textual", "interactions", section)
    assert config.sections[0].keys == ("user", "item")
    assert config.sections[0].text == "review"
    config, _ = checked(
        "textual", "interactions", {**section, "interaction_columns": "user, item"}
    )
    assert config.sections[0].keys == ("user", "item")


def test_paths_of_both():
    config, _ = checked("visual_textual")
    assert config.sections[0].inputs == {"visual": "images", "textual": "meta.tsv"}
    assert config.sections[0].outputs == {"visual": "v", "textual": "t"}


@pytest.mark.parametrize(
    ("keys", "alias", "key"),
    [
        ({"model_name": None, "name": "ResNet50"}, "name", "model_name"),
        (
            {"backend": "transformers", "image_processor": "i"},
            "image_processor",
            "image_processor_name",
        ),
    ],
)
def test_second_names_of_keys(keys, alias, key):
    tree = {
        name: value for name, value in {**MODELS["visual"], **keys}.items() if value is not None
    }
    section = {**PLACE, "model": tree}
    remarks = Remarks()
    check({"dataset_path": "d", "visual": {"items": section}}, remarks)
    assert str(remarks.lines[0]) == f"visual.items.model.0.{alias}: taken as {key}"


@pytest.mark.parametrize(
    ("modality", "keys", "key"),
    [
        ("visual", {"clear_text": True}, "clear_text"),
        ("visual", {"fusion": "sum"}, "fusion"),
        ("visual", {"task": "x"}, "task"),
        ("visual", {"backend": "transformers", "preprocessing": "zscore"}, "preprocessing"),
        ("visual", {"tokenizer_name": "x"}, "tokenizer_name"),
        ("textual", {"reshape": [1, 1]}, "reshape"),
        ("textual", {"image_processor_name": "x"}, "image_processor_name"),
        ("visual_textual", {"reshape": [1, 1]}, "reshape"),
        ("visual_textual", {"clear_text": True}, "clear_text"),
        ("audio", {"tokenizer_name": "x"}, "tokenizer_name"),
    ],
)
def test_a_key_without_effect_is_said(modality, keys, key):
    _, remarks = checked(modality, **keys)
    assert f"{modality}.items.model.0.{key}: has no effect here, as in Ducho 2.0" in remarks


def test_a_column_without_effect_is_said():
    _, remarks = checked("visual", section={"item_column": "asin"})
    assert remarks == ["visual.items.item_column: has no effect here, as in Ducho 2.0"]


def test_without_a_backend_texts_go_to_transformers():
    section = {**TABLE, "model": [{"model_name": "m", "output_layers": "pooler_output"}]}
    remarks = Remarks()
    config = check({"dataset_path": "d", "textual": {"items": section}}, remarks)
    assert config.sections[0].models[0].backend == "transformers"
    assert str(remarks.lines[0]) == "textual.items.model.0.backend: not given, so transformers"


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        (
            {"dataset_pth": "x"},
            "dataset_pth: Ducho 2.0 has no such key (did you mean 'dataset_path'?)",
        ),
        ({"dataset_path": "x"}, "asks for nothing"),
        ({"visual": None}, "asks for nothing"),
        ({"visual": "x"}, "visual must hold keys and values, not 'x'"),
        (
            {"visual": {"item": {}}},
            "visual.item: Ducho 2.0 has no such key (did you mean 'items'?)",
        ),
        ({"visual": {"items": {}}}, "visual.items lacks the key input_path"),
        ({"visual": {"items": {"input_path": "x"}}}, "visual.items lacks the key output_path"),
        ({"visual": {"items": PLACE}}, "visual.items lacks the key model"),
        (
            {"visual": {"items": {**PLACE, "inptu_path": 1}}},
            "visual.items.inptu_path: Ducho 2.0 has no",
        ),
        ({"visual": {"items": {**PLACE, "model": []}}}, "visual.items.model must be a list"),
        ({"visual": {"items": {**PLACE, "model": ["m"]}}}, "visual.items.model.0 must hold keys"),
        (
            {"visual": {"items": {**PLACE, "model": [{}]}}},
            "visual.items.model.0 lacks the key model_name",
        ),
        (
            {"visual": {"items": {**PLACE, "model": [{"model_name": "m"}]}}},
            "visual.items.model.0 lacks the key backend",
        ),
        (
            {"textual": {"items": {**PLACE, "model": []}}},
            "textual.items lacks the key item_column",
        ),
        (
            {"textual": {"interactions": {**TABLE, "model": []}}},
            "textual.interactions lacks the key interaction_columns",
        ),
        (
            {"textual": {"interactions": {**TABLE, "interaction_columns": ["u"], "model": []}}},
            "textual.interactions.interaction_columns must be two columns",
        ),
        (
            {"visual_textual": {"items": {**TABLE, "model": []}}},
            "visual_textual.items.input_path must hold keys and values",
        ),
        (
            {"visual_textual": {"items": {**BOTH, "input_path": {"visual": "x"}, "model": []}}},
            "visual_textual.items.input_path lacks the key textual",
        ),
        (
            {"visual_textual": {"items": {**BOTH, "output_path": {"visul": "x"}, "model": []}}},
            "visual_textual.items.output_path.visul: Ducho 2.0 has no such key (did you mean",
        ),
    ],
)
def test_a_wrong_section_is_explained_with_its_path(tree, says):
    with pytest.raises(UsageError) as caught:
        check(tree, Remarks())
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("modality", "keys", "says"),
    [
        (
            "visual",
            {"outptu_layers": 1},
            "outptu_layers: Ducho 2.0 has no such key (did you mean 'output_layers'?)",
        ),
        (
            "visual",
            {"backend": "pytorch"},
            "one of tensorflow, torch, transformers, not 'pytorch' (did you mean 'torch'?)",
        ),
        (
            "textual",
            {"backend": "sentence-transformers"},
            "(did you mean 'sentence_transformers'?)",
        ),
        ("visual", {"backend": ["tensorflow", "torch"]}, "backend: one backend for each model"),
        ("visual", {"output_layers": None}, "lacks the key output_layers"),
        ("visual", {"output_layers": 3}, "output_layers must hold the names of layers"),
        ("visual", {"output_layers": []}, "output_layers is an empty list"),
        ("visual", {"output_layers": [True]}, "output_layers must hold names or numbers"),
        ("visual", {"reshape": [224]}, "reshape must be [WIDTH, HEIGHT], not [224]"),
        ("visual", {"reshape": [224, 0]}, "reshape must be a whole number from 1 up"),
        (
            "visual",
            {"preprocessing": "zcore"},
            "must be one of zscore, minmax, not 'zcore' (did you mean 'zscore'?)",
        ),
        (
            "visual",
            {"mean": [0, 0, 0], "std": [1, 1, 1]},
            "mean and std are for preprocessing: zscore only",
        ),
        (
            "visual",
            {"preprocessing": "zscore", "mean": [0, 0], "std": [1, 1]},
            "mean must be three numbers",
        ),
        ("visual", {"batch_size": 0}, "batch_size must be a whole number from 1 up, not 0"),
        ("visual", {"batch_size": "many"}, "batch_size must be a whole number"),
        ("visual", {"batch_size": "+-8"}, "batch_size must be a whole number"),
        ("visual", {"name": "other"}, "has both model_name and name, and they differ"),
        ("textual", {"clear_text": "perhaps"}, "clear_text must be True or False"),
        (
            "visual_textual",
            {"fusion": ["sum"]},
            "fusion must be one of sum, concat, mul, mean, not ['sum']",
        ),
        ("visual_textual", {"fusion": "add"}, "fusion must be one of"),
        (
            "visual_textual",
            {"output_layers": ["a", "b", "c"]},
            "output_layers must be a number, one name, or the two names",
        ),
        (
            "visual_textual",
            {"output_layers": [1, "b"]},
            "output_layers must be a number, one name",
        ),
    ],
)
def test_a_wrong_key_of_a_model_is_explained_with_its_path(modality, keys, says):
    with pytest.raises(UsageError) as caught:
        checked(modality, **keys)
    assert f"{modality}.items.model.0" in str(caught.value)
    assert says in str(caught.value)
