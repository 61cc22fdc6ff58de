"""Linear layers with packed weights: the same numbers, the same modules."""

from __future__ import annotations

import copy

import pytest
import torch
from ducho_torch import LayerCapture, Precision, pack_linears, prepare_model
from ducho_torch import linear as packing
from torch import nn

CPU = torch.device("cpu")


@pytest.fixture
def everywhere(monkeypatch):
    """Pack on any processor: what is shown here holds wherever the operators are there."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(packing, "_worthwhile", lambda dtype, device: device.type == "cpu")


@torch.inference_mode(mode=False)
def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 32, bias=False), nn.Linear(32, 7))
    return nn.Sequential(*layers).eval().to(dtype)


@pytest.mark.parametrize("shape", [(48,), (5, 48), (3, 7, 48), (2, 3, 4, 48), (0, 48)])
@torch.inference_mode()
def test_float32_changes_by_rounding_alone(everywhere, shape):
    values = torch.randn(shape)
    plain, packed = network(), network()
    assert pack_linears(packed, Precision(), CPU) == 3
    expected, found = plain(values), packed(values)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_a_transposed_input_is_read_as_it_is_meant(everywhere):
    values = torch.randn(48, 6).T
    packed = network()
    pack_linears(packed, Precision(), CPU)
    assert torch.allclose(packed(values), network()(values), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_the_same_rows_give_the_same_bits_twice(everywhere):
    values = torch.randn(9, 48)
    one, other = network(), network()
    pack_linears(one, Precision(), CPU)
    pack_linears(other, Precision(), CPU)
    assert torch.equal(one(values), other(values))
    assert torch.equal(one(values), one(values))


@torch.inference_mode()
def test_bfloat16_stays_as_near_to_float32_as_it_was(everywhere):
    values = torch.randn(64, 48)
    exact = network()(values)
    plain, packed = network(torch.bfloat16), network(torch.bfloat16)
    if pack_linears(packed, Precision(compute_dtype="bfloat16"), CPU) == 0:
        pytest.skip("no bfloat16 kernels here")
    error = [(one(values.bfloat16()).float() - exact).norm() for one in (plain, packed)]
    assert error[1] <= 1.5 * error[0]


@torch.inference_mode()
def test_names_hooks_and_weights_stay(everywhere):
    packed = prepare_model(network(), Precision(), CPU)
    capture = LayerCapture(packed, ["0", "2"])
    found = capture.run(torch.randn(4, 48))
    assert [tuple(one.shape) for one in found.values()] == [(4, 96), (4, 32)]
    assert packed.state_dict().keys() == network().state_dict().keys()
    assert torch.equal(packed[0].weight, network()[0].weight)


@torch.inference_mode()
def test_another_dtype_than_the_weights_goes_the_old_way(everywhere):
    packed = network()
    pack_linears(packed, Precision(), CPU)
    with pytest.raises(RuntimeError):
        packed(torch.randn(2, 48, dtype=torch.float64))


def test_a_large_model_keeps_its_weights_once(everywhere, monkeypatch):
    monkeypatch.setattr(packing, "PACKED_BYTES", 1000)
    assert pack_linears(network(), Precision(), CPU) == 0


def test_shared_weights_are_packed_once(everywhere):
    model = network()
    twin = nn.Linear(48, 96)
    twin.weight = model[0].weight
    assert pack_linears(nn.ModuleList([model, twin]), Precision(), CPU) == 4


def test_another_device_is_left_alone():
    assert pack_linears(network().to("meta"), Precision(), torch.device("meta")) == 0


def test_a_subclass_with_a_forward_of_its_own_is_left_alone(everywhere):
    class Scaled(nn.Linear):
        def forward(self, values):
            return 2 * super().forward(values)

    assert pack_linears(nn.Sequential(Scaled(4, 4)), Precision(), CPU) == 0


@torch.inference_mode()
def test_weights_changed_after_packing_are_the_ones_computed_with(everywhere):
    with torch.inference_mode(mode=False):
        packed, other = network(), network()
        pack_linears(packed, Precision(), CPU)
        torch.manual_seed(1)
        for module in other:
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        packed.load_state_dict(other.state_dict())
    values = torch.randn(5, 48)
    assert torch.equal(packed(values), other(values))


@torch.inference_mode()
def test_a_replaced_weight_and_a_changed_copy_are_seen(everywhere):
    with torch.inference_mode(mode=False):
        packed = network()
        pack_linears(packed, Precision(), CPU)
        replaced, copied = packed, copy.deepcopy(packed)
        with torch.no_grad():
            copied[0].weight.zero_()
            copied[0].bias.zero_()
        plain = network()
        values = torch.randn(5, 48)
        assert torch.allclose(packed(values), plain(values), rtol=1e-5, atol=1e-6)
        assert torch.equal(copied[0](values), torch.zeros(5, 96))
        replaced[0].weight = nn.Parameter(torch.zeros(96, 48))
        assert torch.equal(replaced[0](values), plain[0].bias.expand(5, 96))
