"""Devices by name."""

from __future__ import annotations

import pytest
import torch
from ducho_torch import resolve_device

from ducho_core import UsageError


def test_auto_is_a_device_that_computes() -> None:
    device = resolve_device("auto")
    assert float(torch.ones(2, device=device).sum()) == 2.0


def test_cpu_is_always_there() -> None:
    assert resolve_device(" CPU ") == torch.device("cpu")


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_an_unknown_word_is_refused_with_the_known_ones(word: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda, cuda:N, mps"):
        resolve_device(word)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_refused_with_the_reason() -> None:
    with pytest.raises(
        UsageError, match=r"--device cuda:1: torch .* cannot use it: .*--device cpu"
    ):
        resolve_device("cuda:1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
def test_a_cuda_index_past_the_last_is_refused_with_the_count() -> None:
    assert resolve_device("cuda").index == 0
    with pytest.raises(UsageError, match="CUDA device"):
        resolve_device("cuda:99")
