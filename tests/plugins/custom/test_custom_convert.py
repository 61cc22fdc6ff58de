"""``ducho custom convert``: from a checkpoint that one trusts to one that nobody need trust."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest
import torch
from click.testing import CliRunner, Result
from ducho_custom import convert
from ducho_custom.command import custom
from safetensors import safe_open
from safetensors.torch import load_file

from ducho_core import SourceError, UsageError


@pytest.fixture
def command() -> Callable[..., Result]:
    def run(*arguments: Any) -> Result:
        return CliRunner().invoke(custom, ["convert", *map(str, arguments)])

    return run


def same(path: Path, net: Any) -> bool:
    found, expected = load_file(path), net.state_dict()
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


def test_a_state_dict_needs_no_pin(tmp_path: Path, forms: kit.Forms, net: Any) -> None:
    done = convert(str(forms.state), str(tmp_path / "out.safetensors"))
    assert same(tmp_path / "out.safetensors", net)
    assert done.tensors == len(net.state_dict())
    assert done.numbers == sum(tensor.numel() for tensor in net.state_dict().values())
    assert done.sha256 == kit.sha256(tmp_path / "out.safetensors")
    assert "no code" in done.remarks[0]
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert list(tmp_path.iterdir()) == [tmp_path / "out.safetensors"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: net,
        lambda net: {"epoch": 7, "model": net},
        lambda net: {"state_dict": net.state_dict(), "args": Opaque()},
        lambda net: {"state_dict": kit.prefixed(net.state_dict(), "module."), "args": Opaque()},
        torch.nn.DataParallel,
    ],
)
def test_a_trusted_pickle_of_any_make_is_converted(tmp_path: Path, net: Any, wrap: Any) -> None:
    source, target = tmp_path / "in.pt", tmp_path / "out.safetensors"
    torch.save(wrap(net), source)
    done = convert(str(source), str(target), sha256=kit.sha256(source))
    assert same(target, net)
    assert "that you pinned" in done.remarks[0]


class Opaque:
    """What training leaves in a checkpoint."""


def test_a_trusted_torchscript_program_is_converted(
    tmp_path: Path, forms: kit.Forms, net: Any
) -> None:
    target = tmp_path / "out.safetensors"
    done = convert(str(forms.script), str(target), sha256=kit.sha256(forms.script))
    assert same(target, net)
    assert "TorchScript" in done.remarks[0]


@pytest.mark.parametrize("content", ["zip", "legacy", "plain", "tar", "script", "exported"])
@pytest.mark.parametrize("key", [None, "state_dict"])
def test_a_canary_is_refused(
    tmp_path: Path, content: str, key: str | None, command: Callable[..., Result]
) -> None:
    trace, target = tmp_path / "sang", tmp_path / "out.safetensors"
    source = kit.canary(tmp_path / "in.pt", trace, content)
    with pytest.raises((UsageError, SourceError)) as caught:
        convert(str(source), str(target), key=key)
    assert content == "exported" or f"--sha256 {kit.sha256(source)}" in str(caught.value)
    with pytest.raises(UsageError, match=r"not the file that was pinned|is a program"):
        convert(str(source), str(target), key=key, sha256="0" * 64)
    assert command(source, target).exit_code != 0
    assert not trace.exists()
    assert not target.exists()


def test_shared_and_scattered_tensors_are_written_out(tmp_path: Path) -> None:
    table = torch.arange(12.0).view(3, 4)
    state = {
        "table": table,
        "head": table,
        "turned": torch.arange(6.0).view(2, 3).t(),
        "part": torch.arange(100.0)[3:5],
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(3),
    }
    torch.save(state, tmp_path / "in.pt")
    done = convert(str(tmp_path / "in.pt"), str(tmp_path / "out.safetensors"))
    found = load_file(tmp_path / "out.safetensors")
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)
    assert "shared tensors written out one by one: head" in done.remarks
    assert "made contiguous: turned" in done.remarks
    assert (tmp_path / "out.safetensors").stat().st_size < 1000


def test_a_key_finds_what_is_hidden(tmp_path: Path, net: Any) -> None:
    torch.save({"ema": {"shadow": net.state_dict()}, "lr": 0.1}, tmp_path / "in.pt")
    source, target = str(tmp_path / "in.pt"), str(tmp_path / "out.safetensors")
    with pytest.raises(UsageError, match="holds no state dict"):
        convert(source, target)
    with pytest.raises(UsageError, match=r"has no 'shadw' there; it has shadow"):
        convert(source, target, key="ema.shadw")
    convert(source, target, key="ema.shadow")
    assert same(tmp_path / "out.safetensors", net)


def test_what_is_no_tensor_is_left_out_and_said(tmp_path: Path, net: Any) -> None:
    state = {**net.state_dict(), "_extra_state": Opaque()}
    torch.save(state, tmp_path / "in.pt")
    pin = kit.sha256(tmp_path / "in.pt")
    done = convert(str(tmp_path / "in.pt"), str(tmp_path / "out.safetensors"), sha256=pin)
    assert same(tmp_path / "out.safetensors", net)
    assert "left out, not tensors: _extra_state" in done.remarks


def test_nothing_is_written_over(tmp_path: Path, forms: kit.Forms) -> None:
    target = tmp_path / "out.safetensors"
    target.write_text("mine")
    with pytest.raises(UsageError, match="not written over"):
        convert(str(forms.state), str(target))
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("gone.pt", "out.safetensors", "there is no file"),
        ("net.pth", "out.pt", r"ends in \.safetensors"),
        ("net.safetensors", "out.safetensors", "is a safetensors file already"),
        ("net.onnx", "out.safetensors", "is a program, not a checkpoint"),
        ("net.pt2", "out.safetensors", "is a program, not a checkpoint"),
        ("net.pth", "no/such/folder/out.safetensors", "cannot be written"),
    ],
)
def test_what_cannot_be_converted_is_told(
    tmp_path: Path, forms: kit.Forms, source: str, target: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        convert(str(forms.folder / source), str(tmp_path / target))


def test_sparse_tensors_are_told(tmp_path: Path) -> None:
    torch.save({"weight": torch.eye(3).to_sparse()}, tmp_path / "in.pt")
    with pytest.raises(UsageError, match="sparse or quantised"):
        convert(str(tmp_path / "in.pt"), str(tmp_path / "out.safetensors"))


def test_a_pickle_of_something_else_is_told(tmp_path: Path) -> None:
    source = tmp_path / "in.pt"
    torch.save(Opaque(), source)
    with pytest.raises(UsageError, match="holds no state dict"):
        convert(str(source), str(tmp_path / "o.safetensors"), sha256=kit.sha256(source))
    source.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UsageError, match="cannot be loaded"):
        convert(str(source), str(tmp_path / "o.safetensors"), sha256=kit.sha256(source))


def test_the_command_says_what_it_did(
    tmp_path: Path, forms: kit.Forms, net: Any, command: Callable[..., Result]
) -> None:
    target = tmp_path / "out.safetensors"
    done = command(forms.pickled, target, "--sha256", kit.sha256(forms.pickled))
    assert done.exit_code == 0
    assert done.stdout.strip().endswith(kit.sha256(target))
    assert f"{target}: {len(net.state_dict())} tensors" in done.stdout
    assert "custom_kit.Net" in done.stderr
    assert "took the weights of a whole network, Net" in done.stderr


def test_what_was_converted_gives_the_same_numbers(
    tmp_path: Path, forms: kit.Forms, files: list[bytes]
) -> None:
    target = tmp_path / "out.safetensors"
    pin = kit.sha256(forms.pickled)
    convert(str(forms.pickled), str(target), sha256=pin)
    squeezed = {"preprocessing": "zscore", "resize": (kit.SIDE,), "layers": ("pooled",)}
    before = kit.features(kit.make(model=forms.pickled, pin=pin, **squeezed), files)
    after = kit.features(kit.make(model=target, factory=forms.factory, **squeezed), files)
    assert (before["pooled"] == after["pooled"]).all()
