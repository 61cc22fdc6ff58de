"""Linear layers through oneDNN with weights laid out for it once, where that is faster."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ducho_torch.precision import onednn_available, supports_bfloat16

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ducho_torch.precision import Precision

PACKED_BYTES = 2 * 2**30
"""Models with more bytes in linear weights keep them once: a packed copy would be too much."""


def pack_linears(model: nn.Module, precision: Precision, device: torch.device) -> int:
    """Let the ``nn.Linear`` modules of a model compute with packed weights, and say how many.

    What changes is the kernel, not the arithmetic: products and sums in the precision's dtype,
    rounded in another order. The choice depends on the processor alone, so that two runs on one
    machine give the same bits:

    - bfloat16, wherever the processor has it: without packing, torch lays the weights out anew
      in each call and copies the bias into the result first;
    - float32 on AMD processors with AVX-512: torch calls MKL there, which uses AVX2 on
      processors of other makers; oneDNN does twice as much a second.

    A module keeps its ``weight`` and ``bias``, hooks and names. Nothing is changed on other
    devices, for other dtypes, above ``PACKED_BYTES``, and where this torch lacks the operators.

    Args:
        model: in evaluation mode, on its device, in its dtype; changed in place.
        precision: what the model computes in.
        device: where it runs.
    """
    if not _worthwhile(precision.dtype, device):
        return 0
    linears = [
        module
        for module in model.modules()
        if type(module) is nn.Linear and module.weight.dtype == precision.dtype
    ]
    weights = {module.weight.data_ptr(): module.weight for module in linears}
    if sum(weight.nbytes for weight in weights.values()) > PACKED_BYTES:
        return 0
    packed: dict[int, Any] = {}
    count = 0
    for module in linears:
        address = module.weight.data_ptr()
        if address not in packed:
            packed[address] = _packed(module.weight)
        forward = _forward(module, packed[address])
        if forward is not None:
            module.forward = forward  # type: ignore[method-assign, assignment]
            count += 1
    return count


def _worthwhile(dtype: torch.dtype, device: torch.device) -> bool:
    if device.type != "cpu" or not onednn_available():
        return False
    if dtype == torch.bfloat16:
        return supports_bfloat16(device)
    if dtype != torch.float32 or not hasattr(torch.cpu, "get_capabilities"):
        return False
    has: Mapping[str, Any] = torch.cpu.get_capabilities()
    return str(has.get("cpu_name", "")).startswith("AMD") and bool(has.get("avx512_f"))


def _packed(weight: torch.Tensor) -> Any:
    try:
        with torch.inference_mode():
            return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
    except (AttributeError, RuntimeError):
        return None


def _forward(module: nn.Linear, packed: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """A forward that gives what the module's own gives, or None where it does not."""
    if packed is None or module.weight.is_inference():
        return None
    dtype, address, version = module.weight.dtype, module.weight.data_ptr(), module.weight._version

    def forward(self: nn.Linear, values: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        # Weights that were changed or replaced since, or a copy's, are not those packed.
        stale = weight.data_ptr() != address or weight._version != version
        if stale or values.dtype != dtype or values.device.type != "cpu" or not values.numel():
            return nn.Linear.forward(self, values)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            values, packed, self.bias, "none", [], ""
        )
        return found

    # Bound, so that a deep copy of the module calls it with itself.
    bound = MethodType(forward, module)
    width = module.in_features
    probe = torch.linspace(-1, 1, 3 * width, dtype=torch.float32).reshape(1, 3, width).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    with torch.inference_mode():
        try:
            ours, theirs = bound(probe).float(), nn.Linear.forward(module, probe).float()
        except (AttributeError, RuntimeError):
            return None
        scale = theirs.norm().clamp(min=1e-6)
    close = ours.shape == theirs.shape and (ours - theirs).norm() <= tolerance * scale
    return bound if close else None
