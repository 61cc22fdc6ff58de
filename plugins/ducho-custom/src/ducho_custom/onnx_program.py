"""ONNX through onnxruntime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ducho_core import DeviceMemoryError, UsageError
from ducho_custom.onnx_files import expose, import_onnxruntime, read_onnx
from ducho_custom.programs import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DTYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


def providers(device: str) -> list[Any]:
    """onnxruntime's providers for a device word.

    ``auto`` takes CUDA where this onnxruntime has it, else the CPU. TF32 is off.

    Raises:
        UsageError: this onnxruntime cannot use the device.
    """
    runtime = import_onnxruntime()
    there = runtime.get_available_providers()
    word, _, index = device.strip().lower().partition(":")
    if word == "cpu" or (word == "auto" and _CUDA not in there):
        return [_CPU]
    if word in ("auto", "cuda") and _CUDA in there and (not index or index.isdigit()):
        return [(_CUDA, {"device_id": int(index or 0), "use_tf32": 0}), _CPU]
    raise UsageError(
        f"--device {device}: onnxruntime {runtime.__version__} cannot use it; it has"
        f" {', '.join(there)}. Use --device cpu, or for CUDA pip install onnxruntime-gpu"
    )


class OnnxProgram(Program):
    """An ONNX model over images, with any tensor of its graph as a layer.

    onnxruntime opens no file: model and external data are read here, once, into memory.

    Args:
        path: the model's file.
        device: the user's word for it.
        layers: tensors of the graph, ``output`` being the graph's first output.
        content: what the file holds, where it has been read already.

    Raises:
        UsageError: it takes no images, has no such tensor, or its external data lies elsewhere.
        SourceError: it is no ONNX model.
    """

    def __init__(
        self, path: str, device: str, layers: Sequence[str], content: bytes | None = None
    ) -> None:
        self._name = os.path.basename(path)
        self._layers = tuple(layers)
        runtime = import_onnxruntime()
        model = read_onnx(path, content)
        self._tensors = expose(model.proto, layers, path)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        external = {name: _content(file) for name, file in model.external.items()}
        if external:
            options.add_external_initializers_from_files_in_memory(
                list(external), list(external.values()), [len(one) for one in external.values()]
            )
        try:
            self._session: Any = runtime.InferenceSession(
                model.proto.SerializeToString(), options, providers=providers(device)
            )
        except Exception as error:  # onnxruntime's own errors have no common base
            raise UsageError(f"onnxruntime cannot load {self._name}: {_first(error)}") from error
        if providers(device)[0] != _CPU and _CUDA not in self._session.get_providers():
            raise UsageError(
                f"--device {device}: onnxruntime could not set up CUDA (its CUDA and cuDNN must be"
                " installed); use --device cpu"
            )
        self._take_shape()

    def __call__(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Run it."""
        if self._channels_last:
            values = values.permute(0, 2, 3, 1)
        images = np.ascontiguousarray(values.cpu().numpy())
        wanted = list(dict.fromkeys(self._tensors))
        try:
            arrays = self._session.run(wanted, {self._input: images})
        except Exception as error:  # onnxruntime's own errors have no common base
            if "Failed to allocate memory" in str(error) or "out of memory" in str(error):
                raise DeviceMemoryError(f"{self._name}: {_first(error)}") from error
            raise RuntimeError(_first(error)) from error
        given = dict(zip(wanted, arrays, strict=True))
        return {
            layer: torch.from_numpy(np.ascontiguousarray(given[name]))
            for layer, name in zip(self._layers, self._tensors, strict=True)
        }

    def _take_shape(self) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
            raise UsageError(
                f"{self._name} takes {shapes}; a model for images takes one tensor of shape"
                " (images, 3, height, width) or (images, height, width, 3)"
            )
        (taken,) = inputs
        if taken.type not in _DTYPES:
            raise UsageError(
                f"{self._name} takes {taken.type}; images are given as float or float16"
            )
        self._input = taken.name
        self.dtype = _DTYPES[taken.type]
        batch, *sides = taken.shape
        self.batch = batch if isinstance(batch, int) and batch > 0 else None
        self._channels_last = sides[2] == 3 and sides[0] != 3
        channels, height, width = (
            (sides[2], sides[0], sides[1]) if self._channels_last else tuple(sides)
        )
        if isinstance(channels, int) and channels not in (3, 0, -1):
            raise UsageError(f"{self._name} takes {channels} channels; images have three")
        if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
            self.size = (width, height)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:400] if lines else type(error).__name__
