"""ONNX: tensors of the graph as layers, and external data that stays inside the folder."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import custom_kit as kit
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ducho_custom import onnx_program

from ducho_core import DuchoError, OptionError, UsageError

SQUEEZED = {"preprocessing": "zscore", "resize": (kit.SIDE,)}


def test_any_tensor_of_the_graph_is_a_layer(
    forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    extractor = kit.make(model=forms.onnx, layers=("pooled", "maps:0", "output"), **SQUEEZED)
    assert [one.name for one in extractor.outputs] == ["pooled", "maps_0", "output"]
    ours = kit.features(extractor, files)
    values = kit.pixels(files)
    with torch.inference_mode():
        maps = torch.relu(net.body(net.stem(values)))
        expected = {
            "pooled": maps.mean((2, 3)),
            "maps_0": maps.mean((2, 3)),
            "output": net(values),
        }
    for name, tensor in expected.items():
        assert kit.distances(ours[name], tensor.numpy()).max() <= 1e-5


def test_nothing_past_the_deepest_tensor_is_computed(
    forms: kit.Forms, tmp_path: Path, files: list[bytes]
) -> None:
    """A graph whose end cannot be run gives what comes before it."""
    model = onnx.load(forms.onnx)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["pooled", "wrong"], ["broken"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([7, 7, 7]), "wrong"))
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("broken", onnx.TensorProto.FLOAT, None)
    )
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(UsageError, match="does not run on an image of 32 x 32"):
        kit.make(model=tmp_path / "broken.onnx", layers=("broken",), **SQUEEZED)
    found = kit.features(
        kit.make(model=tmp_path / "broken.onnx", layers=("stem_relu",), **SQUEEZED), files
    )
    assert found["stem_relu"].shape == (len(files), 8)


def test_a_tensor_that_is_not_there_is_told_with_those_near(forms: kit.Forms) -> None:
    with pytest.raises(UsageError, match=r"no tensor 'poled'; did you mean pooled"):
        kit.make(model=forms.onnx, layers=("poled",))


def test_the_size_is_the_models_own(forms: kit.Forms) -> None:
    resolved = kit.resolve(model=forms.onnx)
    assert resolved.identity["preprocessing"]["size"] == [kit.SIDE, kit.SIDE]
    with pytest.raises(OptionError, match="takes images of 32 x 32 pixels, not 64 x 64"):
        kit.resolve(model=forms.onnx, input_size=(64,))
    with pytest.raises(OptionError, match="give resize=32,32 too"):
        kit.resolve(model=forms.onnx, preprocessing="zscore")


def test_channels_last_are_told_by_the_shape(
    tmp_path: Path, forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    model = onnx.load(forms.onnx)
    turned = onnx.helper.make_node("Transpose", ["pixels"], ["image"], perm=[0, 3, 1, 2])
    model.graph.node.insert(0, turned)
    model.graph.input[0].CopyFrom(
        onnx.helper.make_tensor_value_info(
            "pixels", onnx.TensorProto.FLOAT, ["n", kit.SIDE, kit.SIDE, 3]
        )
    )
    onnx.save(model, tmp_path / "last.onnx")
    ours = kit.features(kit.make(model=tmp_path / "last.onnx", **SQUEEZED), files)["output"]
    expected = kit.in_batches(net, kit.pixels(files), len(files))
    assert kit.distances(ours, expected).max() <= 1e-5


def external(folder: Path, net: Any, location: str = "net.data") -> Path:
    """A model with its weights beside it, which says that they are at ``location``."""
    folder.mkdir(exist_ok=True)
    path = folder / "net.onnx"
    kit.onnx_of(net, path, batch="n", external="net.data")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_beside_the_model_is_read_and_hashed(
    tmp_path: Path, net: Any, files: list[bytes]
) -> None:
    path = external(tmp_path / "model", net)
    before = kit.resolve(model=path).identity["weights"]
    ours = kit.features(kit.make(model=path, **SQUEEZED), files)["output"]
    expected = kit.in_batches(net, kit.pixels(files), len(files))
    assert kit.distances(ours, expected).max() <= 1e-5
    data = path.with_name("net.data")
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    after = kit.resolve(model=path).identity["weights"]
    assert before["file"] == after["file"] == "net.onnx"
    assert before["sha256"] != after["sha256"]


def test_a_folder_below_the_models_is_inside(tmp_path: Path, net: Any, files: list[bytes]) -> None:
    path = external(tmp_path / "model", net, "weights/net.data")
    (path.parent / "weights").mkdir()
    shutil.move(path.with_name("net.data"), path.parent / "weights")
    found = kit.features(kit.make(model=path, **SQUEEZED), files)["output"]
    assert found.shape == (len(files), 5)


@pytest.mark.parametrize(
    "way", ["up", "up and down", "absolute", "backslash", "drive", "link", "linked folder"]
)
def test_external_data_outside_the_folder_is_never_opened(
    tmp_path: Path, net: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    location = {
        "up": "../secret.data",
        "up and down": "sub/../../secret.data",
        "absolute": str(tmp_path / "secret.data"),
        "backslash": "..\\secret.data",
        "drive": "C:secret.data",
        "link": "net.link",
        "linked folder": "elsewhere/secret.data",
    }[way]
    path = external(folder, net, location)
    secret = Path(shutil.move(folder / "net.data", tmp_path / "secret.data"))
    if way == "link":
        (folder / location).symlink_to(secret)
    if way == "linked folder":
        (folder / "elsewhere").symlink_to(tmp_path)

    def never(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("onnxruntime was asked to load it")

    monkeypatch.setattr(onnxruntime, "InferenceSession", never)
    monkeypatch.setattr(onnx_program, "_content", never)
    with pytest.raises(UsageError, match="outside the model's own folder, and are not opened"):
        kit.resolve(model=path)
    with pytest.raises(UsageError, match="outside the model's own folder, and are not opened"):
        onnx_program.OnnxProgram(os.fspath(path), "cpu", ("output",))


@pytest.mark.parametrize("place", ["attribute", "subgraph"])
def test_external_data_hidden_deep_in_the_graph_is_found(
    tmp_path: Path, forms: kit.Forms, place: str
) -> None:
    hidden = onnx.TensorProto(name="hidden", data_type=1, dims=[1])
    hidden.data_location = onnx.TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="/etc/hostname")
    model = onnx.load(forms.onnx)
    if place == "attribute":
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=hidden))
    else:
        inner = onnx.GraphProto(name="inner", initializer=[hidden])
        model.graph.node.append(
            onnx.helper.make_node("If", ["k"], ["c"], then_branch=inner, else_branch=inner)
        )
    path = tmp_path / "deep.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="outside the model's own folder"):
        kit.resolve(model=path)


@pytest.mark.parametrize("location", ["*/_ORT_MEM_ADDR_/*", "gone.data", ""])
def test_external_data_that_is_no_file_is_told(tmp_path: Path, net: Any, location: str) -> None:
    path = external(tmp_path / "model", net, location)
    with pytest.raises(UsageError, match=r"not beside it|does not say in which file"):
        kit.resolve(model=path)


def test_what_is_no_onnx_is_told(tmp_path: Path) -> None:
    for content in (b"", b"not a model at all", b"\0" * 100):
        path = tmp_path / "broken.onnx"
        path.write_bytes(content)
        with pytest.raises(DuchoError, match="no ONNX model"):
            kit.resolve(model=path)


def test_a_device_that_onnxruntime_lacks_is_told(forms: kit.Forms) -> None:
    assert onnx_program.providers("cpu") == ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert onnx_program.providers("auto") == ["CPUExecutionProvider"]
        with pytest.raises(UsageError, match="cannot use it; it has"):
            onnx_program.providers("cuda:1")
    with pytest.raises(UsageError, match="cannot use it; it has"):
        onnx_program.providers("mps")


def test_cuda_is_given_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    for word, index in (("auto", 0), ("cuda", 0), ("cuda:2", 2)):
        wanted = [
            ("CUDAExecutionProvider", {"device_id": index, "use_tf32": 0}),
            "CPUExecutionProvider",
        ]
        assert onnx_program.providers(word) == wanted
    assert onnx_program.providers("cpu") == ["CPUExecutionProvider"]


def test_without_onnxruntime_the_command_that_brings_it_is_told(
    forms: kit.Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("onnxruntime", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            with pytest.raises(UsageError, match=r"pip install 'ducho-custom\[onnx\]'"):
                kit.make(model=forms.onnx)


def test_a_model_of_half_precision_is_given_halves(
    tmp_path: Path, forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    model = onnx.load(forms.onnx)
    casts = onnx.helper.make_node("Cast", ["half"], ["image"], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, casts)
    model.graph.input[0].CopyFrom(
        onnx.helper.make_tensor_value_info(
            "half", onnx.TensorProto.FLOAT16, ["n", 3, kit.SIDE, kit.SIDE]
        )
    )
    onnx.save(model, tmp_path / "half.onnx")
    ours = kit.features(kit.make(model=tmp_path / "half.onnx", **SQUEEZED), files)["output"]
    expected = kit.in_batches(net, kit.pixels(files).half().float(), len(files))
    assert kit.distances(ours, expected).max() <= 1e-5
