"""What resolve settles without building a network, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision_kit as kit
from ducho_torchvision import TorchvisionOptions, TorchvisionRunOptions, fetching
from ducho_torchvision.building import build_model
from ducho_torchvision.registry import Weightless, known_models
from ducho_torchvision.sources import WeightsSource
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, get_model_weights

from ducho_core import SourceError, TransientError, UsageError
from ducho_core.options import describe, spec_options

GOLDEN = Path(__file__).with_name("golden.json")
CASES: dict[str, dict[str, Any]] = {
    "defaults": {"model": "resnet50", "pretrained": False},
    "ducho-2.0": {
        "model": "vgg19",
        "layers": ("classifier.3",),
        "preprocessing": "zscore",
        "weights": "VGG19_Weights.IMAGENET1K_V1",
        "weights_file": "vgg19.safetensors",
    },
    "remapped": {
        "model": "inception_v3",
        "precision": "native",
        "weights_file": "inception.safetensors",
    },
}


def golden(name: str, folder: Path) -> dict[str, Any]:
    """What of a case enters the SPEC."""
    case = dict(CASES[name])
    if "weights_file" in case:
        case["weights_file"] = folder / case["weights_file"]
        save_file({"one": torch.zeros(2, dtype=torch.float16)}, case["weights_file"])
    resolved = kit.resolve(**case)
    return {
        "label": resolved.label,
        "identity": resolved.identity,
        "precision": resolved.precision,
        "options": spec_options(resolved.options),
        "outputs": [output.name for output in resolved.outputs],
    }


@pytest.mark.parametrize("name", CASES)
def test_golden_spec_pieces(name: str, tmp_path: Path) -> None:
    found = golden(name, tmp_path)
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())[name]
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize(
    ("model", "weights"),
    [("ResNet50", "IMAGENET1K_V2"), ("resnet50", "ResNet50_Weights.DEFAULT")],
)
def test_however_model_and_weights_are_written_the_spec_is_the_same(
    model: str, weights: str
) -> None:
    plain = kit.resolve(model="resnet50", pretrained=False)
    written = kit.resolve(model=model, weights=weights, pretrained=False)
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
        ({"model": "resnt50"}, "did you mean resnet50"),
        ({"model": "fasterrcnn_resnet50_fpn"}, "no classification model"),
        ({"model": "resnet50", "weights": "V3"}, "resnet50 has IMAGENET1K_V1, IMAGENET1K_V2"),
        ({"model": "resnet50", "weights": "ResNet18_Weights.IMAGENET1K_V1"}, "of ResNet50_W"),
        ({"model": "resnet18", "weights_file": "nowhere.pth"}, "no such file"),
        (
            {"model": "resnet18", "weights_file": "w.pth", "pretrained": False},
            "contradict each other",
        ),
    ],
)
def test_what_is_not_to_be_had(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kit.resolve(**options)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def cache(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's, on a machine without a network."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(fetching, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    return empty_cache


def test_weights_that_the_cache_lacks_are_an_error_that_helps(cache: Path) -> None:
    with pytest.raises(TransientError, match=r"ResNet18_Weights\.IMAGENET1K_V1 \(47 MB\)") as told:
        kit.resolve(model="resnet18")
    for words in (f"{cache}/resnet18-f37072fd.pth", "weights_file=PATH", "pretrained=false"):
        assert words in str(told.value)
    assert not list(cache.glob("*"))


def test_weights_are_fetched_once_and_only_if_they_are_the_right_ones(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    served = tmp_path / f"resnet18-{digest[:8]}.pth"
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", served.as_uri())
    served.write_bytes(b"other weights")
    with pytest.raises(TransientError, match="invalid hash value"):
        fetching.fetch(ResNet18_Weights.DEFAULT)
    assert not list(empty_cache.glob("*"))
    served.write_bytes(b"weights")
    assert fetching.fetch(ResNet18_Weights.DEFAULT) == str(empty_cache / served.name)
    served.unlink()
    assert Path(fetching.fetch(ResNet18_Weights.DEFAULT)).read_bytes() == b"weights"


def cached(cache: Path, monkeypatch: pytest.MonkeyPatch, state: Any) -> str:
    """Weights in the cache that torchvision takes for ResNet18's; their sha256."""
    cache.mkdir(parents=True)
    torch.save(state, cache / "made.pth")
    digest = hashlib.sha256((cache / "made.pth").read_bytes()).hexdigest()
    name = f"resnet18-{digest[:8]}.pth"
    (cache / "made.pth").rename(cache / name)
    url = f"{ResNet18_Weights.DEFAULT.url.rpartition('/')[0]}/{name}"
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", url)
    return digest


def test_weights_in_torchs_cache_are_verified_and_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, pictures: Any
) -> None:
    model = kit.random_model("resnet18", seed=5)
    digest = cached(cache, monkeypatch, model.state_dict())
    assert kit.resolve(model="resnet18").identity["weights"] == {
        "entry": "ResNet18_Weights.IMAGENET1K_V1",
        "file": f"resnet18-{digest[:8]}.pth",
        "sha256": kit.resolve(model="resnet18").identity["weights"]["sha256"],
    }
    extractor = kit.make(model="resnet18", pretrained=True)
    expected = kit.nodes(
        model, ["flatten"], pictures, get_model_weights("resnet18")["DEFAULT"].transforms()
    )["flatten"]
    assert kit.distances(kit.features(extractor, pictures)["pooled"], expected).max() <= 1e-5


def test_a_file_in_the_cache_that_is_another_than_its_name_says_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(b"damaged")
    with pytest.raises(SourceError, match=r"does not begin with f37072fd\. Delete it"):
        kit.resolve(model="resnet18")


@pytest.mark.parametrize("name", ["resnet50", "vgg19", "vit_l_16", "mnasnet0_5", "densenet161"])
def test_the_names_of_weight_files_say_their_sha256(name: str) -> None:
    for entry in get_model_weights(name):
        assert fetching._HASH.search(entry.url)


class Canary:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("precision", ["exact", "native"])
def test_a_pickle_is_refused_and_never_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str
) -> None:
    state = kit.random_model("resnet18").state_dict() | {"x": Canary(tmp_path / "trace")}
    cached(cache, monkeypatch, state)
    with pytest.raises(UsageError, match="holds Python objects"):
        kit.make(precision, model="resnet18", pretrained=True)
    (file,) = cache.glob("*.pth")
    with pytest.raises(UsageError, match="holds Python objects"):
        kit.make(precision, file, model="resnet18")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("classes", [7, None])
def test_a_file_with_another_head_or_none(
    tmp_path: Path, pictures: Any, classes: int | None
) -> None:
    model = kit.random_model("resnet18", num_classes=classes or 3)
    state = model.state_dict()
    if classes is None:
        del state["fc.weight"], state["fc.bias"]
    save_file(state, tmp_path / "w.safetensors")
    extractor = kit.make(
        weights_file=tmp_path / "w.safetensors", model="resnet18", resize=(64,),
        layers=("pooled", "fc"),
    )  # fmt: skip
    assert extractor.outputs[1].dim == (classes or 512)
    found = kit.features(extractor, pictures)
    assert (classes is None) == np.array_equal(found["pooled"], found["fc"])


@pytest.mark.parametrize("name", ["densenet121", "mnasnet0_5", "vit_b_32", "googlenet"])
def test_checkpoints_of_older_versions_still_load(
    name: str, tmp_path: Path, pictures: Any
) -> None:
    more = {"init_weights": True} if name == "googlenet" else {}
    model = kit.random_model(name, seed=2, **more)
    state: Any = model.state_dict()
    if name == "densenet121":
        state = {key.replace("norm1", "norm.1").replace("conv2", "conv.2"): value
               for key, value in state.items() if "num_batches" not in key}  # fmt: skip
    elif name == "vit_b_32":
        state = {key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): value
                 for key, value in state.items()}  # fmt: skip
    elif name == "googlenet":
        state = {key: value for key, value in state.items() if not key.startswith("aux")}
        model.transform_input = True
    else:
        state = dict(state)
    torch.save(state, tmp_path / "w.pth")
    ours = kit.features(kit.make(weights_file=tmp_path / "w.pth", model=name), pictures[:2])
    transform = get_model_weights(name)["DEFAULT"].transforms()
    taken: list[torch.Tensor] = []
    head = [one for one in model.modules() if isinstance(one, torch.nn.Linear)][-1]
    head.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    with torch.inference_mode():
        model(torch.stack([transform(one.image()) for one in pictures[:2]]))
    assert kit.distances(ours["pooled"], taken[0]).max() <= 1e-5


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(kit.random_model("resnet18").state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="does not fit ResNet"):
        kit.make(weights_file=tmp_path / "w.pth", model="resnet34")


def test_a_vision_transformers_weights_are_for_one_size() -> None:
    source = WeightsSource(architecture="vit_b_32", label="vit_b_32", files=("w.pth",))
    with Weightless():
        state = kit.models.get_model("vit_b_32", weights=None).state_dict()
    with pytest.raises(UsageError, match=r"encoder\.pos_embedding \(1, 50, 768\) instead of"):
        build_model(source, lambda _: state, (64, 64))
    with pytest.raises(UsageError, match="square images only"):
        kit.make(model="vit_b_32", resize=(64, 32))


def test_known_models_have_sizes_and_dims() -> None:
    known = {model.name: model for model in known_models()}
    assert len(known) == 80
    resnet = known["resnet50"]
    assert resnet.dim == 2048
    assert resnet.megabytes == pytest.approx(25_557_032 * 4 / 1e6, rel=0.01)
    assert resnet.remark.endswith("has IMAGENET1K_V1, IMAGENET1K_V2 (DEFAULT)")
    assert known["squeezenet1_1"].dim == 512
    assert all(model.dim and model.megabytes for model in known.values())


def test_every_option_has_a_help_text() -> None:
    infos = describe(TorchvisionOptions) + describe(TorchvisionRunOptions, in_spec=False)
    assert all(info.help for info in infos)
    assert {info.name for info in infos if not info.in_spec} == {"device", "weights_file"}


def test_the_light_modules_pull_in_nothing_heavy() -> None:
    code = """
import sys
import ducho_torchvision, ducho_torchvision.plugin, ducho_torchvision.options
(spec,) = ducho_torchvision.plugin.ducho_extractors()
heavy = ["torch", "torchvision", "numpy", "PIL", "pyarrow"]
print(spec.name, spec.default, [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "image True []"
