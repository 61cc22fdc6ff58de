"""From an image to the numbers that a timm network takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ducho_torch
from ducho_torch import (
    check_aspect,
    direct_size,
    ensure_torchvision,
    is_direct,
    normalisation,
    sides,
)

from ducho_core import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PIL import Image

    from ducho_timm.options import ImageOptions


@dataclass(frozen=True, kw_only=True)
class Preprocessing(ducho_torch.Preprocessing):
    """How images are resized, cropped and normalised. Picklable; its values enter the SPEC.

    Attributes:
        crop: how the model's own evaluation transform crops (``center``, ``squash``,
            ``border``), or None where the image is resized straight to its size.
        crop_pct: share that the crop keeps; 1 without a crop.
    """

    crop: str | None = None
    crop_pct: float = 1.0

    def identity(self) -> dict[str, Any]:
        values = super().identity()
        if self.crop is not None:
            values |= {"crop": self.crop, "crop_pct": self.crop_pct}
        return values

    @property
    def draft(self) -> tuple[int, int]:
        longest = math.floor(max(self.width, self.height) / self.crop_pct)
        return 2 * longest, 2 * longest

    def resized(self, image: Image.Image) -> Image.Image:
        if self.crop is None:
            return super().resized(image)
        if self.crop == "center":
            check_aspect(image, math.floor(max(self.width, self.height) / self.crop_pct))
        return self._transform(image)

    @cached_property
    def _transform(self) -> Callable[[Image.Image], Image.Image]:
        ensure_torchvision()
        from timm.data.transforms_factory import transforms_imagenet_eval

        whole = transforms_imagenet_eval(
            img_size=(self.height, self.width),
            crop_pct=self.crop_pct,
            crop_mode=self.crop,
            interpolation=self.interpolation,
            mean=self.mean,
            normalize=False,
        )
        *on_images, _to_tensor = whole.transforms

        def cropped(image: Image.Image) -> Image.Image:
            for step in on_images:
                image = step(image)
            return image

        return cropped

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
    channels, height, width = own["input_size"]
    if channels != 3:
        raise OptionError(f"the model takes {channels} channels; images are prepared with three")
    values = normalisation(options, own["mean"], own["std"])
    if is_direct(options):
        width, height = direct_size(options.resize)
        values["interpolation"] = options.interpolation or "bicubic"
    else:
        width, height = sides(options.input_size, (int(width), int(height)))
        values |= {
            "interpolation": options.interpolation or own["interpolation"],
            "crop": own["crop_mode"],
            "crop_pct": float(options.crop_pct or own["crop_pct"]),
        }
    return Preprocessing(width=width, height=height, **values)
