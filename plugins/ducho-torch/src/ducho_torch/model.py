"""A model made ready for a device and a precision; results and memory errors."""

from __future__ import annotations

import gc
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn

from ducho_core import DeviceMemoryError
from ducho_torch.folding import fold_batch_norm
from ducho_torch.linear import pack_linears
from ducho_torch.precision import Precision, computing
from ducho_torch.rounding import round_depthwise

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

ModelT = TypeVar("ModelT", bound=nn.Module)

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def prepare_model(
    model: ModelT,
    precision: Precision,
    device: torch.device,
    *,
    example: tuple[int, ...] | None = None,
    keep: Collection[str] = (),
) -> ModelT:
    """Put a model into evaluation mode, on the device, in the precision's dtype and layout.

    Args:
        model: changed in place.
        precision: its ``fold_batch_norm`` is carried out only where ``example`` is given.
        device: where it will run.
        example: shape of one item, (channels, height, width), to check folding on.
        keep: names of modules whose outputs are wanted: they are not folded away.

    Raises:
        DeviceMemoryError: the model does not fit on the device.
    """
    model = model.eval().requires_grad_(False)  # noqa: FBT003
    with memory_errors():
        model = model.to(device)
        if precision.fold_batch_norm and example is not None:
            generator = torch.Generator().manual_seed(0)
            batch = torch.randn((2, *example), generator=generator).to(device)
            with computing(Precision(), device):
                fold_batch_norm(model.float(), batch, keep=keep)
        round_depthwise(model, precision.dtype)
        model = model.to(dtype=precision.dtype)
        if precision.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pack_linears(model, precision, device)
    return model


def to_numpy(tensor: torch.Tensor, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[np.floating]:
    """A tensor of any device as a contiguous array of ``float32`` (or ``float16``)."""
    wide = tensor.detach().to("cpu", torch.float32)
    return np.ascontiguousarray(wide.numpy(), dtype=dtype)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn torch's and Python's out-of-memory errors into DeviceMemoryError.

    The tensors held by the failed call are let go first, so that a smaller batch has room.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        message = str(error).splitlines()[0] if str(error) else "out of memory"
        traceback.clear_frames(error.__traceback__)
    else:
        return
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    raise DeviceMemoryError(f"the batch does not fit into memory: {message}")


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(sign in str(error) for sign in _OUT_OF_MEMORY)
