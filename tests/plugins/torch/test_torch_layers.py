"""Outputs of named modules in one pass."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from ducho_torch import LayerCapture, layer_names, pool_spatial
from torch import nn

from ducho_core import UsageError


class Chain(nn.Module):
    """Six named stages, a block inside, an in-place step and a module that is never called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.third = nn.Linear(4, 4)
        self.fourth = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = self.first(values)
        values = self.block(values)
        values = self.third(values)
        values += 100.0
        return self.fourth(values)


@pytest.fixture
def values() -> torch.Tensor:
    return torch.randn((5, 4), generator=torch.Generator().manual_seed(0))


def counted(model: nn.Module) -> Counter[str]:
    calls: Counter[str] = Counter()
    for name, module in model.named_modules():
        if name:
            module.register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
    return calls


def test_layers_in_one_pass_equal_layers_taken_alone(values: torch.Tensor) -> None:
    model = Chain()
    together = LayerCapture(model, ["third", "first", "block", "block.0"])
    for _ in range(2):
        found = together.run(values)
        assert list(found) == ["third", "first", "block", "block.0"]
        for name, tensor in found.items():
            assert torch.equal(tensor, LayerCapture(model, [name]).run(values)[name])
    assert torch.equal(found["first"], model.first(values))


def test_nothing_past_the_deepest_wanted_layer_is_computed(values: torch.Tensor) -> None:
    model = Chain()
    capture = LayerCapture(model, ["block.0", "first"])
    capture.run(values)
    calls = counted(model)
    capture.run(values)
    assert calls == {"first": 1, "block": 1, "block.0": 1}


def test_an_output_overwritten_in_place_later_is_given_as_it_was(values: torch.Tensor) -> None:
    model = Chain()
    expected = model.third(model.block(model.first(values)))
    capture = LayerCapture(model, ["third", "fourth"])
    for _ in range(2):
        assert torch.equal(capture.run(values)["third"], expected)


def test_a_module_called_several_times_gives_its_last_output(values: torch.Tensor) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.head = nn.Linear(4, 4)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                values = self.layer(values)
            return self.head(values)

    model = Shared()
    expected = model.layer(model.layer(model.layer(values)))
    capture = LayerCapture(model, ["layer"])
    for _ in range(2):
        assert torch.equal(capture.run(values)["layer"], expected)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensor: (tensor, tensor * 2),
        lambda tensor: [None, tensor],
        lambda tensor: {"attentions": tensor * 2, "last_hidden_state": tensor},
        lambda tensor: {"logits": tensor},
    ],
)
def test_the_tensor_within_a_structured_output_is_found(values: torch.Tensor, wrap: Any) -> None:
    class Inner(nn.Module):
        def forward(self, values: torch.Tensor) -> Any:
            return wrap(values + 1)

    model = nn.Sequential(Inner())
    assert torch.equal(LayerCapture(model, ["0"]).run(values)["0"], values + 1)


def test_a_layer_without_a_tensor_is_refused(values: torch.Tensor) -> None:
    class Inner(nn.Module):
        def forward(self, values: torch.Tensor) -> str:
            return "no tensor"

    with pytest.raises(UsageError, match="layer 0 gives str, no tensor"):
        LayerCapture(nn.Sequential(Inner()), ["0"]).run(values)


def test_an_unknown_layer_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match=r"no layer 'frist'; did you mean first"):
        LayerCapture(Chain(), ["frist"])
    assert "block.1" in layer_names(Chain())


def test_a_layer_that_takes_no_part_is_refused(values: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="unused takes no part"):
        LayerCapture(Chain(), ["first", "unused"]).run(values)


def test_two_captures_share_a_model_in_turn(values: torch.Tensor) -> None:
    model = Chain()
    early, late = LayerCapture(model, ["first"]), LayerCapture(model, ["fourth"])
    early.run(values)
    late.run(values)
    assert list(early.run(values)) == ["first"]
    assert torch.equal(late.run(values)["fourth"], model(values))
    assert torch.equal(early.run(values)["first"], model.first(values))


def test_a_model_that_catches_every_exception_still_stops(values: torch.Tensor) -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Chain()

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            try:
                return self.inner(values)
            except Exception:
                return values

    model = Careful()
    capture = LayerCapture(model, ["inner.first"])
    capture.run(values)
    calls = counted(model)
    capture.run(values)
    assert "inner.block" not in calls


def test_an_error_in_the_model_comes_out_and_leaves_no_hook(values: torch.Tensor) -> None:
    model = Chain()
    capture = LayerCapture(model, ["fourth"])
    with pytest.raises(RuntimeError):
        capture.run(values[:, :3])
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(capture.run(values)["fourth"], model(values))


def test_the_result_of_the_pass_comes_with_the_layers(values: torch.Tensor) -> None:
    model = Chain()
    capture = LayerCapture(
        model,
        ["first"],
        reduce=lambda name, tensor: tensor.sum(1, keepdim=True),
        forward=lambda values: model(values) * 2,
        result="doubled",
    )
    for _ in range(2):
        found = capture.run(values)
        assert torch.equal(found["doubled"], model(values) * 2)
        assert torch.equal(found["first"], model.first(values).sum(1, keepdim=True))


class TestPooling:
    """A map is (n, d, height, width) or, said so, (n, height, width, d)."""

    feature_map = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    tokens = feature_map.flatten(2).transpose(1, 2)

    @pytest.mark.parametrize("how", ["avg", "max", "gem"])
    def test_maps_in_both_layouts_and_tokens_agree(self, how: str) -> None:
        pooled = pool_spatial(self.feature_map, how)
        assert pooled.shape == (2, 3)
        last = pool_spatial(self.feature_map.permute(0, 2, 3, 1), how, channels_last=True)
        torch.testing.assert_close(last, pooled)
        torch.testing.assert_close(pool_spatial(self.tokens, how), pooled)

    def test_average_and_maximum_are_those_of_the_positions(self) -> None:
        assert torch.equal(
            pool_spatial(self.feature_map, "avg")[0], torch.tensor([9.5, 29.5, 49.5])
        )
        assert torch.equal(pool_spatial(self.feature_map, "max")[0], torch.tensor([19.0, 39, 59]))

    def test_generalised_mean_lies_between_average_and_maximum(self) -> None:
        gem = pool_spatial(self.feature_map, "gem")
        assert bool((gem >= pool_spatial(self.feature_map, "avg")).all())
        assert bool((gem <= pool_spatial(self.feature_map, "max")).all())

    def test_prefix_tokens_are_left_out_and_cls_is_the_first(self) -> None:
        with_class = torch.cat([torch.full((2, 1, 3), 1e6), self.tokens], dim=1)
        assert torch.equal(
            pool_spatial(with_class, "avg", prefix_tokens=1), pool_spatial(self.tokens, "avg")
        )
        assert torch.equal(pool_spatial(with_class, "cls"), with_class[:, 0])

    def test_vectors_stay_and_flatten_keeps_everything(self) -> None:
        vectors = self.feature_map[:, :, 0, 0]
        assert pool_spatial(vectors, "max") is vectors
        assert pool_spatial(self.feature_map, "none-flatten").shape == (2, 60)

    def test_a_pooling_that_does_not_fit_is_refused(self) -> None:
        with pytest.raises(UsageError, match="cls needs tokens"):
            pool_spatial(self.feature_map, "cls")
        with pytest.raises(UsageError, match="none-flatten"):
            pool_spatial(self.feature_map, "median")
