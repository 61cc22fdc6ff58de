"""Weights need not fit where no output depends on it, and must wherever one does."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest
import timm
import torch
import torchvision
from ducho_custom.layers import Layers
from safetensors.torch import save_file
from torch import nn

from ducho_core import OptionError, UsageError

SQUEEZED = {"preprocessing": "zscore", "resize": (kit.SIDE,)}


@pytest.fixture
def saved(tmp_path: Path, net: Any) -> Any:
    """Saves the network's weights, some left out, replaced or renamed."""

    def save(without: str | None = None, prefix: str = "", **more: torch.Tensor) -> Path:
        state = {
            f"{prefix}{name}": tensor
            for name, tensor in net.state_dict().items()
            if without is None or not name.startswith(without)
        }
        path = tmp_path / "some.safetensors"
        path.unlink(missing_ok=True)
        save_file({**state, **{name.replace("__", "."): one for name, one in more.items()}}, path)
        return path

    return save


def test_a_missing_head_matters_to_the_head_alone(
    saved: Any, forms: kit.Forms, files: list[bytes]
) -> None:
    whole = {"model": forms.safetensors, "factory": forms.factory, **SQUEEZED}
    asked = {"model": saved("fc."), "factory": forms.factory, **SQUEEZED}
    layers = ("pooled", "body")
    expected = kit.features(kit.make(**whole, layers=layers), files)
    found = kit.features(kit.make(**asked, layers=layers), files)
    for name in layers:
        assert (found[name] == expected[name]).all()
    for wanted in (("output",), ("fc",), ("pooled", "output")):
        with pytest.raises(UsageError, match=r"lacks weights that .* would need.*fc\.weight"):
            kit.make(**asked, layers=wanted)


@pytest.mark.parametrize("missing", ["stem.0.weight", "stem.1.running_var", "body.bias"])
def test_no_weight_within_is_ever_made_up(saved: Any, forms: kit.Forms, missing: str) -> None:
    with pytest.raises(UsageError, match=missing.replace(".", r"\.")):
        kit.make(
            model=saved(missing), factory=forms.factory, layers=("pooled", "body"), **SQUEEZED
        )


def test_a_missing_layer_past_the_one_wanted_is_no_matter(saved: Any, forms: kit.Forms) -> None:
    extractor = kit.make(model=saved("body."), factory=forms.factory, layers=("stem",), **SQUEEZED)
    assert extractor.outputs[0].dim == 8


def test_a_counter_may_be_missing(saved: Any, forms: kit.Forms, files: list[bytes]) -> None:
    asked = {"factory": forms.factory, **SQUEEZED}
    found = kit.features(kit.make(model=saved("stem.1.num_batches"), **asked), files)
    expected = kit.features(kit.make(model=forms.safetensors, **asked), files)
    assert (found["output"] == expected["output"]).all()


def test_a_head_of_another_size_matters_to_the_head_alone(saved: Any, forms: kit.Forms) -> None:
    path = saved("fc.", fc__weight=torch.zeros(9, 12), fc__bias=torch.zeros(9))
    asked = {"model": path, "factory": forms.factory, **SQUEEZED}
    assert kit.make(**asked, layers=("pooled",)).outputs[0].dim == 12
    with pytest.raises(UsageError, match=r"fc\.weight \(\(9, 12\) for \(5, 12\)\)"):
        kit.make(**asked)
    assert kit.make(**asked, arguments={"classes": 9}).outputs[0].dim == 9


def test_a_replaced_head_is_left_aside(saved: Any, forms: kit.Forms) -> None:
    path = saved("fc.", fc__0__weight=torch.zeros(3, 12), fc__2__bias=torch.zeros(3))
    asked = {"model": path, "factory": forms.factory, **SQUEEZED}
    assert kit.make(**asked, layers=("pooled",)).outputs[0].dim == 12
    with pytest.raises(UsageError, match="lacks weights that output would need"):
        kit.make(**asked)


def test_weights_that_the_network_does_not_know_are_an_error(saved: Any, forms: kit.Forms) -> None:
    path = saved(None, stem__gate__weight=torch.zeros(3), extra=torch.zeros(1))
    asked = {"model": path, "factory": forms.factory, "layers": ("pooled",), **SQUEEZED}
    with pytest.raises(UsageError, match=r"2 weights that Net does not know.*-o ignore=extra,s"):
        kit.make(**asked)
    assert kit.make(**asked, ignore=("stem.gate", "extra")).outputs[0].dim == 12


def test_a_prefix_is_dropped(saved: Any, forms: kit.Forms, files: list[bytes]) -> None:
    path = saved(None, "model.backbone.", loss__weight=torch.zeros(2))
    asked = {"model": path, "factory": forms.factory, **SQUEEZED}
    found = kit.features(kit.make(**asked, prefix="model.backbone."), files)
    expected = kit.features(
        kit.make(model=forms.safetensors, factory=forms.factory, **SQUEEZED), files
    )
    assert (found["output"] == expected["output"]).all()
    with pytest.raises(UsageError, match=r"begins so; they begin with loss\., model\."):
        kit.make(**asked, prefix="encoder.")
    with pytest.raises(UsageError, match=r"no weight of some\.safetensors fits Net.*-o prefix="):
        kit.make(**asked)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_architectures_of_libraries_are_filled_strictly(tmp_path: Path, library: str) -> None:
    if library == "timm":
        name = "test_resnet"
        model = timm.create_model(name)
    else:
        name = "shufflenet_v2_x0_5"
        model = torchvision.models.get_model(name, weights=None)
    state = model.state_dict()
    asked = {"model": tmp_path / "w.safetensors", "architecture": f"{library}:{name}"}
    conv = next(key for key in state if key.endswith("conv1.weight") or "conv1.0.weight" in key)
    save_file({key: one for key, one in state.items() if key != conv}, asked["model"])
    with pytest.raises(UsageError, match=r"1 missing .*-o ignore=MODULE"):
        kit.make(**asked, input_size=(64,))
    head = {key: one for key, one in state.items() if not key.startswith("fc.")}
    save_file({**head, "fc.0.weight": torch.zeros(2, 2)}, asked["model"])
    with pytest.raises(UsageError, match=r"fc\.0\.weight"):
        kit.make(**asked, input_size=(64,))
    extractor = kit.make(**asked, ignore=("fc",), input_size=(64,))
    assert extractor.outputs[0].name == "pooled"
    assert extractor.outputs[0].dim == state["fc.weight"].shape[1]


def test_tied_weights_are_one(tmp_path: Path) -> None:
    (tmp_path / "tied.py").write_text(
        "import torch\n\n\n"
        "class Tied(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.one = torch.nn.Conv2d(3, 3, 1)\n"
        "        self.two = torch.nn.Conv2d(3, 3, 1)\n"
        "        self.two.weight = self.one.weight\n\n"
        "    def forward(self, values):\n"
        "        return self.two(self.one(values))\n"
    )
    state = {
        "one.weight": torch.ones(3, 3, 1, 1),
        "one.bias": torch.ones(3),
        "two.bias": torch.zeros(3),
    }
    save_file(state, tmp_path / "tied.safetensors")
    extractor = kit.make(
        model=tmp_path / "tied.safetensors", factory=f"{tmp_path / 'tied.py'}:Tied", **SQUEEZED
    )
    assert extractor.outputs[0].dim == 3


class Deep(nn.Module):
    """Counts how often each part runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))
        self.calls = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = self.second(self.first(values))
        self.calls += 1
        return self.last(values)


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (("first",), False),
        (("first", "second"), False),
        (("pooled",), True),
        (("pooled", "first"), True),
        (("last.1", "pooled"), True),
        (("output", "first", "pooled"), True),
    ],
)
def test_layers_are_those_of_one_whole_pass(names: tuple[str, ...], whole: bool) -> None:
    model = kit.seeded(Deep)
    values = torch.randn(1, 4)
    second = model.second(model.first(values))
    expected = {
        "first": model.first(values),
        "second": second,
        "pooled": torch.relu(second),
        "last.1": model.last(second),
        "output": model(values),
    }
    layers = Layers(model, names, lambda name, tensor: tensor)
    layers.learn(values)
    calls = model.calls
    found = layers.run(values)
    assert list(found) == list(names)
    assert (model.calls > calls) == whole
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name])


def test_pooled_of_a_network_without_an_end_is_told(tmp_path: Path) -> None:
    layers = Layers(nn.Sequential(nn.Conv2d(3, 3, 1)), ("pooled",), lambda name, tensor: tensor)
    with pytest.raises(UsageError, match="no fully connected layer at its end"):
        layers.learn(torch.zeros(1, 3, 4, 4))


def test_layers_that_are_not_there_are_told_with_those_near(forms: kit.Forms) -> None:
    asked = {"model": forms.safetensors, "factory": forms.factory}
    with pytest.raises(UsageError, match=r"no layer 'boddy'; did you mean body"):
        kit.make(**asked, layers=("boddy",))
    with pytest.raises(OptionError, match="names a layer twice"):
        kit.resolve(**asked, layers=("body", "body"))
    pinned = {"model": forms.script, "pin": kit.sha256(forms.script)}
    with pytest.raises(UsageError, match=r"no output 'body'.*shows only its outputs"):
        kit.make(**pinned, layers=("body",), input_size=(32,))
    exported = {"model": forms.exported, "pin": kit.sha256(forms.exported)}
    with pytest.raises(UsageError, match=r"no layer 'boddy'; did you mean body"):
        kit.make(**exported, layers=("boddy",))


def test_outputs_of_a_program_with_several(tmp_path: Path, net: Any, files: list[bytes]) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, values: torch.Tensor) -> Any:
            maps = self.net.body(self.net.stem(values))
            return maps, self.net(values)

    path = tmp_path / "two.pt2"
    torch.export.save(
        torch.export.export(
            Two().eval(),
            (torch.zeros(2, 3, 32, 32),),
            dynamic_shapes=({0: torch.export.Dim("n")},),
        ),
        path,
    )
    extractor = kit.make(
        model=path, pin=kit.sha256(path), layers=("output.1", "output", "net.stem"), **SQUEEZED
    )
    dims = {output.name: output.dim for output in extractor.outputs}
    assert dims == {"output.1": 5, "output": 12, "net.stem": 8}
    found = kit.features(extractor, files)
    expected = kit.in_batches(net, kit.pixels(files), len(files))
    assert kit.distances(found["output.1"], expected).max() <= 1e-5


FACTORY = "import helper\n\n\ndef make(width=2):\n    return helper.build(width)\n"
HELPER = "from torch import nn\n\n\ndef build(width):\n    return nn.Conv2d(3, width, 1)\n"


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine.py").write_text(FACTORY)
    (folder / "helper.py").write_text(HELPER)
    save_file(
        {"weight": torch.ones(2, 3, 1, 1), "bias": torch.zeros(2)}, tmp_path / "w.safetensors"
    )
    yield folder
    sys.modules.pop("helper", None)
    sys.modules.pop("mine", None)


def test_a_factory_is_said_aloud_recorded_and_not_run_before_loading(
    tmp_path: Path, factory: Path
) -> None:
    asked = {"model": tmp_path / "w.safetensors", "factory": f"{factory / 'mine.py'}:make"}
    resolved = kit.resolve(**asked)
    assert "helper" not in sys.modules
    assert resolved.identity["factory"] == {
        "module": "mine",
        "function": "make",
        "sha256": kit.sha256(factory / "mine.py"),
    }
    assert resolved.options.factory == "mine:make"
    assert any("runs your code, make of mine" in remark for remark in resolved.remarks)
    assert kit.make(**asked, **SQUEEZED).outputs[0].dim == 2
    assert os.fspath(factory) not in sys.path


def test_a_module_is_found_on_pythons_path_and_in_the_current_folder(
    tmp_path: Path, factory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"model": tmp_path / "w.safetensors", "factory": "mine:make", **SQUEEZED}
    with pytest.raises(UsageError, match="there is no module 'mine'"):
        kit.resolve(**asked)
    with monkeypatch.context() as patch:
        patch.chdir(factory)
        beside = kit.resolve(**asked)
    monkeypatch.syspath_prepend(factory)
    on_path = kit.resolve(**asked)
    assert beside.identity == on_path.identity
    assert kit.make(**asked).outputs[0].dim == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def make():\n    raise ValueError('no luck')\n", "failed with ValueError: no luck"),
        ("def make():\n    return 3\n", "gave int, not a torch.nn.Module"),
        ("other = 1\n", "failed with AttributeError"),
        ("import no_such_thing\n", "failed with ModuleNotFoundError"),
    ],
)
def test_a_factory_that_fails_is_told(
    tmp_path: Path, factory: Path, code: str, message: str
) -> None:
    (factory / "mine.py").write_text(code)
    with pytest.raises(UsageError, match=message):
        kit.make(model=tmp_path / "w.safetensors", factory=f"{factory / 'mine.py'}:make")


@pytest.mark.parametrize("text", ["mine", "mine:", ":make", "mine:make()", "my module:make"])
def test_a_factory_written_wrongly_is_told(tmp_path: Path, factory: Path, text: str) -> None:
    with pytest.raises(UsageError, match="factory=MODULE:FUNCTION"):
        kit.resolve(model=tmp_path / "w.safetensors", factory=text)
