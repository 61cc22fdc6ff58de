"""From an image to the numbers that a torchvision network takes."""

from __future__ import annotations

from dataclasses import dataclass
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

ensure_torchvision()

from torchvision.transforms import InterpolationMode  # noqa: E402 - needs the guard above
from torchvision.transforms import functional as transform  # noqa: E402

if TYPE_CHECKING:
    from ducho_torch import ImageOptions
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Preprocessing(ducho_torch.Preprocessing):
    """How images are resized, cropped and normalised. Picklable; its values enter the SPEC.

    Attributes:
        resize_size: what the short side is resized to before the centre crop, in pixels, or
            None where the image is resized straight to its size.
    """

    resize_size: int | None = None

    def identity(self) -> dict[str, Any]:
        values = super().identity()
        if self.resize_size is not None:
            values |= {"crop": "center", "resize_size": self.resize_size}
        return values

    @property
    def draft(self) -> tuple[int, int]:
        longest = self.resize_size or max(self.width, self.height)
        return 2 * longest, 2 * longest

    def resized(self, image: Image.Image) -> Image.Image:
        if self.resize_size is None:
            return super().resized(image)
        check_aspect(image, self.resize_size)
        mode = InterpolationMode(self.interpolation)
        whole = transform.resize(image, [self.resize_size], interpolation=mode)
        cropped: Image.Image = transform.center_crop(whole, [self.height, self.width])
        return cropped


def resolve_preprocessing(options: ImageOptions, entry: Any) -> Preprocessing:
    """Settle every value of the preprocessing.

    Args:
        options: what the user chose.
        entry: an entry of a torchvision weights enum.

    Raises:
        OptionError: options that do not fit together.
    """
    own = entry.transforms()
    (crop_size,), (resize_size,) = own.crop_size, own.resize_size
    values = normalisation(options, own.mean, own.std)
    if is_direct(options):
        width, height = direct_size(options.resize)
        values["interpolation"] = options.interpolation or "bicubic"
    else:
        width, height = sides(options.input_size, (crop_size, crop_size))
        longest = max(width, height)
        if options.crop_pct is not None:
            resize_size = int(longest / options.crop_pct)
        elif options.input_size:
            resize_size = round(resize_size * longest / crop_size)
        values |= {
            "interpolation": options.interpolation or own.interpolation.value,
            "resize_size": resize_size,
        }
    return Preprocessing(width=width, height=height, **values)
