"""What resolve settles without building a network, and what it refuses."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm_kit as kit
import torch
from ducho_timm import TimmExtractor, TimmOptions, TimmRunOptions
from huggingface_hub import constants
from timm.models import save_for_hf

from ducho_core import ResolveContext, Resolved, SourceError, UsageError
from ducho_core.options import describe, spec_options

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def resolve(precision: Any = "exact", weights: Path | None = None, **options: Any) -> Resolved:
    run_options = TimmRunOptions(device="cpu", weights=None if weights is None else str(weights))
    context = ResolveContext(precision=precision, run_options=run_options, inputs=())
    return TimmExtractor.resolve(TimmOptions(**options), context)


def test_golden_spec_pieces(lite0_file: Path) -> None:
    resolved = resolve(model="tf_efficientnet_lite0", weights=lite0_file)
    assert resolved.label == "tf_efficientnet_lite0"
    assert resolved.identity == {
        "architecture": "tf_efficientnet_lite0",
        "weights": {
            "file": "efficientnet-lite0-57934424.pth",
            "sha256": "fa04b4f267da3290d79b4f1064b59dedda59e7b03662eec1f96d8d9056f2e7d1",
        },
        "preprocessing": {
            "size": [224, 224],
            "interpolation": "bicubic",
            "normalise": "zscore",
            "crop": "center",
            "crop_pct": 0.875,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
    }
    assert resolved.precision == {
        "compute_dtype": "float32",
        "tf32": False,
        "channels_last": False,
        "fold_batch_norm": False,
        "scaled_decode": False,
    }
    assert [(output.name, output.kind, output.dim) for output in resolved.outputs] == [
        ("pooled", "embedding", None)
    ]
    assert spec_options(resolved.options) == {
        "layers": [],
        "pooling": "avg",
        "preprocessing": "model",
        "resize": [],
        "input_size": [],
        "crop_pct": None,
        "interpolation": None,
        "mean": [],
        "std": [],
        "model": "tf_efficientnet_lite0",
        "revision": None,
        "pretrained": True,
        "seed": 0,
    }


def test_no_path_enters_what_is_stored(lite0_file: Path) -> None:
    resolved = resolve(model="tf_efficientnet_lite0", weights=lite0_file)
    stored = str((resolved.identity, spec_options(resolved.options), resolved.label))
    assert str(lite0_file.parent) not in stored


def test_random_weights_are_named_as_such() -> None:
    resolved = resolve(model="test_resnet", pretrained=False, seed=7)
    assert resolved.identity["weights"] == {"random": True, "seed": 7}
    assert resolved.label == "test_resnet-random"
    assert pickle.loads(pickle.dumps(resolved)).identity == resolved.identity


def test_without_a_model_three_good_ones_are_named_with_sizes() -> None:
    with pytest.raises(UsageError, match=r"--model NAME") as caught:
        resolve()
    assert str(caught.value).count(" MB, ") == 3


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnt50", "did you mean resnet50"),
        ("resnet50.a9_in9k", r"no weights 'a9_in9k' for resnet50; it has .*resnet50\.a1_in1k"),
        ("timm/resnet50.a1_in1k", "write hf-hub:timm/resnet50.a1_in1k"),
        ("legacy_xception", "no weights for legacy_xception on the hub.*weights=PATH"),
        ("hf-hub:nothing at all", "ORGANISATION/NAME"),
    ],
)
def test_a_model_that_is_not_to_be_had(model: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(model=model)


@pytest.fixture
def offline_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which is switched off."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def cached(hub: Path, repository: str) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


@pytest.mark.parametrize("model", ["test_resnet.r160_in1k", "hf-hub:someone/something"])
def test_weights_that_the_cache_lacks_are_refused_at_once(offline_hub: Path, model: str) -> None:
    with pytest.raises(UsageError, match=r"HF_HUB_OFFLINE.*hf download .*weights=PATH"):
        resolve(model=model)


def test_weights_in_the_hubs_cache_are_used_and_their_commit_recorded(
    offline_hub: Path, files: list[bytes]
) -> None:
    model = kit.random_model("test_resnet", seed=5)
    save_for_hf(model, cached(offline_hub, "timm/test_resnet.r160_in1k"), safe_serialization=True)
    resolved = resolve(model="test_resnet")
    weights = resolved.identity["weights"]
    assert weights["repository"] == "timm/test_resnet.r160_in1k"
    assert weights["commit"] == COMMIT
    assert weights["file"] == "model.safetensors"
    assert len(weights["sha256"]) == 64
    assert resolve(model="test_resnet", revision=COMMIT).identity == resolved.identity
    found = kit.features(kit.make(TimmOptions(model="test_resnet")), files)["pooled"]
    assert kit.distances(found, kit.direct(model, files, kit.pooled)).max() <= 1e-5
    with pytest.raises(UsageError, match="main~1"):
        resolve(model="test_resnet", revision="main~1")


def fine_tuned(folder: Path) -> torch.nn.Module:
    """A network with another head and input size than its architecture's."""
    torch.manual_seed(8)
    model = kit.timm.create_model("test_resnet", num_classes=7).eval()
    model.pretrained_cfg |= {"input_size": (3, 96, 96), "crop_pct": 0.8, "mean": (0.1, 0.2, 0.3)}
    save_for_hf(model, folder, safe_serialization=True)
    return model


def test_a_model_by_anyone_on_the_hub(offline_hub: Path, files: list[bytes]) -> None:
    model = fine_tuned(cached(offline_hub, "someone/something"))
    options = TimmOptions(model="hf-hub:someone/something", layers=("fc", "pooled"))
    resolved = resolve(model=options.model)
    assert resolved.label == "something"
    assert resolved.identity["preprocessing"]["size"] == [96, 96]
    found = kit.features(kit.make(options), files)
    expected = kit.direct(model, files, lambda model, values: model(values))
    assert kit.distances(found["fc"], expected).max() <= 1e-5


def test_a_local_folder_says_itself_what_it_is(tmp_path: Path, files: list[bytes]) -> None:
    model = fine_tuned(tmp_path / "tuned")
    extractor = kit.make(TimmOptions(layers=("fc",)), weights=str(tmp_path / "tuned"))
    expected = kit.direct(model, files, lambda model, values: model(values))
    assert kit.distances(kit.features(extractor, files)["fc"], expected).max() <= 1e-5
    with pytest.raises(UsageError, match="is for test_resnet, not for resnet50"):
        resolve(model="resnet50", weights=tmp_path / "tuned")
    (tmp_path / "tuned" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"config\.json is no configuration"):
        resolve(weights=tmp_path / "tuned")


@pytest.mark.parametrize("classes", [7, 0])
def test_a_file_with_another_head_or_none(
    tmp_path: Path, files: list[bytes], classes: int
) -> None:
    model = kit.timm.create_model("test_vit", num_classes=classes).eval()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "w.pth")
    extractor = kit.make(TimmOptions(model="test_vit"), weights=str(tmp_path / "w.pth"))
    expected = kit.direct(model, files, kit.pooled)
    assert kit.distances(kit.features(extractor, files)["pooled"], expected).max() <= 1e-5


def test_a_fixed_size_network_takes_another_size(tmp_path: Path, files: list[bytes]) -> None:
    torch.save(kit.random_model("test_vit").state_dict(), tmp_path / "w.pth")
    extractor = kit.make(
        TimmOptions(model="test_vit", resize=(96, 64)), weights=str(tmp_path / "w.pth")
    )
    found = kit.features(extractor, files)["pooled"]
    assert found.shape == (len(files), 64)
    assert np.isfinite(found).all()


def test_weights_of_another_architecture_are_refused(tmp_path: Path, lite0_file: Path) -> None:
    with pytest.raises(UsageError, match=r"does not fit EfficientNet: 294 missing \(.*, \.\.\.\)"):
        kit.make(TimmOptions(model="tf_efficientnet_lite0"), weights=str(lite0_file))
    torch.save(kit.random_model("test_vit").state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="does not fit ResNet"):
        kit.make(TimmOptions(model="test_resnet"), weights=str(tmp_path / "w.pth"))


class Canary:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_a_pickle_among_the_weights_is_refused_and_never_run(tmp_path: Path) -> None:
    content = {"state_dict": kit.random_model("test_resnet").state_dict()}
    torch.save(content | {"extra": Canary(tmp_path / "trace")}, tmp_path / "w.pth")
    for precision in ("exact", "native"):
        with pytest.raises(UsageError, match="holds Python objects"):
            kit.make(
                TimmOptions(model="test_resnet"),
                precision=precision,
                weights=str(tmp_path / "w.pth"),
            )
    assert not (tmp_path / "trace").exists()


def test_weights_that_are_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        resolve(model="test_resnet", weights=tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="needs the architecture"):
        resolve(weights=tmp_path / "w.pth")
    with pytest.raises((SourceError, UsageError), match=r"w\.pth"):
        kit.make(TimmOptions(model="test_resnet"), weights=str(tmp_path / "w.pth"))
    with pytest.raises(UsageError, match="contradict"):
        resolve(model="test_resnet", pretrained=False, weights=tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"no config\.json"):
        resolve(weights=tmp_path)


def test_every_option_has_a_help_text() -> None:
    infos = describe(TimmOptions) + describe(TimmRunOptions, in_spec=False)
    assert all(info.help for info in infos)
    assert {info.name for info in infos if not info.in_spec} == {"device", "weights"}


def test_the_light_modules_pull_in_nothing_heavy() -> None:
    code = """
import sys
import ducho_timm, ducho_timm.plugin, ducho_timm.options
(spec,) = ducho_timm.plugin.ducho_extractors()
heavy = ["torch", "timm", "numpy", "PIL", "torchvision", "pyarrow", "huggingface_hub"]
print(spec.name, spec.default, [name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "image True []"
