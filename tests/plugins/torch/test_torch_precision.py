"""Precision words, their values, and computing under them."""

from __future__ import annotations

import pytest
import torch
from ducho_torch import Precision, computing, resolve_precision, supports_bfloat16

from ducho_core import UsageError

CPU = torch.device("cpu")


def test_exact_is_plain_float32() -> None:
    assert resolve_precision("exact", CPU, images=True).values() == {
        "compute_dtype": "float32",
        "tf32": False,
        "channels_last": False,
        "fold_batch_norm": False,
        "scaled_decode": False,
    }


def test_values_about_images_are_left_out_where_there_are_none() -> None:
    assert resolve_precision("fast", CPU).values().keys() == {"compute_dtype", "tf32"}


def test_fast_takes_bfloat16_only_where_the_processor_has_it() -> None:
    values = resolve_precision("fast", CPU, images=True).values()
    assert values["compute_dtype"] == ("bfloat16" if supports_bfloat16(CPU) else "float32")
    assert values["channels_last"]
    assert values["fold_batch_norm"]
    assert values["scaled_decode"]


def test_native_is_the_checkpoints_own_dtype() -> None:
    assert resolve_precision("native", CPU, "bfloat16").compute_dtype == "bfloat16"
    assert resolve_precision("native", CPU).compute_dtype == "float32"
    with pytest.raises(UsageError, match="--precision native"):
        resolve_precision("native", CPU, "float8_e4m3fn")


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(UsageError, match="exact, fast, native"):
        resolve_precision("half", CPU)


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("word", ["exact", "fast", "native"])
def test_values_come_back_as_the_precision_they_were(word: str, *, images: bool) -> None:
    precision = resolve_precision(word, CPU, "float16", images=images)
    assert Precision.from_values(precision.values()) == precision


def test_values_that_this_version_does_not_know_are_refused() -> None:
    with pytest.raises(UsageError, match="--precision"):
        Precision.from_values({"compute_dtype": "float32", "tf32": False, "stochastic": True})
    with pytest.raises(UsageError, match="--precision"):
        Precision.from_values({"compute_dtype": "int4", "tf32": False})


def test_exact_computes_in_full_float32_whatever_the_process_has_set() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn((2, 256, 256), generator=generator)
    plain = left @ right
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with computing(Precision(), CPU):
            exact = left @ right
        with pytest.raises(ValueError, match="stopped"), computing(Precision(), CPU):
            raise ValueError("stopped")
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(exact, plain)


def test_computing_keeps_no_gradients() -> None:
    weight = torch.ones(1, requires_grad=True)
    with computing(Precision(), CPU):
        assert not (weight * 2).requires_grad
    assert (weight * 2).requires_grad
