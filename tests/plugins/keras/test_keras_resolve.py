"""What resolve settles without building a network, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras_kit as kit
import msgspec
import numpy as np
import pytest
from ducho_keras import KerasOptions, KerasRunOptions, fetching, sources
from ducho_keras.applications import applications, known_models

from ducho_core import SourceError, TransientError, UsageError
from ducho_core.options import describe, spec_options

GOLDEN = Path(__file__).with_name("golden.json")
MODEL = "MobileNetV3Small"
CASES: dict[str, dict[str, Any]] = {
    "defaults": {"model": "ResNet50", "pretrained": False},
    "ducho-2.0": {
        "model": "VGG19",
        "layers": ("fc2",),
        "resize": (224, 224),
        "weights_file": "vgg19.h5",
    },
    "fast": {
        "model": "efficientnetb0",
        "preprocessing": "zscore",
        "precision": "fast",
        "pretrained": False,
        "seed": 3,
    },
}


def golden(name: str, folder: Path) -> dict[str, Any]:
    """What of a case enters the SPEC."""
    case = dict(CASES[name])
    if "weights_file" in case:
        case["weights_file"] = folder / case["weights_file"]
        case["weights_file"].write_bytes(b"weights")
    resolved = kit.resolve(**case)
    precision = dict(resolved.precision)
    if case.get("precision") == "fast":  # bfloat16 where the processor has it
        assert precision.pop("compute_dtype") in ("float32", "bfloat16")
    return {
        "label": resolved.label,
        "identity": resolved.identity,
        "precision": precision,
        "options": spec_options(resolved.options),
        "outputs": [output.name for output in resolved.outputs],
    }


@pytest.mark.parametrize("name", CASES)
def test_golden_spec_pieces(name: str, tmp_path: Path) -> None:
    found = golden(name, tmp_path)
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())[name]
    assert str(tmp_path) not in json.dumps(found)


def test_however_a_model_is_written_the_spec_is_the_same() -> None:
    plain, written = (kit.resolve(model=name, pretrained=False) for name in (MODEL, MODEL.upper()))
    assert spec_options(written.options) == spec_options(plain.options)
    assert written.identity == plain.identity


def test_without_a_model_three_good_ones_are_named_with_sizes() -> None:
    with pytest.raises(UsageError, match=r"--model NAME") as caught:
        kit.resolve()
    assert str(caught.value).count(" MB, ") == 3
    for known in known_models()[:3]:
        assert known.name in str(caught.value)
        assert known.facts in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "ResNt50"}, "did you mean ResNet50"),
        ({"model": "NASNetMobile"}, "does not build NASNetMobile on torch"),
        ({"model": MODEL, "weights_file": "nowhere.h5"}, "no such file"),
        ({"model": MODEL, "weights_file": __file__}, r"end in \.weights\.h5"),
        ({"model": MODEL, "weights_file": "w.h5", "pretrained": False}, "contradict each other"),
    ],
)
def test_what_is_not_to_be_had(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kit.resolve(**options)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Keras', on a machine without a network."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "urlopen", unreachable)
    return tmp_path / "models"


def test_weights_that_the_cache_lacks_are_an_error_that_helps(cache: Path) -> None:
    with pytest.raises(TransientError, match=r"ResNet50 \(102 MB\)") as told:
        kit.resolve(model="ResNet50")
    place = cache / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    for words in (str(place), "weights_file=PATH", "pretrained=false"):
        assert words in str(told.value)


def test_a_damaged_file_in_the_cache_is_refused(cache: Path) -> None:
    cache.mkdir()
    (cache / applications()[MODEL].file).write_bytes(b"damaged")
    with pytest.raises(SourceError, match="Delete it"):
        kit.resolve(model=MODEL)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of one network in each form that Keras has."""
    folder = tmp_path_factory.mktemp("saved")
    model = kit.random_model(MODEL, 64, seed=5)
    model.save(folder / "whole.keras")
    model.save(folder / "whole.h5")
    model.save_weights(folder / "own.weights.h5")
    return folder


@pytest.fixture(scope="module")
def expected(saved: Path, pictures: Any) -> np.ndarray:
    model = kit.random_model(MODEL, 64, seed=5)
    return kit.direct(model, "dropout", pictures, "mobilenet_v3").reshape(6, -1)


@pytest.mark.parametrize("file", ["own.weights.h5", "whole.h5", "whole.keras"])
def test_weights_from_a_file(file: str, saved: Path, expected: np.ndarray, pictures: Any) -> None:
    extractor = kit.make(weights_file=saved / file, model=MODEL, resize=(64,))
    assert kit.distances(kit.features(extractor, pictures)["pooled"], expected).max() <= 1e-5


def test_weights_in_keras_cache_are_verified_and_used(
    cache: Path, saved: Path, expected: np.ndarray, pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (saved / "whole.h5").read_bytes()
    made = msgspec.structs.replace(applications()[MODEL], digest=hashlib.md5(content).hexdigest())
    monkeypatch.setattr(sources, "applications", lambda: {MODEL: made})
    cache.mkdir()
    (cache / made.file).write_bytes(content)
    assert kit.resolve(model=MODEL).identity["weights"] == {
        "entry": "imagenet",
        "file": made.file,
        "sha256": kit.resolve(model=MODEL).identity["weights"]["sha256"],
    }
    extractor = kit.make(model=MODEL, pretrained=True, resize=(64,))
    assert kit.distances(kit.features(extractor, pictures)["pooled"], expected).max() <= 1e-5


def test_the_first_efficientnets_are_built_for_keras_own_weights_as_keras_does(
    cache: Path, tmp_path: Path, pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "EfficientNetB0"
    kit.random_model(name, 224, seed=5).save(tmp_path / "whole.h5")
    content = (tmp_path / "whole.h5").read_bytes()
    digest = hashlib.md5(content).hexdigest()
    made = msgspec.structs.replace(applications()[name], digest=digest)
    monkeypatch.setattr(sources, "applications", lambda: {name: made})
    with pytest.raises(UsageError, match=r"put it into .*models and drop weights_file"):
        kit.resolve(model=name, weights_file=tmp_path / "whole.h5")
    cache.mkdir()
    (cache / made.file).write_bytes(content)
    source = sys.modules[kit.keras.applications.EfficientNetB0.__module__]
    monkeypatch.setitem(source.WEIGHTS_HASHES, "b0", (digest, digest))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    layers = ("rescaling_1", "pooled")
    extractor = kit.make(model=name, pretrained=True, layers=layers)
    kit.keras.utils.clear_session()
    model = kit.keras.applications.EfficientNetB0(weights="imagenet")
    ours = kit.features(extractor, pictures[:2])
    theirs = kit.direct(model, "top_dropout", pictures[:2], "efficientnet")
    assert kit.distances(ours["pooled"], theirs).max() <= 1e-5
    with pytest.raises(UsageError, match="its own size only"):
        kit.make(model=name, pretrained=True, resize=(64,))
    # From a folder that it may not write to, Keras does not read the file that was hashed.
    monkeypatch.setattr(os, "access", lambda *_asked: False)
    with pytest.raises(UsageError, match="point KERAS_HOME to a copy"):
        kit.make(model=name, pretrained=True)


def test_code_in_a_keras_archive_never_runs(tmp_path: Path, saved: Path) -> None:
    trace = tmp_path / "trace"
    code = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    evil = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": code}}},
        "registered_name": None,
    }
    with zipfile.ZipFile(saved / "whole.keras") as old:
        parts = {name: old.read(name) for name in old.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"].append(evil)
    parts["config.json"] = json.dumps(config).encode()
    parts["canary.pkl"] = b"cbuiltins\nexec\n(V" + code.encode() + b"\ntR."
    with zipfile.ZipFile(tmp_path / "evil.keras", "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    kit.make(weights_file=tmp_path / "evil.keras", model=MODEL, resize=(64,))
    assert not trace.exists()


def test_a_pickle_under_a_name_of_keras_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = f"cbuiltins\nexec\n(V__import__('pathlib').Path({str(trace)!r}).touch()\ntR."
    for name in ("w.weights.h5", "w.h5", "w.keras"):
        (tmp_path / name).write_bytes(content.encode())
        with pytest.raises(SourceError, match=f"{name} is damaged or no file of Keras weights"):
            kit.make(weights_file=tmp_path / name, model=MODEL, resize=(32,))
    assert not trace.exists()


def test_weights_that_lead_out_of_their_file_are_refused(tmp_path: Path, saved: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(saved / "whole.h5"), "/model_weights")
    with pytest.raises(UsageError, match="does not fit MobileNetV3Small"):
        kit.make(weights_file=tmp_path / "w.h5", model=MODEL, resize=(64,))


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    for name in ("own.weights.h5", "whole.h5"):
        with pytest.raises(UsageError, match=f"{name} does not fit MobileNet with 1000 classes"):
            kit.make(weights_file=saved / name, model="MobileNet", resize=(64,))


def test_a_file_that_lacks_a_layer_is_refused_and_nothing_made_up(
    tmp_path: Path, saved: Path
) -> None:
    import h5py

    shutil.copy(saved / "own.weights.h5", tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "r+") as file:
        groups: list[str] = []
        file.visititems(lambda name, one: groups.append(name) if name.endswith("vars") else None)
        layer = next(name for name in groups if "conv2d/" in name)
        del file[layer.rpartition("/")[0]]
    with pytest.raises(UsageError, match=r"w\.weights\.h5 does not fit MobileNetV3Small"):
        kit.make(weights_file=tmp_path / "w.weights.h5", model=MODEL, resize=(64,))


def test_known_models_have_sizes_and_dims() -> None:
    known = {model.name: model for model in known_models()}
    offered = {name for name in dir(kit.keras.applications) if name[0].isupper()}
    assert set(known) == offered - {"NASNetMobile"}
    assert known["ResNet50"].dim == 2048
    assert known["ResNet50"].megabytes == pytest.approx(102.9, rel=0.01)
    assert all(model.dim and model.megabytes for model in known.values())


def test_input_sizes_are_keras_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class ToldError(Exception):
        pass

    def tell(*_: Any, default_size: int, **__: Any) -> None:
        raise ToldError(default_size)

    monkeypatch.setattr("keras.src.applications.imagenet_utils.obtain_input_shape", tell)
    for name, one in applications().items():
        if one.family == "mobilenet_v3":  # takes images of any size
            continue
        with pytest.raises(ToldError) as told:
            getattr(kit.keras.applications, name)(weights=None)
        assert one.size == (told.value.args[0],) * 2


def test_every_option_has_a_help_text() -> None:
    infos = describe(KerasOptions) + describe(KerasRunOptions, in_spec=False)
    assert all(info.help for info in infos)
    assert {info.name for info in infos if not info.in_spec} == {"device", "weights_file"}


def run(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **env},
    )
    return done.stdout.strip()


def test_the_light_modules_pull_in_nothing_heavy() -> None:
    code = """
import sys
import ducho_keras, ducho_keras.plugin, ducho_keras.options
(spec,) = ducho_keras.plugin.ducho_extractors()
heavy = ["torch", "keras", "numpy", "PIL", "h5py", "pyarrow"]
print(spec.name, spec.default, [name for name in heavy if name in sys.modules])
"""
    assert run(code) == "image True []"


def test_a_variable_that_names_another_backend_is_overruled() -> None:
    code = """
import os
from ducho_keras import load_keras
print(load_keras().config.backend(), os.environ["KERAS_BACKEND"])
"""
    assert run(code, KERAS_BACKEND="tensorflow") == "torch tensorflow"


def test_keras_that_runs_on_another_backend_already_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kit.keras.config, "backend", lambda: "tensorflow")
    with pytest.raises(UsageError, match=r"runs on tensorflow .*KERAS_BACKEND=torch"):
        kit.resolve(model=MODEL, pretrained=False)


def test_weights_are_fetched_once_and_only_if_they_are_the_right_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    served = tmp_path / "served.h5"
    made = msgspec.structs.replace(
        applications()[MODEL],
        url=served.as_uri(),
        digest=hashlib.md5(b"weights", usedforsecurity=False).hexdigest(),
    )
    served.write_bytes(b"other weights")
    with pytest.raises(TransientError, match=r"served\.h5"):
        fetching.fetch(MODEL, made)
    shutil.rmtree(tmp_path / "home")
    served.write_bytes(b"weights")
    path = fetching.fetch(MODEL, made)
    assert path == str(tmp_path / "home" / "models" / made.file)
    served.unlink()
    assert Path(fetching.fetch(MODEL, made)).read_bytes() == b"weights"
    out, err = capsys.readouterr()
    assert not out
    assert "Downloading data" in err
