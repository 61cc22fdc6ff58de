"""Precision words, the values they stand for on a device, and computing under them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DTYPES = ("float32", "bfloat16", "float16", "float64")
_CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """What a precision word stands for. Its ``values()`` enter the SPEC.

    Attributes:
        compute_dtype: torch's name of the dtype of weights and activations.
        tf32: whether float32 matrix products and convolutions may round their operands.
        channels_last: images lie in memory as NHWC (images only).
        fold_batch_norm: batch norms are folded into the convolutions before them, where that
            proves to change nothing but rounding (images only).
        scaled_decode: JPEGs may be decoded at a reduced scale (images only).
        images: whether the values that concern images mean anything for this extractor.
    """

    compute_dtype: str = "float32"
    tf32: bool = False
    channels_last: bool = False
    fold_batch_norm: bool = False
    scaled_decode: bool = False
    images: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """``compute_dtype`` as torch knows it."""
        dtype: torch.dtype = getattr(torch, self.compute_dtype)
        return dtype

    def values(self) -> dict[str, str | bool]:
        """The values for the SPEC, without those that mean nothing for this extractor."""
        values: dict[str, str | bool] = {"compute_dtype": self.compute_dtype, "tf32": self.tf32}
        if self.images:
            values |= {
                "channels_last": self.channels_last,
                "fold_batch_norm": self.fold_batch_norm,
                "scaled_decode": self.scaled_decode,
            }
        return values

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``values()``.

        Raises:
            UsageError: a value is unknown to this version.
        """
        known = {"compute_dtype", "tf32", "channels_last", "fold_batch_norm", "scaled_decode"}
        unknown = sorted(set(values) - known)
        if unknown or values.get("compute_dtype") not in _DTYPES:
            raise UsageError(
                f"precision values {dict(values)} cannot be honoured by this version of"
                " ducho-torch; choose --precision exact, fast or native"
            )
        return cls(**values, images="scaled_decode" in values)


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 instructions (emulation does not count)."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    if device.type != "cpu" or not onednn_available():
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        has: Mapping[str, Any] = torch.cpu.get_capabilities()
        return any(has.get(name, False) for name in _CPU_BFLOAT16)
    return bool(torch.cpu._is_avx512_bf16_supported())


def resolve_precision(
    word: str, device: torch.device, native_dtype: str | None = None, *, images: bool = False
) -> Precision:
    """Turn a precision word into values that this device can honour.

    Args:
        word: ``exact`` is float32 as the reference library computes it, TF32 off. ``fast`` is
            bfloat16 where the processor has it, else float32; images also get channels-last,
            folded batch norm and scaled decoding. ``native`` is the checkpoint's own dtype.
        device: where the model will run.
        native_dtype: the checkpoint's dtype; float32 where it is not known.
        images: whether the extractor takes images.

    Raises:
        UsageError: no such word, or the device cannot compute in the checkpoint's dtype.
    """
    if word == "exact":
        return Precision(images=images)
    if word == "fast":
        return Precision(
            compute_dtype="bfloat16" if supports_bfloat16(device) else "float32",
            channels_last=images,
            fold_batch_norm=images,
            scaled_decode=images,
            images=images,
        )
    if word != "native":
        raise UsageError(f"--precision {word}: it is one of exact, fast, native")
    dtype = native_dtype or "float32"
    if dtype not in _DTYPES or (device.type == "mps" and dtype == "float64"):
        raise UsageError(
            f"--precision native: {device.type} cannot compute in the checkpoint's own"
            f" {dtype}; use --precision exact or fast"
        )
    return Precision(compute_dtype=dtype, images=images)


@contextmanager
def computing(precision: Precision, device: torch.device) -> Iterator[None]:
    """Inference mode under a precision's float32 rules; whatever was set before comes back.

    The rules (TF32 on CUDA, reduced-precision products in oneDNN on the CPU) are settings of
    the process: two models with different ``tf32`` must not compute at the same moment. The
    words never resolve to such a pair.
    """
    switches = _switches(device)
    before = [switch.fp32_precision for switch in switches]
    rule = "tf32" if precision.tf32 and device.type == "cuda" else "ieee"
    try:
        for switch in switches:
            switch.fp32_precision = rule
        with torch.inference_mode():
            yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


def onednn_available() -> bool:
    """Whether this torch has oneDNN."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _switches(device: torch.device) -> list[Any]:
    backends: Any = torch.backends
    if device.type == "cuda":
        return [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    if device.type == "cpu":
        return [backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]
    return []
