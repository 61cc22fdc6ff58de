"""Models made ready, results, memory errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from ducho_torch import Precision, memory_errors, prepare_model, to_numpy
from torch import nn

from ducho_core import DeviceMemoryError

CPU = torch.device("cpu")


def test_a_model_is_cast_laid_out_and_set_to_evaluation() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(0.5))
    ready = prepare_model(
        model, Precision(compute_dtype="bfloat16", channels_last=True, images=True), CPU
    )
    weight = ready[0].weight
    assert weight.dtype == torch.bfloat16
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not ready.training
    assert not weight.requires_grad


def test_depthwise_filters_keep_their_sums_in_bfloat16() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(64, 64, 5, groups=64)
    sums = model.weight.detach().sum((1, 2, 3))
    plain = model.weight.detach().bfloat16().double().sum((1, 2, 3))
    ready = prepare_model(model, Precision(compute_dtype="bfloat16"), CPU)
    kept = ready.weight.double().sum((1, 2, 3))
    assert (kept - sums).abs().max() < 0.5 * (plain - sums).abs().max()
    assert (kept - sums).abs().max() <= 0.2 / 256


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_results_are_contiguous_float32(dtype: torch.dtype) -> None:
    array = to_numpy(torch.arange(6, dtype=dtype).reshape(2, 3).T)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert to_numpy(torch.ones(2), np.float16).dtype == np.float16


def test_an_allocation_that_cannot_be_met_is_a_device_memory_error() -> None:
    with pytest.raises(DeviceMemoryError, match="does not fit into memory"), memory_errors():
        torch.empty(2**60)


def test_tensors_of_the_failed_call_are_let_go() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def fail() -> None:
        activation = torch.zeros(10)
        held.append(weakref.ref(activation))
        torch.empty(2**60)

    with pytest.raises(DeviceMemoryError) as caught, memory_errors():
        fail()
    gc.collect()
    assert held[0]() is None
    assert caught.value


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), memory_errors():
        torch.ones(2, 3) @ torch.ones(2, 3)
