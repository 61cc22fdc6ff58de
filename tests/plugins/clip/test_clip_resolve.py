"""What ``clip/dual`` settles before loading, what it loads, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import clip_kit as kit
import pytest
import torch
from safetensors.torch import load_file, save_file

from ducho_core import ItemError, Media, UsageError
from ducho_core.options import spec_options

GOLDEN = Path(__file__).with_name("golden.json")


def without_weights(source: Path, folder: Path, *prefixes: str) -> Path:
    """A copy of a model that lacks some weights."""
    shutil.copytree(source, folder)
    kept = load_file(folder / "model.safetensors")
    kept = {name: one for name, one in kept.items() if not name.startswith(prefixes)}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


def modules(extractor) -> set[str]:
    """Class names of all modules that an extractor holds."""
    return {
        type(module).__name__
        for side in extractor._sides.values()
        for module in side._tower._features.__self__.modules()
    }


@pytest.mark.parametrize("kind", ["clip", "siglip", "altclip", "align"])
def test_the_spec_is_the_golden_one(model, kind):
    one = kit.resolved(model(kind), text_pooling=("projected", "mean"), text_layers=(-1,))
    identity = dict(one.identity)
    assert len(identity.pop("weights_sha256")) == len(identity.pop("config_sha256")) == 64
    text = dict(one.input_identity["text"])
    assert len(text.pop("tokenizer_sha256")) == 64
    found = {
        "label": one.label,
        "identity": identity,
        "image": one.input_identity["image"],
        "text": text,
        "options": {name: spec_options(one.options, (name,)) for name in kit.BOTH},
        "precision": one.precision,
        "outputs": [[output.name, output.dim, output.requires] for output in one.outputs],
    }
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())[kind]


@pytest.mark.parametrize("kind", list(kit.BUILDERS))
def test_load_gives_the_outputs_that_resolve_named(model, kind):
    one = kit.resolved(model(kind))
    loaded = {output.name: output for output in kit.DualExtractor.load(one, kit.RUN).outputs}
    assert list(loaded) == ["image_embeds", "text_embeds"]
    for output in one.outputs:
        assert output == loaded[output.name]


def test_the_two_sets_do_not_depend_on_each_other(model):
    both = kit.resolved(model("clip"), image_layers=(1,), image_pooling=("cls",), max_length=9)
    image = kit.resolved(model("clip"), ["image"], image_layers=(1,), image_pooling=("cls",))
    text = kit.resolved(model("clip"), ["text"], max_length=9)
    assert both.input_identity == {**image.input_identity, **text.input_identity}
    assert (both.identity, both.precision) == (image.identity, image.precision)
    for name, alone in (("image", image), ("text", text)):
        assert spec_options(both.options, (name,)) == spec_options(alone.options, (name,))


@pytest.mark.parametrize("kind", ["clip", "siglip", "altclip", "align"])
def test_only_the_wanted_tower_is_loaded(model, values, tmp_path, kind):
    vision_free = without_weights(model(kind), tmp_path / "text", "vision_", "visual_")
    extractor = kit.load(vision_free, ["text"])
    assert not [name for name in modules(extractor) if "Vision" in name]
    whole = kit.load(model(kind), ["text"])
    ours = values["text"][0]
    found = kit.vectors(extractor, "text", ours)["text_embeds"]
    assert (found == kit.vectors(whole, "text", ours)["text_embeds"]).all()

    text_free = without_weights(model(kind), tmp_path / "image", "text_", "logit_", "temperature")
    extractor = kit.load(text_free, ["image"])
    assert not [name for name in modules(extractor) if "Text" in name]
    assert kit.vectors(extractor, "image", values["image"][0])["image_embeds"].shape[0] == 9


def test_a_sets_pass_runs_its_own_tower_alone(model, values):
    extractor = kit.load(model("clip"))
    with kit.calls() as seen:
        kit.vectors(extractor, "image", values["image"][0])
    assert "CLIPVisionModel" in seen
    assert "CLIPTextModel" not in seen
    with kit.calls() as seen:
        kit.vectors(extractor, "text", values["text"][0])
    assert "CLIPTextModel" in seen
    assert "CLIPVisionModel" not in seen


def test_weights_that_would_be_used_are_never_made_up(model, tmp_path):
    folder = without_weights(model("clip"), tmp_path / "a", "text_projection", "logit_scale")
    kit.load(folder, ["image"])
    with pytest.raises(UsageError, match=r"lacks 1 weights.*text_projection\.weight"):
        kit.load(folder)


def test_a_text_set_needs_no_image_processor(model, tmp_path):
    folder = shutil.copytree(model("clip"), tmp_path / "text-only")
    (folder / "preprocessor_config.json").unlink()
    kit.load(folder, ["text"])
    with pytest.raises(UsageError, match="no image processor for the model 'text-only'"):
        kit.resolved(folder)


def test_other_tokenizer_and_image_processor(model, library, values, tmp_path):
    folder = tmp_path / "parts"
    kit.tokenizer(12, end_last=True).save_pretrained(folder)
    kit.hf.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    options = {"tokenizer": str(folder), "image_processor": str(folder)}
    one = kit.resolved(model("clip"), **options)
    assert one.input_identity["image"]["image_processor"] == {"model": "parts"}
    assert one.input_identity["image"]["preprocessing"]["processor"] == "ViTImageProcessorPil"
    assert one.input_identity["text"]["tokenizer"] == {"model": "parts"}
    assert one.input_identity["text"]["max_length"] == 12
    assert (one.options.tokenizer, one.options.image_processor) == ("parts", "parts")
    assert str(tmp_path) not in json.dumps([spec_options(one.options), one.input_identity])
    extractor = kit.DualExtractor.load(one, kit.RUN)
    ours, theirs = values["image"]
    found = kit.vectors(extractor, "image", ours)["image_embeds"]
    clip = kit.Library(model("clip"))
    clip.processor = kit.hf.AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert kit.relative(found, clip.projected("image", theirs)) <= 1e-5
    assert kit.relative(found, library("clip").projected("image", theirs)) > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_layers": (7,), "image_pooling": ("cls",)}, r"image_layers: .* 0 to 3 .* no 7"),
        ({"text_layers": (-9,), "text_pooling": ("last",)}, r"text_layers: .* there is no -9"),
        ({"text_layers": (1,)}, r"text_layers: say how .* -o text_pooling=mean"),
        ({"max_length": 99}, r"max_length=99: the model has positions for 24 tokens"),
        ({"tokenizer_revision": "main"}, r"tokenizer_revision has a meaning only together"),
        ({"image_processor_revision": "x"}, r"image_processor_revision has a meaning only"),
        ({"revision": "main"}, r"is a folder here, so a revision has no meaning"),
        ({"trust_remote_code": True}, r"trust_remote_code .* 40-digit commit"),
    ],
)
def test_options_that_do_not_fit(model, options, message):
    with pytest.raises(UsageError, match=message):
        kit.resolved(model("clip"), **options)


def test_without_a_model_three_good_ones_are_named():
    context = kit.ResolveContext(precision="exact", run_options=kit.RUN, inputs=())
    with pytest.raises(UsageError) as caught:
        kit.DualExtractor.resolve(kit.DualOptions(), context)
    assert str(caught.value).count("--model") == 3
    assert "openai/clip-vit-base-patch32" in str(caught.value)
    assert "605 MB, 512 numbers" in str(caught.value)


def test_a_model_of_one_modality_is_no_dual_encoder(tmp_path):
    config = kit.hf.BertConfig(**kit.SMALL, vocab_size=kit.VOCABULARY)
    kit.hf.BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match=r"'bert' \(bert\) is no dual encoder.*hf/text"):
        kit.resolved(tmp_path / "bert")


def test_a_pickle_is_refused_and_runs_nothing(model, tmp_path):
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sung",))

    folder = shutil.copytree(model("clip"), tmp_path / "pickled")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, "canary": Canary()}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="would run code when loaded"):
        kit.load(folder)
    assert not (tmp_path / "sung").exists()


def test_what_cannot_be_used_fails_alone(model, values):
    extractor = kit.load(model("clip"))
    with pytest.raises(ItemError, match="format_not_allowed"):
        extractor.prepare({"image": Media(b"no image")})
    narrow = Media(kit.encoded(kit.Image.new("RGB", (1, 70_000))))
    with pytest.raises(ItemError, match="extreme_aspect_ratio"):
        extractor.prepare({"image": narrow})


def test_listing_the_plugin_imports_nothing_heavy():
    script = (
        "import sys, ducho_clip, ducho_clip.plugin, ducho_clip.options, ducho_clip.models;"
        "ducho_clip.plugin.ducho_extractors(); ducho_clip.known_models();"
        "heavy = {'torch', 'transformers', 'numpy', 'PIL', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
