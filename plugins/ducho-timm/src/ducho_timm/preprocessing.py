"""From an image to the numbers that a network takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from ducho_torch import ensure_torchvision

from ducho_core import ItemError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    from PIL import Image

    from ducho_timm.options import ImageOptions

Triple: TypeAlias = tuple[float, float, float]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_DEFAULT_SIDE = 224
_MOST_PIXELS = 2**26


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How images are resized and normalised. Picklable; its values enter the SPEC.

    Attributes:
        width: of the network's input, in pixels.
        height: of the network's input, in pixels.
        interpolation: resampling filter.
        crop: how the model's own evaluation transform crops (``center``, ``squash``,
            ``border``), or None where the image is resized straight to its size.
        crop_pct: share that the crop keeps; 1 without a crop.
        normalise: ``zscore``, ``minmax`` (each image to 0..1; a plain one to 0) or ``none``.
        mean: channel means of values in 0..1.
        std: channel deviations.
    """

    width: int
    height: int
    interpolation: str
    crop: str | None
    crop_pct: float = 1.0
    normalise: Literal["zscore", "minmax", "none"] = "zscore"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    def identity(self) -> dict[str, Any]:
        """What of it enters the SPEC."""
        values: dict[str, Any] = {
            "size": [self.width, self.height],
            "interpolation": self.interpolation,
            "normalise": self.normalise,
        }
        if self.crop is not None:
            values |= {"crop": self.crop, "crop_pct": self.crop_pct}
        if self.normalise == "zscore":
            values |= {"mean": list(self.mean), "std": list(self.std)}
        return values

    @property
    def draft(self) -> tuple[int, int]:
        """Size that a JPEG may be decoded down to: twice the longest side that is needed."""
        longest = math.floor(max(self.width, self.height) / self.crop_pct)
        return 2 * longest, 2 * longest

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Resize and crop an RGB image.

        Returns:
            uint8, shape (height, width, 3). Safe from several threads.

        Raises:
            ItemError: ``extreme_aspect_ratio``: resizing its short side to what the crop needs
                would make an image of more than 2**26 pixels.
        """
        if self.crop == "center":
            short, long = sorted(image.size)
            needed = math.floor(max(self.width, self.height) / self.crop_pct)
            if needed * needed * long / short > _MOST_PIXELS:
                raise ItemError(
                    0,
                    "extreme_aspect_ratio",
                    f"an image of {image.width} x {image.height} pixels is too narrow to crop;"
                    " resize=WIDTH,HEIGHT squeezes such images",
                )
        return np.asarray(self._transform(image), dtype=np.uint8)

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise a batch on whatever device it is.

        Args:
            pixels: uint8, shape (n, height, width, 3).

        Returns:
            float32, shape (n, 3, height, width), with the memory layout of ``pixels``.
        """
        values = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        if self.normalise == "zscore":
            mean, std = (
                torch.tensor(triple, dtype=torch.float32, device=pixels.device).view(3, 1, 1)
                for triple in (self.mean, self.std)
            )
            return values.sub_(mean).div_(std)
        if self.normalise == "minmax":
            low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
            span = high - low
            return values.sub_(low).div_(torch.where(span > 0, span, torch.ones_like(span)))
        return values

    @cached_property
    def _transform(self) -> Callable[[Image.Image], Image.Image]:
        ensure_torchvision()
        from timm.data.transforms import str_to_pil_interp
        from timm.data.transforms_factory import transforms_imagenet_eval

        if self.crop is None:
            size, resample = (self.width, self.height), str_to_pil_interp(self.interpolation)
            return lambda image: image.resize(size, resample)
        whole = transforms_imagenet_eval(
            img_size=(self.height, self.width),
            crop_pct=self.crop_pct,
            crop_mode=self.crop,
            interpolation=self.interpolation,
            mean=self.mean,
            normalize=False,
        )
        *on_images, _to_tensor = whole.transforms

        def resized(image: Image.Image) -> Image.Image:
            for step in on_images:
                image = step(image)
            return image

        return resized

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_transform"}


def resolve_preprocessing(options: ImageOptions, config: Mapping[str, Any]) -> Preprocessing:
    """Settle every value of the preprocessing.

    Args:
        options: what the user chose.
        config: timm's ``pretrained_cfg`` of the model.

    Raises:
        OptionError: options that do not fit together.
    """
    ensure_torchvision()
    from timm.data import resolve_data_config

    own = resolve_data_config(args={"in_chans": 3}, pretrained_cfg=dict(config))
    if own["input_size"][0] != 3:
        raise OptionError(
            f"the model takes {own['input_size'][0]} channels; images are prepared with three"
        )
    direct = bool(options.resize) or options.preprocessing != "model"
    _check(options, direct=direct)
    if direct:
        width, height = _sides(options.resize, (_DEFAULT_SIDE, _DEFAULT_SIDE))
    else:
        width, height = _sides(options.input_size, own["input_size"][:0:-1])
    if options.preprocessing == "model":
        mean, std = own["mean"], own["std"]
    else:
        mean, std = _IMAGENET_MEAN, _IMAGENET_STD
    normalise = "zscore" if options.preprocessing == "model" else options.preprocessing
    zscore = normalise == "zscore"
    return Preprocessing(
        width=width,
        height=height,
        interpolation=options.interpolation or ("bicubic" if direct else own["interpolation"]),
        crop=None if direct else own["crop_mode"],
        crop_pct=1.0 if direct else float(options.crop_pct or own["crop_pct"]),
        normalise=normalise,
        mean=_triple(options.mean or mean) if zscore else (0.0, 0.0, 0.0),
        std=_triple(options.std or std) if zscore else (1.0, 1.0, 1.0),
    )


def _check(options: ImageOptions, *, direct: bool) -> None:
    if direct and (options.input_size or options.crop_pct is not None):
        raise OptionError(
            "input_size and crop_pct belong to the model's own resizing and cropping; with resize"
            " or preprocessing other than model give only resize=WIDTH,HEIGHT"
        )
    if options.preprocessing in ("minmax", "none") and (options.mean or options.std):
        raise OptionError(f"preprocessing={options.preprocessing} uses no mean and no std")
    for name, values in (("mean", options.mean), ("std", options.std)):
        if len(values) not in (0, 3):
            raise OptionError(f"{name} needs three values, one a channel, not {len(values)}")


def _sides(given: tuple[int, ...], default: tuple[int, ...]) -> tuple[int, int]:
    if not given:
        return int(default[0]), int(default[1])
    return given[0], given[-1]


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
