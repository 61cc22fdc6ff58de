"""``ducho convert-config`` prints the recipe that does what the configuration asks for."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from ducho_core.cli import main
from ducho_core.recipe import read_recipe

RESNET = "{model_name: ResNet50, backend: torch, output_layers: avgpool, reshape: [224, 224]}"
CLIP = "{model_name: openai/clip-vit-base-patch16, backend: transformers, output_layers: 1"
CONFIG = f"""
dataset_path: data
gpu list: 0
visual:
  items:
    input_path: images
    output_path: visual
    model: [{RESNET}]
visual_textual:
  items:
    input_path: {{visual: images, textual: meta.tsv}}
    output_path: {{visual: visual, textual: textual}}
    item_column: asin
    text_column: description
    model: [{CLIP}}}, {CLIP}, fusion: concat}}]
"""
UNKNOWN = "{model_name: CONVTASNET_BASE_LIBRI2MIX, backend: torch, output_layers: 1}"


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/images/a.jpg").touch()
    (tmp_path / "data/meta.tsv").write_text("asin\tdescription\na\tred shoe\n")
    (tmp_path / "config.yml").write_text(CONFIG)
    return tmp_path


def test_the_recipe_holds_all_steps(project):
    tree = yaml.safe_load(run("convert-config", "config.yml").stdout)
    assert tree["store"] == "features"
    names = [one["name"] for one in tree["extractions"]]
    clip = "visual-textual-items-clip-vit-base-patch16"
    assert names == ["visual-items-ResNet50", clip, f"{clip}-2"]
    assert tree["extractions"][0] == {
        "name": "visual-items-ResNet50",
        "source": "data/images",
        "plugin": "torchvision/image",
        "options": {
            "model": "resnet50",
            "layers": ["avgpool"],
            "pooling": "none-flatten",
            "preprocessing": "none",
            "resize": [224, 224],
        },
        "device": "auto",
    }
    assert tree["fusions"] == [
        {
            "name": f"{clip}-2-concat",
            "sets": [f"{clip}-2-image:image_embeds", f"{clip}-2-text:text_embeds"],
            "how": "core/concat",
            "missing": "drop",
        }
    ]
    visual, textual, fused = tree["exports"]
    assert visual == {
        "sets": ["visual-items-ResNet50:avgpool", f"{clip}-image:image_embeds"],
        "to": "core/ducho2",
        "out": "data/visual",
        "options": {
            "backend": ["torch", "transformers"],
            "model": ["ResNet50", "openai/clip-vit-base-patch16"],
            "layer": ["avgpool", "1"],
        },
    }
    assert (textual["out"], textual["sets"]) == ("data/textual", [f"{clip}-text:text_embeds"])
    assert (fused["out"], fused["sets"]) == ("data/visual_textual_concat", [f"{clip}-2-concat"])


def test_it_is_a_recipe_that_can_be_read(project):
    run("convert-config", "config.yml", "--out", "recipe.yaml")
    recipe = read_recipe("recipe.yaml")
    assert [one.plugin for one in recipe.extractions] == ["torchvision/image", *["clip/dual"] * 2]
    assert len(recipe.fusions) == 1
    assert len(recipe.exports) == 3


def test_paths_are_relative_to_the_recipe(project):
    (project / "recipes").mkdir()
    run("convert-config", "config.yml", "--out", "recipes/mine.yaml")
    recipe = read_recipe("recipes/mine.yaml")
    for path in (
        *(one.source for one in recipe.extractions),
        *(one.out for one in recipe.exports),
    ):
        assert (project / path).resolve().is_relative_to(project / "data")
    tree = yaml.safe_load((project / "recipes/mine.yaml").read_text())
    assert tree["extractions"][0]["source"] == "../data/images"


def test_where_files_of_options_are_found_is_said(project):
    flag = "--visual.items.model.0.model_name=m.safetensors"
    (project / "recipes").mkdir()
    run("convert-config", "config.yml", flag, "--out", "recipes/mine.yaml")
    text = (project / "recipes/mine.yaml").read_text()
    assert "# Files that options name are found from the folder that ducho starts in." in text
    assert "# Files that" not in run("convert-config", "config.yml", flag).stdout


def test_overrides_and_store(project):
    flags = ["--visual.items.model.0.batch_size", "8", "--store", "kept"]
    tree = yaml.safe_load(run("convert-config", "config.yml", *flags).stdout)
    assert tree["extractions"][0]["batch_size"] == 8
    assert tree["store"] == "kept"


def test_a_store_that_yaml_would_take_for_something_else(project):
    odd = "a: b #1"
    tree = yaml.safe_load(run("convert-config", "config.yml", "--store", odd).stdout)
    assert tree["store"] == odd


def test_what_is_to_be_said_stands_above_its_extraction_and_on_stderr(project):
    result = run("convert-config", "config.yml")
    said = "visual.items.model.0.model_name: torchvision's resnet50 with its DEFAULT weights"
    assert said in result.stderr
    lines = result.stdout.splitlines()
    comment = next(at for at, line in enumerate(lines) if line.startswith(f"  # {said[:40]}"))
    entry = lines.index("  - name: visual-items-ResNet50")
    assert all(line.startswith("  #") for line in lines[comment:entry])
    assert all(len(line) <= 99 for line in lines)


def test_what_cannot_be_done_is_said_and_the_rest_is_printed(project):
    flags = [f"--audio={{items: {{input_path: songs, output_path: a, model: [{UNKNOWN}]}}}}"]
    result = run("convert-config", "config.yml", *flags, code=1)
    said = "audio.items.model.0.model_name: cannot be done: torchaudio's CONVTASNET_BASE_LIBRI2MIX"
    assert said in result.stderr
    tree = yaml.safe_load(result.stdout)
    assert "audio/encoder" not in [one["plugin"] for one in tree["extractions"]]
    assert len(tree["extractions"]) == 3
    assert "# audio.items.model.0.model_name" in result.stdout


def test_a_file_is_not_written_over(project):
    (project / "recipe.yaml").write_text("mine")
    result = run("convert-config", "config.yml", "--out", "recipe.yaml", code=2)
    assert "recipe.yaml cannot be written: File exists" in result.stderr
    assert (project / "recipe.yaml").read_text() == "mine"


def test_a_wrong_configuration_is_explained_and_nothing_is_printed(project):
    flag = "--visual.items.model.0.outptu_layers=x"
    result = run("convert-config", "config.yml", flag, code=2)
    assert "visual.items.model.0.outptu_layers: Ducho 2.0 has no such key" in result.stderr
    assert result.stdout == ""


def test_no_plugin_and_nothing_heavy_is_imported(project):
    script = (
        "import sys; from ducho_core.ducho2.loading import load; load('config.yml')\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert not tops & {"torch", "torchvision", "transformers", "pyarrow", "PIL"}
    assert not [name for name in tops if name.startswith("ducho_") and name != "ducho_core"]
