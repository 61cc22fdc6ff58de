"""``clip/dual`` against Transformers called directly."""

from __future__ import annotations

import shutil

import clip_kit as kit
import numpy as np
import pytest
import torch

from ducho_core import Media, UsageError

KINDS = list(kit.BUILDERS)
SIDES = ["image", "text"]


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_projected_vectors_are_the_librarys_own(model, library, values, kind, name):
    ours, theirs = values[name]
    whole = library(kind).projected(name, theirs)
    extractor = kit.load(model(kind), [name])
    found = kit.vectors(extractor, name, ours)
    assert list(found) == [f"{name}_embeds"]
    same = kit.relative(found[f"{name}_embeds"], whole)
    assert same <= 1e-5
    assert np.ptp(whole / np.linalg.norm(whole, axis=1, keepdims=True), axis=0).max() > 0.01

    # Other batches and orders: no further from the whole batch than the library's own are.
    cuts = [(1, None), (5, range(len(ours))[::-1])]
    spread = max(kit.relative(library(kind).projected(name, theirs, *cut), whole) for cut in cuts)
    others = [
        kit.vectors(extractor, name, ours, size=size, order=order)[f"{name}_embeds"]
        for size, order in cuts
    ]
    other = max(kit.relative(one, whole) for one in others)
    print(f"{kind} {name}: same batch {same:.1e}, others {other:.1e}, the library's {spread:.1e}")
    assert other <= 2 * spread


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", "altclip", "align", "chinese-clip"])
@pytest.mark.parametrize("name", SIDES)
def test_layers_and_poolings_are_transformers_own(model, library, values, kind, name):
    ours, theirs = values[name]
    tower = library(kind).tower(name, theirs)
    maps = tower.last_hidden_state.ndim == 4
    poolings = ["projected", "mean"]
    if (kind, name) != ("chinese-clip", "text"):  # it has no pooled output of its own
        poolings.append("pooler")
    if name == "text":
        poolings += ["cls", "last", "max"]
    elif kind in ("clip", "altclip", "chinese-clip"):
        poolings += ["cls"]
    count = len(tower.hidden_states)
    layers = (1, 2) if maps else (0, 1, count - 1)
    extractor = kit.load(
        model(kind), [name], **{f"{name}_pooling": tuple(poolings), f"{name}_layers": layers}
    )
    with kit.calls() as seen:
        found = kit.vectors(extractor, name, ours)
    blocks = {one for one in seen if one.endswith(("EncoderLayer", "VisionLayer", "TextLayer"))}
    assert all(seen.count(one) <= 3 for one in blocks)  # three layers: one pass
    assert kit.relative(found[f"{name}_embeds"], library(kind).projected(name, theirs)) <= 1e-5
    if "pooler" in poolings:
        assert kit.relative(found[f"{name}_pooler"], tower.pooler_output.flatten(1)) <= 1e-5
    inputs = library(kind).inputs(name, theirs)
    mask = inputs.get("attention_mask", inputs.get("pixel_attention_mask"))
    for layer in layers:
        states = tower.hidden_states[layer]
        if maps:
            assert kit.relative(found[f"{name}_layer{layer}_mean"], states.mean((2, 3))) <= 1e-5
            continue
        if mask is None:
            mask = torch.ones(states.shape[:2])
        weights = mask[..., None].float()
        expected = {"mean": (states * weights).sum(1) / weights.sum(1), "cls": states[:, 0]}
        last = states[torch.arange(len(states)), mask.sum(1).long() - 1]
        expected |= {"last": last, "max": states.masked_fill(weights == 0, -torch.inf).amax(1)}
        for how in set(poolings) & set(expected):
            assert kit.relative(found[f"{name}_layer{layer}_{how}"], expected[how]) <= 1e-5, how


def test_the_final_output_is_pooled_where_no_layers_are_given(model, library, values):
    ours, theirs = values["text"]
    tower = library("clip").tower("text", theirs)
    extractor = kit.load(model("clip"), ["text"], text_pooling=("last", "pooler"))
    found = kit.vectors(extractor, "text", ours)
    assert list(found) == ["text_pooler", "text_last"]
    # CLIP's pooled output is its final one at the end of the text.
    assert kit.relative(found["text_last"], tower.pooler_output) <= 1e-5
    assert kit.relative(found["text_pooler"], tower.pooler_output) <= 1e-5


def test_the_last_hidden_state_of_every_tower_is_minus_one(model, library, values):
    for kind in ("clip", "siglip", "align"):
        for name, (ours, theirs) in values.items():
            tower = library(kind).tower(name, theirs)
            deepest = len(tower.hidden_states) - 1
            options = {f"{name}_pooling": ("mean",), f"{name}_layers": (-1,)}
            found = kit.vectors(kit.load(model(kind), [name], **options), name, ours)
            assert list(found) == [f"{name}_layer{deepest}_mean"]


def test_nothing_past_the_deepest_layer_is_computed(model, values):
    ours, _ = values["image"]
    options = {"image_pooling": ("cls",), "image_layers": (1,)}
    extractor = kit.load(model("clip"), ["image"], **options)
    with kit.calls() as seen:
        found = kit.vectors(extractor, "image", ours)
    assert list(found) == ["image_layer1_cls"]
    assert seen.count("CLIPEncoderLayer") == 1


def test_normalized_vectors_are_those_that_the_model_compares(model, library, values):
    images, texts = values["image"], values["text"]
    extractor = kit.load(model("clip"), normalize=True)
    clip = library("clip")
    with torch.inference_mode():
        output = clip.model(**clip.inputs("image", images[1]), **clip.inputs("text", texts[1]))
    found = {
        **kit.vectors(extractor, "image", images[0]),
        **kit.vectors(extractor, "text", texts[0]),
    }
    assert kit.relative(found["image_embeds"], output.image_embeds) <= 1e-5
    assert kit.relative(found["text_embeds"], output.text_embeds) <= 1e-5


def test_normalizing_leaves_other_outputs_alone(model, values):
    ours, _ = values["text"]
    options = {"text_pooling": ("projected", "pooler")}
    plain = kit.vectors(kit.load(model("clip"), ["text"], **options), "text", ours)
    scaled = kit.vectors(
        kit.load(model("clip"), ["text"], normalize=True, **options), "text", ours
    )
    assert np.array_equal(plain["text_pooler"], scaled["text_pooler"])
    assert np.allclose(np.linalg.norm(scaled["text_embeds"], axis=1), 1)
    assert not np.allclose(np.linalg.norm(plain["text_embeds"], axis=1), 1)


def test_siglip_depends_on_padding_and_gets_what_it_was_trained_on(model, library, values):
    ours, theirs = values["text"]
    siglip = library("siglip")
    with torch.inference_mode():
        inputs = siglip.tokenizer(theirs, padding=True, truncation=True, return_tensors="pt")
        short = {"input_ids": inputs["input_ids"][:1, :4]}
        unpadded = siglip.model.get_text_features(**short).pooler_output
    alone = kit.vectors(kit.load(model("siglip"), ["text"]), "text", ours[:1])["text_embeds"]
    assert kit.relative(alone, siglip.projected("text", theirs[:1])) <= 1e-5
    assert kit.relative(alone, unpadded) > 0.01


def test_siglips_own_tokenizer(model, values, tmp_path):
    folder = shutil.copytree(model("siglip"), tmp_path / "siglip")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    kit.siglip_tokenizer(tmp_path).save_pretrained(folder)
    ours, theirs = values["text"]
    siglip = kit.Library(folder)
    assert type(siglip.tokenizer).__name__ == "SiglipTokenizer"
    found = kit.vectors(kit.load(folder, ["text"]), "text", ours)["text_embeds"]
    assert kit.relative(found, siglip.projected("text", theirs)) <= 1e-5
    shouted = [one.upper().replace(" ", "! ") for one in theirs]
    again = kit.vectors(kit.load(folder, ["text"]), "text", shouted)["text_embeds"]
    assert kit.relative(again, found) <= 1e-6


def test_a_left_padding_tokenizer_pads_siglip_on_the_left(model, library, values, tmp_path):
    folder = shutil.copytree(model("siglip"), tmp_path / "left")
    tokenizer = kit.hf.AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.save_pretrained(folder)
    ours, theirs = values["text"]
    found = kit.vectors(kit.load(folder, ["text"]), "text", ours)["text_embeds"]
    assert kit.relative(found, kit.Library(folder).projected("text", theirs)) <= 1e-5
    assert kit.relative(found, library("siglip").projected("text", theirs)) > 0.01


def test_images_of_several_shapes_share_a_batch(model, library, values, tmp_path):
    """A processor that does not crop, before a model that takes any size."""
    folder = shutil.copytree(model("align"), tmp_path / "any")
    processor = kit.hf.EfficientNetImageProcessorPil(do_resize=False)
    processor.save_pretrained(folder)
    ours, theirs = values["image"]
    found = kit.vectors(kit.load(folder, ["image"]), "image", ours)["image_embeds"]
    alone = kit.Library(folder).projected("image", theirs, 1)
    assert kit.relative(found, alone) <= 1e-4


def test_fast_is_close(model, library, values):
    for name, (ours, theirs) in values.items():
        exact = library("clip").projected(name, theirs)
        extractor = kit.load(model("clip"), [name], precision="fast")
        found = kit.vectors(extractor, name, ours)[f"{name}_embeds"]
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
        assert ((found * exact).sum(1) / norms).min() >= 0.99


def test_native_is_the_checkpoints_own_dtype(model, values, tmp_path):
    half = kit.hf.AutoModel.from_pretrained(model("clip"), dtype=torch.bfloat16)
    folder = tmp_path / "half"
    half.save_pretrained(folder)
    kit.hf.AutoTokenizer.from_pretrained(model("clip")).save_pretrained(folder)
    kit.hf.AutoImageProcessor.from_pretrained(model("clip"), backend="pil").save_pretrained(folder)
    ours, theirs = values["image"]
    found = kit.resolved(folder, ["image"], precision="native")
    assert found.precision == {"compute_dtype": "bfloat16", "tf32": False}
    native = kit.vectors(kit.load(folder, ["image"], precision="native"), "image", ours)
    processor = kit.hf.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        pixels = processor(images=theirs, return_tensors="pt")["pixel_values"].bfloat16()
        library = half.eval().get_image_features(pixels).pooler_output.float()
    assert kit.relative(native["image_embeds"], library) <= 1e-5


def test_resize_comes_before_the_image_processor(model, library, values):
    ours, theirs = values["image"]
    found = kit.vectors(kit.load(model("clip"), ["image"], resize=(50, 40)), "image", ours)
    resized = [one.resize((50, 40), kit.Image.Resampling.BICUBIC) for one in theirs]
    assert kit.relative(found["image_embeds"], library("clip").projected("image", resized)) <= 1e-5


def test_class_token_where_there_is_none(model, values):
    for kind in ("siglip", "siglip2"):
        with pytest.raises(UsageError, match="no class token"):
            kit.load(model(kind), ["image"], image_pooling=("cls",))
    with pytest.raises(UsageError, match="maps, not tokens"):
        kit.load(model("align"), ["image"], image_pooling=("cls",))


def test_both_inputs_of_an_item_may_come_at_once(model, values):
    extractor = kit.load(model("clip"))
    images, texts = values["image"][0], values["text"][0]
    samples = extractor.prepare_many(
        [{"image": one, "text": text} for one, text in zip(images, texts, strict=False)]
    )
    both = extractor.extract(samples)
    assert list(both) == ["image_embeds", "text_embeds"]
    alone = kit.vectors(extractor, "image", images)["image_embeds"]
    assert np.array_equal(both["image_embeds"], alone)


def test_notes_and_sizes(model):
    extractor = kit.load(model("clip"))
    frames = [kit.Image.new("RGB", (40, 40), shade) for shade in ("red", "blue")]
    moving = kit.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    image = extractor.prepare({"image": Media(moving)})
    assert (image.notes, extractor.size(image)) == (("first_frame",), 16)
    cut, whole = extractor.prepare_many([{"text": "a shoe " * 40}, {"text": "a red shoe"}])
    assert (cut.notes, extractor.size(cut)) == (("truncated",), 24)
    assert (whole.notes, extractor.size(whole)) == ((), 5)
    padded = kit.load(model("siglip"), ["text"])
    assert padded.size(padded.prepare({"text": "a red shoe"})) == 16
