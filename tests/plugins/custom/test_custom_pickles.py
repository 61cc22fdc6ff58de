"""What would run code when it is loaded is refused, and nothing of it has run."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest
import torch
from ducho_custom import CustomExtractor, CustomRunOptions, reading
from safetensors.torch import load_file, save_file

from ducho_core import DuchoError, OptionError, UsageError

CONTENTS = ("zip", "legacy", "plain", "tar", "script", "exported")
SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".pt2", ".onnx")


def refused(trace: Path, **asked: Any) -> str:
    with pytest.raises(DuchoError) as caught:
        kit.make(**asked)
    assert not trace.exists()
    return str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", CONTENTS)
def test_a_canary_in_any_dress_is_refused(
    tmp_path: Path, content: str, suffix: str, forms: kit.Forms
) -> None:
    trace = tmp_path / "sang"
    path = kit.canary(tmp_path / f"canary{suffix}", trace, content)
    ways: list[dict[str, Any]] = [
        {},
        {"architecture": "torchvision:resnet18"},
        {"architecture": "timm:test_resnet"},
        {"factory": forms.factory},
    ]
    for way in ways:
        refused(trace, model=path, **way)


@pytest.mark.parametrize("content", ["zip", "legacy", "plain", "tar", "script"])
def test_a_canary_as_the_weights_of_transformers_is_refused(
    tmp_path: Path, content: str, bert: Path
) -> None:
    trace = tmp_path / "sang"
    folder = shutil.copytree(bert, tmp_path / "folder")
    (folder / "model.safetensors").unlink()
    path = kit.canary(folder / "pytorch_model.bin", trace, content)
    assert "ducho custom convert" in refused(trace, modality="text", model=folder)
    aside = shutil.copy(path, tmp_path / "weights.bin")
    refused(trace, modality="text", model=Path(aside), architecture=f"transformers:{bert}")


@pytest.mark.parametrize("content", ["zip", "script", "exported"])
def test_a_canary_that_can_be_seen_is_refused_before_anything_is_loaded(
    tmp_path: Path, content: str, forms: kit.Forms, bert: Path
) -> None:
    trace = tmp_path / "sang"
    path = kit.canary(tmp_path / "weights.pth", trace, content)
    for way in (
        {"architecture": "torchvision:resnet18"},
        {"factory": forms.factory},
        {"architecture": f"transformers:{bert}", "modality": "text"},
    ):
        with pytest.raises(UsageError, match="-o sha256="):
            kit.resolve(model=path, **way)
    assert not trace.exists()


def test_pinned_weights_of_transformers_may_be_a_pickle(tmp_path: Path, bert: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "folder"))
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": state, "args": Opaque()}, folder / "pytorch_model.bin")
    asked = {"modality": "text", "model": folder}
    with pytest.raises(UsageError, match="-o sha256="):
        kit.resolve(**asked)
    pin = kit.sha256(folder / "pytorch_model.bin")
    found = kit.features(kit.make(**asked, pin=pin), kit.TEXTS)["output"]
    expected = kit.features(kit.make(modality="text", model=bert), kit.TEXTS)["output"]
    assert (found == expected).all()
    save_file(state, folder / "model-00001-of-00002.safetensors")
    save_file(state, folder / "model-00002-of-00002.safetensors")
    with pytest.raises(UsageError, match=r"sha256 pins one file, and the weights .* are 2 files"):
        kit.resolve(**asked, pin=pin)


class Opaque:
    """What training leaves in a checkpoint."""


@pytest.mark.parametrize("library", ["timm:test_resnet", "torchvision:resnet18"])
def test_no_weights_come_in_by_the_arguments(
    tmp_path: Path, forms: kit.Forms, library: str
) -> None:
    trace = tmp_path / "sang"
    canary = str(kit.canary(tmp_path / "canary.pth", trace, "zip"))
    for name in ("checkpoint_path", "pretrained", "weights", "pretrained_cfg_overlay"):
        with pytest.raises(OptionError, match=r"would have .* load other weights"):
            kit.resolve(model=forms.safetensors, architecture=library, arguments={name: canary})
    assert not trace.exists()


def test_safetensors_are_taken_before_a_pickle_beside_them(tmp_path: Path, bert: Path) -> None:
    trace = tmp_path / "sang"
    folder = shutil.copytree(bert, tmp_path / "folder")
    kit.canary(folder / "pytorch_model.bin", trace, "zip")
    found = kit.features(kit.make(modality="text", model=folder), kit.TEXTS)
    assert found["output"].shape == (len(kit.TEXTS), 16)
    assert not trace.exists()


def test_the_canary_can_sing(tmp_path: Path) -> None:
    """The tests above would fail if a canary were loaded."""
    for content in ("zip", "legacy", "plain"):
        trace = tmp_path / f"sang-{content}"
        path = kit.canary(tmp_path / f"{content}.pt", trace, content)
        with pytest.raises(UsageError, match=r"no network|cannot be loaded"):
            kit.make(model=path, pin=kit.sha256(path))
        assert trace.exists()


@pytest.mark.parametrize("form", ["pickled", "script", "exported"])
def test_a_refusal_says_what_is_safe_and_what_pinning_means(form: str, forms: kit.Forms) -> None:
    path = getattr(forms, form)
    with pytest.raises(UsageError) as caught:
        kit.resolve(model=path)
    message = str(caught.value)
    assert ".safetensors" in message
    assert "weights_only" in message
    assert re.search(r"trust whoever made it.*-o sha256=", message, re.DOTALL)
    assert kit.sha256(path) in message
    assert str(path.parent) not in message


def test_another_digest_than_the_pinned_one_is_refused_without_telling_it(
    forms: kit.Forms,
) -> None:
    for path in (forms.pickled, forms.script, forms.exported, forms.onnx):
        with pytest.raises(UsageError, match="is not the file that was pinned") as caught:
            kit.resolve(model=path, pin="0" * 64)
        assert kit.sha256(path)[:12] not in str(caught.value)
    with pytest.raises(OptionError, match="64 hexadecimal digits"):
        kit.resolve(model=forms.script, pin="abc")


def test_a_pin_holds_for_safe_files_too(forms: kit.Forms) -> None:
    asked = {"model": forms.safetensors, "factory": forms.factory}
    assert kit.make(**asked, pin=kit.sha256(forms.safetensors).upper()).outputs[0].dim == 5
    with pytest.raises(UsageError, match="is not the file that was pinned"):
        kit.resolve(**asked, pin="0" * 64)


@pytest.mark.parametrize("form", ["pickled", "script", "exported"])
def test_a_file_swapped_after_resolving_is_not_loaded(
    tmp_path: Path, form: str, forms: kit.Forms
) -> None:
    path = Path(shutil.copy(getattr(forms, form), tmp_path))
    pin = kit.sha256(path)
    resolved = kit.resolve(model=path, pin=pin)
    trace = tmp_path / "sang"
    kit.canary(path, trace, "zip")
    with pytest.raises(UsageError, match="is not the file that was pinned"):
        CustomExtractor.load(resolved, CustomRunOptions(device="cpu", sha256=pin))
    assert not trace.exists()


def test_the_bytes_that_are_compared_are_the_bytes_that_are_loaded(
    tmp_path: Path, forms: kit.Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a file that is swapped between the comparison and the loading does no harm."""
    path = Path(shutil.copy(forms.pickled, tmp_path))
    pin, trace = kit.sha256(path), tmp_path / "sang"
    resolved = kit.resolve(model=path, pin=pin)
    inner = torch.load

    def swapped(*args: Any, **kwargs: Any) -> Any:
        kit.canary(path, trace, "zip")
        return inner(*args, **kwargs)

    monkeypatch.setattr(reading.torch, "load", swapped)
    extractor = CustomExtractor.load(resolved, CustomRunOptions(device="cpu", sha256=pin))
    assert extractor.outputs[0].dim == 5
    assert not trace.exists()
    assert hashlib.sha256(path.read_bytes()).hexdigest() != pin


def test_a_pinned_pickle_is_weights_for_an_architecture(
    tmp_path: Path, forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    torch.save({"epoch": 3, "model": net}, tmp_path / "run.pt")
    squeezed = {"preprocessing": "zscore", "resize": (kit.SIDE,)}
    for path in (forms.pickled, tmp_path / "run.pt"):
        asked = {"model": path, "pin": kit.sha256(path), **squeezed}
        whole = kit.features(kit.make(**asked), files)["output"]
        filled = kit.features(kit.make(**asked, factory=forms.factory), files)["output"]
        assert (whole == filled).all()


def test_a_pinned_pickle_that_needs_a_module_says_which(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    path.write_bytes(b"cno_such_module_anywhere\nThing\n.")
    with pytest.raises(UsageError, match=r"'no_such_module_anywhere'.*PYTHONPATH"):
        kit.make(model=path, pin=kit.sha256(path))


def test_weights_without_an_architecture_say_what_they_need(forms: kit.Forms) -> None:
    for path in (forms.safetensors, forms.state):
        with pytest.raises(UsageError, match="holds weights only: say what network"):
            kit.resolve(model=path)


def test_native_of_an_unread_pickle_is_not_guessed(forms: kit.Forms) -> None:
    with pytest.raises(UsageError, match="not known before it is loaded"):
        kit.resolve(model=forms.pickled, pin=kit.sha256(forms.pickled), precision="native")


def test_a_damaged_safetensors_file_is_told(tmp_path: Path, forms: kit.Forms) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(forms.safetensors.read_bytes()[:-100])
    with pytest.raises(DuchoError, match="cut off"):
        kit.make(model=path, factory=forms.factory)
