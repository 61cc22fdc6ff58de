"""From an image to the numbers that a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from ducho_core import ItemError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from PIL import Image

    from ducho_torch.options import ImageOptions, ResizedImageOptions

Triple: TypeAlias = tuple[float, float, float]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_DEFAULT_SIDE = 224
_MOST_PIXELS = 2**26


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How images are resized and normalised. Picklable; its values enter the SPEC.

    This one resizes straight to the network's size. A library that crops has a subclass with
    a ``resized`` of its own.

    Attributes:
        width: of the network's input, in pixels.
        height: of the network's input, in pixels.
        interpolation: resampling filter, named as Pillow's in lower case.
        normalise: ``zscore``, ``minmax`` (each image to 0..1; a plain one to 0) or ``none``.
        mean: channel means of values in 0..1.
        std: channel deviations.
    """

    width: int
    height: int
    interpolation: str
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
        if self.normalise == "zscore":
            values |= {"mean": list(self.mean), "std": list(self.std)}
        return values

    @property
    def draft(self) -> tuple[int, int]:
        """Size that a JPEG may be decoded down to: twice the longest side that is needed."""
        longest = max(self.width, self.height)
        return 2 * longest, 2 * longest

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Resize (and crop) an RGB image.

        Returns:
            uint8, shape (height, width, 3). Safe from several threads.

        Raises:
            ItemError: ``extreme_aspect_ratio``: resizing its short side to what a crop needs
                would make an image of more than 2**26 pixels.
        """
        return np.asarray(self.resized(image), dtype=np.uint8)

    def resized(self, image: Image.Image) -> Image.Image:
        """The image at (width, height)."""
        from PIL import Image as Pillow

        filters = Pillow.Resampling
        return image.resize((self.width, self.height), filters[self.interpolation.upper()])

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


def is_direct(options: ImageOptions) -> bool:
    """Whether images are resized straight to their size rather than in the model's own way.

    Raises:
        OptionError: options that do not fit together.
    """
    direct = bool(options.resize) or options.preprocessing != "model"
    if direct and (options.input_size or options.crop_pct is not None):
        raise OptionError(
            "input_size and crop_pct belong to the model's own resizing and cropping; with resize"
            " or preprocessing other than model give only resize=WIDTH,HEIGHT"
        )
    return direct


def check_normalisation(kind: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Check ``preprocessing``, ``mean`` and ``std`` against each other.

    Raises:
        OptionError: they contradict each other, or there are not three values.
    """
    if kind in ("minmax", "none") and (mean or std):
        raise OptionError(f"preprocessing={kind} uses no mean and no std")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (0, 3):
            raise OptionError(f"{name} needs three values, one a channel, not {len(values)}")


def direct_size(resize: tuple[int, ...]) -> tuple[int, int]:
    """(width, height) that ``resize`` means: one side stands for both, none for 224."""
    return sides(resize, (_DEFAULT_SIDE, _DEFAULT_SIDE))


def sides(given: tuple[int, ...], default: tuple[int, int]) -> tuple[int, int]:
    """(width, height) out of none, one or two numbers."""
    return (given[0], given[-1]) if given else default


def normalisation(
    options: ResizedImageOptions, mean: Iterable[float], std: Iterable[float]
) -> dict[str, Any]:
    """The fields ``normalise``, ``mean`` and ``std`` of a ``Preprocessing``.

    Args:
        options: what the user chose.
        mean: the model's own channel means.
        std: the model's own channel deviations.

    Raises:
        OptionError: ``preprocessing``, ``mean`` and ``std`` do not fit together.
    """
    check_normalisation(options.preprocessing, options.mean, options.std)
    if options.preprocessing != "model":
        mean, std = _IMAGENET_MEAN, _IMAGENET_STD
    kind = "zscore" if options.preprocessing == "model" else options.preprocessing
    if kind != "zscore":
        return {"normalise": kind}
    return {
        "normalise": kind,
        "mean": _triple(options.mean or mean),
        "std": _triple(options.std or std),
    }


def check_aspect(image: Image.Image, short_side: int) -> None:
    """Refuse an image that would grow beyond all bounds when its short side is resized.

    Raises:
        ItemError: ``extreme_aspect_ratio``.
    """
    short, long = sorted(image.size)
    if short_side * short_side * long / short > _MOST_PIXELS:
        raise ItemError(
            0,
            "extreme_aspect_ratio",
            f"an image of {image.width} x {image.height} pixels is too narrow to crop;"
            " resize=WIDTH,HEIGHT squeezes such images",
        )


def _triple(values: Iterable[float]) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
