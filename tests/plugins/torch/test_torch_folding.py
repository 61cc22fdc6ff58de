"""Batch norms folded into convolutions: right or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ducho_torch import Precision, ensure_torchvision, prepare_model
from torch import nn

CPU = torch.device("cpu")
FOLD = Precision(fold_batch_norm=True, images=True)
SHAPE = (3, 16, 16)


def settle(model: nn.Module) -> nn.Module:
    """Give every batch norm statistics that matter."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.weight.data, module.bias.data):
                values.copy_(torch.randn(values.shape, generator=generator))
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 1)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def check(build: Callable[[], nn.Module], keep: tuple[str, ...] = ()) -> nn.Module:
    torch.manual_seed(0)
    model = settle(build())
    batch = torch.randn((4, *SHAPE), generator=torch.Generator().manual_seed(9))
    with torch.inference_mode():
        expected = model(batch)
        folded = prepare_model(model, FOLD, CPU, example=SHAPE, keep=keep)
        torch.testing.assert_close(folded(batch), expected, rtol=1e-4, atol=1e-4)
    return folded


def pair(**kwargs: object) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, **kwargs), nn.BatchNorm2d(8), nn.ReLU())


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_takes_in_the_norm_after_it(bias: bool) -> None:
    assert norms(check(lambda: pair(bias=bias))) == 0


def test_without_an_example_nothing_is_folded() -> None:
    assert norms(prepare_model(pair(), FOLD, CPU)) == 1


def test_exact_folds_nothing() -> None:
    assert norms(prepare_model(pair(), Precision(images=True), CPU, example=SHAPE)) == 1


def test_timms_norm_with_activation_is_folded_and_keeps_its_activation() -> None:
    ensure_torchvision()
    from timm.layers import BatchNormAct2d

    model = check(lambda: nn.Sequential(nn.Conv2d(3, 8, 3), BatchNormAct2d(8)))
    assert norms(model) == 0


def test_a_convolution_whose_output_is_used_elsewhere_too_stays() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm = nn.BatchNorm2d(8)
            self.other = nn.Conv2d(8, 8, 3)
            self.other_norm = nn.BatchNorm2d(8)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            values = self.conv(values)
            return self.other_norm(self.other(values + self.norm(values)))

    assert norms(check(Branch)) == 2


def test_a_convolution_that_changes_its_weights_itself_stays() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            weight = weight / weight.std((1, 2, 3), keepdim=True)
            return self._conv_forward(values, weight, self.bias)

    model = check(lambda: nn.Sequential(Standardised(3, 8, 3), nn.BatchNorm2d(8)))
    assert norms(model) == 1


def test_a_norm_used_twice_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.norm(self.one(values)) + self.norm(self.two(values))

    assert norms(check(Twice)) == 1


def test_a_convolution_whose_own_output_is_wanted_stays() -> None:
    assert norms(check(pair, keep=("0",))) == 1


def test_a_module_that_ends_in_the_convolution_keeps_its_output() -> None:
    def stem() -> nn.Sequential:
        return nn.Sequential(nn.Sequential(pair(), nn.Conv2d(8, 4, 1)), nn.BatchNorm2d(4))

    assert norms(check(stem)) == 0
    assert norms(check(stem, keep=("0",))) == 1
    assert norms(check(stem, keep=("0.0", "1"))) == 0


def test_a_model_that_cannot_be_compared_is_left_alone() -> None:
    class Tuple(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = pair()

        def forward(self, values: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.inner(values),)

    assert norms(prepare_model(settle(Tuple()), FOLD, CPU, example=SHAPE)) == 1
