"""From an image to the numbers that a Keras network takes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import ducho_torch
import numpy as np
import torch
from ducho_torch import normalisation, sides

from ducho_core import OptionError, UsageError
from ducho_keras.library import load_keras

if TYPE_CHECKING:
    from ducho_keras.options import KerasOptions

Mode: TypeAlias = Literal["caffe", "tf", "torch", "inside"]

_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Preprocessing(ducho_torch.Preprocessing):
    """How images are resized and normalised. Picklable; its values enter the SPEC.

    Attributes:
        mode: the normalisation of ``preprocess_input`` of the model's family: ``caffe`` (blue,
            green, red, less the mean of ImageNet), ``tf`` (to -1..1), ``torch`` (to 0..1, less
            mean, by deviation) or ``inside`` (the network does it itself); None where
            ``normalise`` says it.
    """

    mode: Mode | None = None

    def identity(self) -> dict[str, Any]:
        values = super().identity()
        if self.mode is not None:
            values |= {"normalise": f"keras-{self.mode}"}
        return values

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.mode in (None, "torch"):
            return super().normalised(pixels)
        values = pixels.to(torch.float32)
        if self.mode == "tf":
            # A divisor that is a tensor: by a number, CUDA multiplies with its reciprocal.
            values = values.div_(torch.tensor(127.5, device=pixels.device)).sub_(1.0)
        elif self.mode == "caffe":
            mean = torch.tensor(_CAFFE_MEAN, dtype=torch.float32, device=pixels.device)
            values = values.flip(-1).sub_(mean)
        return values.permute(0, 3, 1, 2)


def resolve_preprocessing(
    options: KerasOptions, family: str, own_size: tuple[int, int]
) -> Preprocessing:
    """Settle every value of the preprocessing.

    Args:
        options: what the user chose.
        family: module of keras.applications.
        own_size: width and height of the model's input.

    Raises:
        OptionError: options that do not fit together.
        UsageError: Keras preprocesses this family in a way unknown to this version.
    """
    values = normalisation(options, _TORCH_MEAN, _TORCH_STD)
    if options.preprocessing == "model":
        if options.mean or options.std:
            raise OptionError("mean and std belong to preprocessing=zscore: give that too")
        mode = family_mode(family)
        values["mode"] = mode
        if mode != "torch":
            values |= {"normalise": "none", "mean": (0.0,) * 3, "std": (1.0,) * 3}
    width, height = sides(options.resize, own_size)
    return Preprocessing(width=width, height=height, interpolation=options.interpolation, **values)


def family_mode(family: str) -> Mode:
    """Which of the modes ``preprocess_input`` of a family is, found by trying it.

    Raises:
        UsageError: it is none of them.
    """
    load_keras()
    module = importlib.import_module(f"keras.applications.{family}")
    probe = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3) * 5
    given: Any = module.preprocess_input(probe.astype(np.float32), data_format="channels_last")
    for mode in get_args(Mode):
        ours = _moded(mode).normalised(torch.from_numpy(probe.copy()))
        if np.allclose(ours.permute(0, 2, 3, 1).numpy(), given, rtol=1e-5, atol=1e-5):
            found: Mode = mode
            return found
    raise UsageError(
        f"this version of ducho-keras does not know how {family} of keras.applications"
        " preprocesses images: use -o preprocessing=zscore, minmax or none, or upgrade it"
    )


def _moded(mode: Mode) -> Preprocessing:
    more: dict[str, Any] = (
        {"mean": _TORCH_MEAN, "std": _TORCH_STD} if mode == "torch" else {"normalise": "none"}
    )
    return Preprocessing(width=1, height=1, interpolation="bicubic", mode=mode, **more)
