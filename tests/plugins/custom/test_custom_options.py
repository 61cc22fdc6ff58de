"""What a user may choose, how it is settled, and what of it is stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest
from click.testing import CliRunner, Result
from ducho_custom import CustomExtractor, CustomOptions, CustomRunOptions
from ducho_custom.trust import container

from ducho_core import InputField, OptionError, ResolveContext, UsageError
from ducho_core.cli import main
from ducho_core.options import describe, parse_options, restore_options, spec_options

GOLDEN = Path(__file__).with_name("golden.json")
PRECISION = ("compute_dtype", "tf32")


def golden_cases(forms: kit.Forms, bert: Path, vit: Path) -> dict[str, dict[str, Any]]:
    return {
        "factory": {
            "model": forms.safetensors,
            "factory": forms.factory,
            "arguments": {"classes": 5},
            "layers": ("pooled", "body"),
        },
        "torchvision": {
            "model": forms.safetensors,
            "architecture": "torchvision:resnet50",
            "ignore": ("fc",),
        },
        "timm": {"model": forms.safetensors, "architecture": "timm:resnet50", "prefix": "net."},
        "torchscript": {"model": forms.script, "pin": kit.sha256(forms.script)},
        "exported": {"model": forms.exported, "pin": kit.sha256(forms.exported)},
        "onnx": {"model": forms.onnx, "layers": ("maps:0",)},
        "transformers text": {"modality": "text", "model": bert, "pooling": "last"},
        "transformers image": {"model": vit, "architecture": None},
    }


def test_the_spec_is_the_golden_one(forms: kit.Forms, bert: Path, vit: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    cases = golden_cases(forms, bert, vit)
    assert golden.keys() == cases.keys()
    for name, asked in cases.items():
        resolved = kit.resolve(**asked)
        found = {
            "label": resolved.label,
            "options": spec_options(resolved.options),
            "identity": resolved.identity,
            "precision": resolved.precision,
            "outputs": [output.name for output in resolved.outputs],
        }
        # Files are written anew for each run of the tests; what they hold may vary with torch.
        plain = json.loads(json.dumps(found), object_hook=_without_digests)
        assert plain == golden[name], name


def _without_digests(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "DIGEST" if name.endswith("sha256") and len(str(value)) == 64 else value
        for name, value in values.items()
    }


def test_no_path_and_no_pin_enters_what_is_stored(
    forms: kit.Forms, bert: Path, vit: Path, tmp_path: Path
) -> None:
    kit.tokenizer().save_pretrained(tmp_path / "words")
    cases = golden_cases(forms, bert, vit) | {
        "tokenizer": {"modality": "text", "model": bert, "tokenizer": tmp_path / "words"},
        "architecture": {
            "modality": "text",
            "model": bert / "model.safetensors",
            "architecture": f"transformers:{bert}",
        },
    }
    for asked in cases.values():
        resolved = kit.resolve(**asked)
        stored = str((resolved.identity, spec_options(resolved.options), resolved.label))
        assert os.sep + "tmp" not in stored
        for path in (forms.folder, bert.parent, vit.parent, tmp_path):
            assert str(path) not in stored
        assert asked.get("pin", "none") not in stored


def test_options_survive_the_spec(forms: kit.Forms) -> None:
    resolved = kit.resolve(
        model=forms.safetensors, factory=forms.factory, arguments={"classes": 5}, mean=(0, 0, 0.5)
    )
    stored = json.loads(json.dumps(spec_options(resolved.options)))
    assert restore_options(CustomOptions, stored) == resolved.options


def test_options_are_read_from_a_command_line() -> None:
    pairs = ["model=m.pt", 'arguments={"classes": 5}', "layers=a,b", "pooling=last", "sha256=ab"]
    options, run_options = parse_options("custom/model", CustomOptions, CustomRunOptions, pairs)
    assert options == CustomOptions(
        model="m.pt", arguments={"classes": 5}, layers=("a", "b"), pooling="last"
    )
    assert run_options.sha256 == "ab"
    assert all(one.help for one in describe(CustomOptions))
    with pytest.raises(OptionError, match="did you mean 'architecture'"):
        parse_options("custom/model", CustomOptions, CustomRunOptions, ["architectur=timm:x"])


def test_a_file_beside_the_model_settles_the_preprocessing(
    forms: kit.Forms, tmp_path: Path
) -> None:
    model = tmp_path / "net.safetensors"
    model.write_bytes(forms.safetensors.read_bytes())
    asked = {"model": model, "factory": forms.factory}
    text = 'input_size = 48\nmean = [0, 0.5, 0.5]\nstd = [1, 1, 1]\ninterpolation = "lanczos"\n'
    (tmp_path / "preprocessing.toml").write_text(text)
    beside = kit.resolve(**asked)
    found = beside.identity["preprocessing"]
    assert found["size"] == [48, 48]
    assert found["mean"] == [0.0, 0.5, 0.5]
    assert found["interpolation"] == "lanczos"
    assert not any("preprocessing: none was given" in remark for remark in beside.remarks)
    over = kit.resolve(**asked, input_size=(40,))
    assert over.identity["preprocessing"]["size"] == [40, 40]
    assert over.identity["preprocessing"]["interpolation"] == "lanczos"
    named = tmp_path / "mine.toml"
    named.write_text("resize = [30, 20]\n")
    other = kit.resolve(**asked, preprocessing_file=named)
    assert other.identity["preprocessing"]["size"] == [30, 20]
    assert other.identity["preprocessing"]["interpolation"] == "bicubic"


def test_the_same_values_give_the_same_spec_wherever_they_stand(
    forms: kit.Forms, tmp_path: Path
) -> None:
    asked = {"model": forms.safetensors, "factory": forms.factory}
    (tmp_path / "p.toml").write_text('preprocessing = "zscore"\nresize = [32]\n')
    by_file = kit.resolve(**asked, preprocessing_file=tmp_path / "p.toml")
    by_option = kit.resolve(**asked, preprocessing="zscore", resize=(32,))
    assert by_file.identity == by_option.identity
    assert spec_options(by_file.options) == spec_options(by_option.options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sizes = [3]\n", r"no setting 'sizes'; did you mean 'resize'\?"),
        ('interpolation = "cubic"\n', "interpolation"),
        ("crop_pct = 2.0\n", "crop_pct"),
        ("mean = [1, 2, 3, 4]\n", "mean"),
        ("mean = \n", "is no TOML"),
        ("layers = ['a']\n", "no setting 'layers'"),
    ],
)
def test_what_a_preprocessing_file_cannot_say_is_told(
    forms: kit.Forms, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "p.toml").write_text(text)
    asked = {"model": forms.safetensors, "factory": forms.factory}
    with pytest.raises(UsageError, match=message):
        kit.resolve(**asked, preprocessing_file=tmp_path / "p.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        kit.resolve(**asked, preprocessing_file=tmp_path / "gone.toml")


@pytest.mark.parametrize("form", ["factory", "onnx"])
def test_preprocessing_that_nobody_gave_is_said_aloud(forms: kit.Forms, form: str) -> None:
    asked = (
        {"model": forms.onnx}
        if form == "onnx"
        else {"model": forms.safetensors, "factory": forms.factory}
    )
    assert any("none was given" in remark for remark in kit.resolve(**asked).remarks)
    for given in ({"resize": (kit.SIDE,)}, {"std": (1, 1, 1)}):
        remarks = kit.resolve(**asked, **given).remarks
        assert not any("none was given" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "needs a model: --model FILE"),
        ({"model": "net.safetensor"}, "did you mean 'net.safetensors'"),
        ({"model": "net.pth", "architecture": "resnet50"}, "write timm:NAME, torchvision:NAME"),
        ({"model": "net.pth", "architecture": "timn:resnet50"}, "did you mean timm:"),
        ({"model": "net.pth", "architecture": "timm:resnet5"}, "did you mean resnet5"),
        ({"model": "net.pth", "architecture": "torchvision:resnet5"}, "resnet50"),
        ({"model": "net.pth", "architecture": "transformers:gone"}, "there is no such folder"),
        (
            {"model": "net.pth", "architecture": "timm:resnet50", "factory": "a:b"},
            "keep one of them",
        ),
        ({"model": "net.onnx", "prefix": "a."}, "prefix has no meaning for net.onnx"),
        ({"model": "net.onnx", "arguments": {"a": 1}}, "arguments has no meaning"),
        ({"model": "net.onnx", "pooling": "last"}, "pooling=last is for texts"),
        ({"model": "net.onnx", "modality": "text"}, "takes images"),
        (
            {"model": "net.pth", "architecture": "timm:resnet50", "modality": "text"},
            "takes images; bind them with --image",
        ),
        (
            {"model": "net.pth", "architecture": "timm:resnet50", "prefix_tokens": 1},
            "drop prefix_tokens",
        ),
        ({"model": "net.pth", "factory": "mynet.py:make", "modality": "text"}, "need a tokenizer"),
    ],
)
def test_what_does_not_fit_is_told(
    forms: kit.Forms, asked: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.folder)
    with pytest.raises(UsageError, match=message):
        kit.make(**asked)


def test_two_inputs_are_one_too_many(bert: Path) -> None:
    fields = tuple(
        InputField(name=one, modality=one, storage="inline") for one in ("image", "text")
    )
    context = ResolveContext(precision="exact", run_options=CustomRunOptions(), inputs=fields)
    with pytest.raises(UsageError, match=r"takes one input, and image and text are bound"):
        CustomExtractor.resolve(CustomOptions(model=str(bert)), context)


def test_a_transformers_folder_keeps_its_own_preprocessing(vit: Path, bert: Path) -> None:
    with pytest.raises(OptionError, match=r"resize, mean: a Transformers folder has its own"):
        kit.resolve(model=vit, resize=(32,), mean=(0, 0, 0))
    with pytest.raises(UsageError, match="finds no image processor"):
        kit.resolve(model=bert)
    with pytest.raises(UsageError, match=r"pooling=gem is for images"):
        kit.make(modality="text", model=bert, pooling="gem")


def test_a_folder_is_no_weights_for_another(bert: Path, vit: Path) -> None:
    with pytest.raises(UsageError, match="name the file that holds the weights"):
        kit.resolve(modality="text", model=vit, architecture=f"transformers:{bert}")


def test_containers_are_told_by_content(forms: kit.Forms, tmp_path: Path) -> None:
    kinds = {
        "safetensors": "safetensors",
        "state": "checkpoint",
        "pickled": "checkpoint",
        "script": "torchscript",
        "exported": "exported",
        "onnx": "onnx",
    }
    for form, kind in kinds.items():
        assert container(str(getattr(forms, form))) == kind
    for form in ("script", "exported"):
        disguised = tmp_path / "innocent.safetensors"
        disguised.write_bytes(getattr(forms, form).read_bytes())
        assert container(str(disguised)) == kinds[form]


def test_the_light_modules_import_nothing_heavy() -> None:
    script = (
        "import sys, ducho_custom.plugin, ducho_custom.options, ducho_custom.command;"
        "ducho_custom.plugin.ducho_extractors();"
        "heavy = {'numpy', 'torch', 'timm', 'transformers', 'pyarrow', 'onnx', 'onnxruntime',"
        " 'safetensors', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_command_line_says_that_code_will_run(
    forms: kit.Forms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(3):
        (tmp_path / f"images/i{seed}.png").write_bytes(kit.picture(40, 30, seed))
    monkeypatch.chdir(tmp_path)

    def ducho(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    asked = ("extract", "images", "--plugin", "custom", "--model")
    factory = ("-o", f"factory={forms.factory}", "-o", "resize=32")
    done = ducho(*asked, str(forms.safetensors), *factory)
    assert done.exit_code == 0, done.output
    assert "runs your code, make of mynet" in done.stderr
    refused = ducho(*asked, str(forms.script))
    assert refused.exit_code == 2
    assert f"-o sha256={kit.sha256(forms.script)}" in refused.stderr
    assert "convert" in ducho("custom", "--help").stdout
