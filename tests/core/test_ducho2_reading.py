"""Configurations of Ducho 2.0: the file, and what the command line puts over it."""

from __future__ import annotations

import pytest
import yaml

from ducho_core.ducho2.reading import is_old, parse_overrides, read_tree
from ducho_core.errors import UsageError

CONFIG = """
dataset_path: data
gpu list: 0
visual:
  items:
    input_path: images
    output_path: out
    model: [
      {model_name: ResNet50, output_layers: avgpool, backend: torch},
      {model_name: VGG19, output_layers: classifier.3, backend: torch},
    ]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("text", "old"),
    [
        (CONFIG, True),
        ("dataset_path: x", True),
        ("gpu list: 0", True),
        ("audio: {items: {}}", True),
        ("extractions: [{plugin: core/hash}]", False),
        ("extractions: [{plugin: core/hash}]\naudio: 'songs/{item_id}.wav'", False),
        ("source: items.tsv", False),
        ("[1, 2]", False),
        ("", False),
    ],
)
def test_a_configuration_is_told_from_a_recipe(text, old):
    assert is_old(yaml.safe_load(text), "file.yml") is old


@pytest.mark.parametrize("section", ["extractions: []", "fusions: []", "exports: []"])
def test_a_mixture_is_an_error(section):
    with pytest.raises(UsageError, match=r"both\.yml is a mixture: .* dataset_path"):
        is_old(yaml.safe_load(f"dataset_path: x\n{section}"), "both.yml")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--a.b=1"], [("a.b", 1)]),
        (["a.b=1"], [("a.b", 1)]),
        (["--a.b", "1"], [("a.b", 1)]),
        (["--gpu list=-1"], [("gpu list", -1)]),
        (
            ["--a=[224, 224]", "b=true", "--c", "null"],
            [("a", [224, 224]), ("b", True), ("c", None)],
        ),
        (["--a.b=x=y"], [("a.b", "x=y")]),
        (["--a="], [("a", None)]),
        (["--a.b", "./out"], [("a.b", "./out")]),
    ],
)
def test_overrides_in_each_form(arguments, expected):
    assert parse_overrides(arguments) == expected


@pytest.mark.parametrize("arguments", [["loose"], ["--a.b"], ["--"], ["=1"], ["--a=1", "b"]])
def test_an_override_without_key_or_value_is_explained(arguments):
    with pytest.raises(UsageError, match=r"--[A-Za-z.]+=[A-Za-z]+"):
        parse_overrides(arguments)


def test_overrides_change_what_they_name_and_nothing_else(config):
    before = read_tree(config)
    after = read_tree(
        config, ["--visual.items.model.1.batch_size", "4", "visual.items.output_path=o"]
    )
    assert after["visual"]["items"]["model"][1].pop("batch_size") == 4
    assert after["visual"]["items"].pop("output_path") == "o"
    assert before["visual"]["items"].pop("output_path") == "out"
    assert after == before


def test_a_whole_entry_or_a_new_key_can_be_overridden(config):
    tree = read_tree(config, ["--visual.items.model.0={model_name: x}", "--gpu list", "[1, 2]"])
    assert tree["visual"]["items"]["model"][0] == {"model_name": "x"}
    assert tree["gpu list"] == [1, 2]


@pytest.mark.parametrize("name", ["gpu list", "gpu_list", "gpu-list"])
def test_gpu_list_can_be_overridden_without_its_space(config, name):
    assert read_tree(config, [f"--{name}=-1"])["gpu list"] == -1


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "--visul.items.output_path=x",
            "the configuration has no 'visul' (did you mean 'visual'?)",
        ),
        (
            "--visual.item.output_path=x",
            "visual has no 'item' (did you mean 'items'?); it has items",
        ),
        ("--visual.items.model.2.batch_size=1", "has the entries 0 to 1, and no 2"),
        ("--visual.items.model.first=1", "has the entries 0 to 1, and no first"),
        ("--dataset_path.x=1", "dataset_path holds 'data' and nothing below it"),
        ("--gpu list=[", "is no YAML"),
    ],
)
def test_an_override_that_does_not_fit_is_explained_with_its_path(config, override, says):
    with pytest.raises(UsageError) as caught:
        read_tree(config, [override])
    assert says in str(caught.value)
    assert override.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize("override", ["model.0.batch_size=4", "model.batch_size=4"])
def test_a_model_that_stands_without_a_list_can_be_overridden_as_messages_name_it(
    tmp_path, override
):
    path = tmp_path / "config.yml"
    path.write_text("visual: {items: {model: {model_name: m}}}")
    tree = read_tree(str(path), [f"--visual.items.{override}"])
    assert tree["visual"]["items"]["model"] == {"model_name": "m", "batch_size": 4}


def test_an_override_does_not_reach_what_yaml_shares_with_its_place(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(
        "visual:\n  items: {model: &m [{model_name: m, reshape: [1, 2]}]}\n"
        "  interactions: {model: *m}\n"
    )
    changed = ["--visual.items.model.0.batch_size=4", "--visual.items.model.0.reshape.0=9"]
    tree = read_tree(str(path), changed)["visual"]
    assert tree["items"]["model"] == [{"model_name": "m", "reshape": [9, 2], "batch_size": 4}]
    assert tree["interactions"]["model"] == [{"model_name": "m", "reshape": [1, 2]}]


def test_lists_of_mappings_are_one_mapping_as_in_ducho_2(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(
        "dataset_path: d\nvisual:\n  - items:\n      - input_path: i\n      - output_path: o\n"
        "        model: [{model_name: m, reshape: [1, 2]}]\n"
    )
    items = {"input_path": "i", "output_path": "o"}
    model = [{"model_name": "m", "reshape": [1, 2]}]
    assert read_tree(str(path))["visual"] == {"items": {**items, "model": model}}


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "no YAML"), ("- a", "no Ducho 2.0 configuration"), ("x: 1", "none of dataset_path")],
)
def test_a_file_that_is_no_configuration_is_explained(tmp_path, text, says):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_tree(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.yml cannot be read: No such file"):
        read_tree(str(tmp_path / "gone.yml"))


def test_no_object_is_made_of_a_yaml_tag(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(f"dataset_path: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    with pytest.raises(UsageError, match="no YAML"):
        read_tree(str(path))
    assert not (tmp_path / "made").exists()


def test_options_of_the_extractor_need_not_be_there_before(config):
    digits = "0123456789" * 6 + "0123"
    tree = read_tree(config, [f"--visual.items.model.0.options.sha256={digits}"])
    assert tree["visual"]["items"]["model"][0]["options"] == {"sha256": digits}
