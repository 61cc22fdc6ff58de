"""``hf/vision`` against Transformers called directly."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch
import transformers
from ducho_hf.images import ImagePreparation, load_processor, preprocessing
from ducho_hf.options import VisionOptions
from ducho_hf.source import ModelSource
from ducho_hf.vision import VisionExtractor
from PIL import Image

from ducho_core import ItemError, Media, RunOptions, UsageError

RUN = RunOptions(device="cpu")


def resolved_model(context, precision="exact", **options):
    return VisionExtractor.resolve(VisionOptions(**options), context(precision, "image"))


def loaded(context, precision="exact", **options):
    return VisionExtractor.load(resolved_model(context, precision, **options), RUN)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pictures():
    """Twelve photograph-like images of different shapes."""
    random = np.random.default_rng(0)
    shapes = [(32, 32), (40, 90), (200, 64), (33, 31), *[(48, 64)] * 8]
    coarse = [random.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in shapes]
    return [
        Image.fromarray(one).resize(shape, Image.Resampling.BICUBIC)
        for one, shape in zip(coarse, shapes, strict=True)
    ]


@pytest.fixture(scope="module")
def items(pictures):
    return [{"image": Media(encoded(picture))} for picture in pictures]


def reference(folder, pictures, model=None):
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = model or transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return model.eval()(
            **processor(images=pictures, return_tensors="pt"), output_hidden_states=True
        )


def test_cls_mean_and_pooler(context, vit, pictures, items, vectors, relative):
    output = reference(vit, pictures)
    states = output.last_hidden_state
    extractor = loaded(context, model=str(vit), pooling=("cls", "mean", "pooler"))
    found = vectors(extractor, items)
    assert relative(found["cls"], states[:, 0].numpy()) <= 1e-5
    assert relative(found["mean"], states.mean(1).numpy()) <= 1e-5
    assert relative(found["pooler"], output.pooler_output.numpy()) <= 1e-5


def test_other_batches_differ_no_more_than_the_librarys_own_do(
    context, vit, pictures, items, vectors, relative
):
    model = transformers.AutoModel.from_pretrained(vit, dtype=torch.float32)
    whole = reference(vit, pictures, model).last_hidden_state[:, 0].numpy()
    alone = [reference(vit, [one], model).last_hidden_state[:, 0].numpy() for one in pictures]
    spread = relative(np.concatenate(alone), whole)
    extractor = loaded(context, model=str(vit))
    ours = max(
        relative(vectors(extractor, items, size=size, order=order)["cls"], whole)
        for size, order in ((1, None), (5, range(len(items))[::-1]))
    )
    print(f"largest relative difference: ours {ours:.2e}, the library's own {spread:.2e}")
    assert ours <= 2 * spread


def test_layers_are_transformers_hidden_states(context, vit, pictures, items, vectors, relative):
    states = reference(vit, pictures).hidden_states
    extractor = loaded(context, model=str(vit), layers=(0, 1, -2))
    calls = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: calls.append(type(module).__name__)
    )
    try:
        found = vectors(extractor, items)
    finally:
        handle.remove()
    assert list(found) == ["layer0_cls", "layer1_cls", "layer2_cls"]
    assert calls.count("ViTLayer") == 2
    for layer in (0, 1, 2):
        assert relative(found[f"layer{layer}_cls"], states[layer][:, 0].numpy()) <= 1e-5


@pytest.mark.parametrize("folder", ["vit", "clip"])
def test_pixels_are_the_image_processors_bit_for_bit(request, folder, pictures):
    path = request.getfixturevalue(folder)
    processor, backend = load_processor(ModelSource(folder=str(path), name=folder))
    preparation = ImagePreparation(processor)
    assert (backend, preparation.uint8) == ("pil", True)
    prepared = [preparation.prepare(one) for one in pictures]
    assert {one["pixel_values"].dtype for one in prepared} == {np.dtype(np.uint8)}
    ours = preparation.batch(prepared, torch.device("cpu"))["pixel_values"].numpy()
    library = transformers.AutoImageProcessor.from_pretrained(path, backend="pil")
    assert np.array_equal(ours, library(images=pictures, return_tensors="np")["pixel_values"])


def test_a_processor_whose_pixels_are_no_table_hands_over_its_own_output(vit, pictures):
    processor = transformers.AutoImageProcessor.from_pretrained(
        vit, backend="pil", do_rescale=False, do_normalize=False
    )
    preparation = ImagePreparation(processor)
    assert not preparation.uint8
    prepared = [preparation.prepare(one) for one in pictures]
    ours = preparation.batch(prepared, torch.device("cpu"))["pixel_values"].numpy()
    assert np.array_equal(ours, processor(images=pictures, return_tensors="np")["pixel_values"])


def test_of_clip_only_the_vision_tower(context, clip, pictures, items, vectors, relative):
    tower = transformers.CLIPVisionModel.from_pretrained(clip, dtype=torch.float32)
    output = reference(clip, pictures, tower)
    calls = []
    extractor = loaded(context, model=str(clip), pooling=("cls", "pooler"))
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: calls.append(type(module).__name__)
    )
    try:
        found = vectors(extractor, items)
    finally:
        handle.remove()
    assert not [name for name in calls if "Text" in name]
    assert relative(found["cls"], output.last_hidden_state[:, 0].numpy()) <= 1e-5
    assert relative(found["pooler"], output.pooler_output.numpy()) <= 1e-5


def test_a_model_without_class_token_gives_no_cls(context, tmp_path, save_model, items, vectors):
    config = transformers.SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    folder = save_model(tmp_path / "siglip", transformers.SiglipVisionModel(config), processor)
    with pytest.raises(UsageError, match="no class token"):
        loaded(context, model=str(folder))
    found = vectors(loaded(context, model=str(folder), pooling=("pooler", "mean")), items)
    assert {name: values.shape for name, values in found.items()} == {
        "pooler": (len(items), 32),
        "mean": (len(items), 32),
    }


def test_a_convolutional_network(
    context, tmp_path, save_model, pictures, items, vectors, relative
):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    folder = save_model(tmp_path / "resnet", transformers.ResNetModel(config), processor)
    output = reference(folder, pictures)
    found = vectors(loaded(context, model=str(folder), pooling=("mean", "pooler")), items)
    assert relative(found["mean"], output.last_hidden_state.mean((2, 3)).numpy()) <= 1e-5
    assert relative(found["pooler"], output.pooler_output.flatten(1).numpy()) <= 1e-5
    with pytest.raises(UsageError, match="maps, not tokens"):
        loaded(context, model=str(folder), pooling=("cls",))


def test_fast_is_close(context, vit, pictures, items, vectors):
    exact = reference(vit, pictures).last_hidden_state[:, 0].numpy()
    found = vectors(loaded(context, "fast", model=str(vit)), items)["cls"]
    cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() >= 0.999


def test_resolved_pickles_and_agrees_with_load(context, vit):
    resolved = resolved_model(context, model=str(vit), layers=(1,), pooling=("cls", "mean"))
    again = pickle.loads(pickle.dumps(resolved))
    assert VisionExtractor.load(again, RUN).outputs == resolved.outputs
    assert resolved.identity["preprocessing"] == {
        "processor": "ViTImageProcessorPil",
        "backend": "pil",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def test_an_animation_is_noted_and_a_broken_or_extreme_image_fails_alone(context, clip, pictures):
    extractor = loaded(context, model=str(clip))
    frames = [Image.new("RGB", (40, 40), shade) for shade in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert extractor.prepare({"image": Media(moving)}).notes == ("first_frame",)
    with pytest.raises(ItemError, match="format_not_allowed"):
        extractor.prepare({"image": Media(b"no image")})
    with pytest.raises(ItemError, match="extreme_aspect_ratio"):
        extractor.prepare({"image": Media(encoded(Image.new("RGB", (1, 70_000))))})


def test_a_model_without_image_processor_says_so(context, bert):
    with pytest.raises(UsageError, match="no image processor for the model 'bert'"):
        resolved_model(context, model=str(bert))


def test_resize_comes_before_the_image_processor(context, vit, pictures, vectors, relative):
    squeezed = [one.resize((50, 37), Image.Resampling.BICUBIC) for one in pictures]
    expected = reference(vit, squeezed).pooler_output.numpy()
    extractor = loaded(context, model=str(vit), pooling=("pooler",), resize=(50, 37))
    found = vectors(extractor, [{"image": Media(encoded(one))} for one in pictures])
    assert relative(found["pooler"], expected) <= 1e-5


def test_another_image_processor(context, vit, clip, pictures, items, vectors, relative):
    processor = transformers.AutoImageProcessor.from_pretrained(clip, backend="pil")
    model = transformers.AutoModel.from_pretrained(vit, dtype=torch.float32).eval()
    with torch.inference_mode():
        pixels = processor(images=pictures, return_tensors="pt")["pixel_values"]
        expected = model(pixels).pooler_output.numpy()
    chosen = {"model": str(vit), "pooling": ("pooler",), "image_processor": str(clip)}
    assert relative(vectors(loaded(context, **chosen), items)["pooler"], expected) <= 1e-5
    resolved = resolved_model(context, **chosen)
    assert resolved.options.image_processor == clip.name
    assert resolved.identity["image_processor"] == {"model": clip.name}


def test_a_revision_without_an_image_processor_is_refused(context, vit):
    with pytest.raises(UsageError, match="only together with image_processor"):
        resolved_model(context, model=str(vit), image_processor_revision="main")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("MobileViT", {"do_flip_channel_order": False}),
        ("GLPN", {"size_divisor": 16}),
        ("DPT", {"keep_aspect_ratio": True, "ensure_multiple_of": 32}),
        ("Donut", {"do_align_long_axis": True}),
    ],
)
def test_a_setting_that_changes_the_pixels_is_in_the_spec(kind, change):
    noise = np.random.default_rng(0).integers(0, 256, (88, 56, 3), dtype=np.uint8)
    noise[..., 0] //= 2
    sides = {} if kind == "GLPN" else {"size": {"height": 48, "width": 64}}
    sides |= {"size": {"shortest_edge": 40}} if kind == "MobileViT" else {}
    processors = [
        getattr(transformers, f"{kind}ImageProcessorPil")(**sides, **settings)
        for settings in ({}, change)
    ]
    one, other = (
        processor(images=Image.fromarray(noise), return_tensors="np")["pixel_values"][0]
        for processor in processors
    )
    assert one.shape != other.shape or not np.array_equal(one, other)
    recorded = [preprocessing(processor, "pil") for processor in processors]
    assert recorded[0] != recorded[1]
