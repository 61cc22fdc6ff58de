"""Weights from files: no pickle is run, every key must match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ducho_torch import checkpoint_dtype, load_state, load_weights, weights_digest
from safetensors.torch import save_file
from torch import nn

from ducho_core import SourceError, UsageError, files_digest


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def same(state: Any, model: nn.Module) -> bool:
    expected = model.state_dict()
    return state.keys() == expected.keys() and all(
        torch.equal(state[name], tensor) for name, tensor in expected.items()
    )


def test_safetensors(tmp_path: Path, model: nn.Module) -> None:
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    assert same(load_weights(tmp_path / "w.safetensors"), model)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {}, "state_dict_ema": state},
    ],
)
def test_checkpoints_as_training_leaves_them(tmp_path: Path, model: nn.Module, wrap: Any) -> None:
    torch.save(wrap(model.state_dict()), tmp_path / "w.pth")
    assert same(load_weights(tmp_path / "w.pth"), model)


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, model: nn.Module, zipped: bool) -> None:
    trace = tmp_path / "canary"
    content = {"state_dict": model.state_dict(), "extra": Canary(trace)}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UsageError, match=r"w\.pt holds Python objects .* \.safetensors"):
        load_weights(tmp_path / "w.pt")
    assert not trace.exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path, model: nn.Module) -> None:
    torch.save(model, tmp_path / "w.pt")
    with pytest.raises(UsageError, match="holds Python objects"):
        load_weights(tmp_path / "w.pt")


def test_a_torchscript_program_is_refused(tmp_path: Path, model: nn.Module) -> None:
    torch.jit.script(model).save(tmp_path / "w.pt")
    with pytest.raises(UsageError, match="TorchScript program, which is code"):
        load_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\xff" * 64])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((SourceError, UsageError), match=name.replace(".", r"\.")):
        load_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_cut_off_is_named(tmp_path: Path, model: nn.Module, name: str) -> None:
    path = tmp_path / name
    if name == "w.pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SourceError, match=name.replace(".", r"\.")):
        load_weights(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        load_weights(tmp_path / "w.safetensors")


def test_content_that_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"lr": 0.1}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"w\.pth holds no state dict"):
        load_weights(tmp_path / "w.pth")


def test_every_name_and_shape_must_match(model: nn.Module) -> None:
    state = dict(model.state_dict())
    load_state(model, state, source="w.pth")
    del state["0.bias"]
    state["0.weight"] = torch.zeros(4, 5)
    state["head.weight"] = torch.zeros(1)
    with pytest.raises(UsageError) as caught:
        load_state(model, state, source="w.pth")
    message = str(caught.value)
    assert message.startswith("w.pth does not fit Sequential")
    assert "1 missing (0.bias)" in message
    assert "1 not expected (head.weight)" in message
    assert "1 of another shape (0.weight (4, 5) instead of (4, 3))" in message


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(20)))
    with pytest.raises(UsageError, match=r"40 missing \(0\.weight.*, \.\.\.\)"):
        load_state(model, {}, source="w.pth")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_dtype_of_most_numbers(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {
        "a": torch.zeros(100, dtype=dtype),
        "b": torch.zeros(3, dtype=torch.float64),
        "c": torch.zeros(500, dtype=torch.int64),
    }
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        assert checkpoint_dtype([tmp_path / name]) == str(dtype).removeprefix("torch.")


def test_the_digest_follows_content_and_name(tmp_path: Path, model: nn.Module) -> None:
    path = tmp_path / "w.safetensors"
    save_file(model.state_dict(), path)
    first = weights_digest([path])
    assert first == files_digest([path])
    save_file({name: value + 1 for name, value in model.state_dict().items()}, path)
    assert weights_digest([path]) != first


def test_what_torch_itself_still_reads_of_older_versions_loads(
    tmp_path: Path, model: nn.Module
) -> None:
    state = model.state_dict()
    del state["1.num_batches_tracked"]
    load_state(model, dict(state), source="w.pth")  # no versions: taken for an old checkpoint
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "w.pth")
    load_state(model, load_weights(tmp_path / "w.pth"), source="w.pth")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"1 missing \(1\.num_batches_tracked\)"):
        load_state(model, load_weights(tmp_path / "w.pth"), source="w.pth")


def test_the_versions_beside_a_state_dict_stay_with_it(tmp_path: Path, model: nn.Module) -> None:
    torch.save(nn.ModuleDict({"module": model}).state_dict(), tmp_path / "w.pth")
    found: Any = load_weights(tmp_path / "w.pth")
    assert found._metadata["1"] == {"version": 2}
