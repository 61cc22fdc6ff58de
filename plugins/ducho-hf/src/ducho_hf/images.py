"""Images to pixel values, just as the model's own image processor makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ducho_core import ItemError, UsageError
from ducho_hf.silence import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from PIL import Image

    from ducho_hf.source import ModelSource

_MOST_PIXELS = 2**26

_RECORDED = (
    "do_convert_rgb",
    "do_resize",
    "size",
    "size_divisor",
    "ensure_multiple_of",
    "keep_aspect_ratio",
    "resample",
    "crop_pct",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "rescale_offset",
    "include_top",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_flip_channel_order",
    "do_color_quantize",
    "do_align_long_axis",
    "do_thumbnail",
    "do_pad",
    "pad_size",
    "patch_size",
    "max_num_patches",
)


def load_processor(source: ModelSource) -> tuple[Any, str]:
    """Load the model's image processor, the Pillow one where there is one.

    Returns:
        The processor and its backend, ``pil`` or ``torchvision``.

    Raises:
        UsageError: the model has none.
    """
    with quiet():
        from transformers import AutoImageProcessor

        reason: Exception | None = None
        for backend in ("pil", "torchvision"):
            try:
                processor = AutoImageProcessor.from_pretrained(
                    source.folder,
                    backend=backend,
                    trust_remote_code=source.code,
                    local_files_only=True,
                )
            except (OSError, ValueError, KeyError, ImportError) as error:
                reason = reason or error
            else:
                made = "pil" if type(processor).__name__.endswith("Pil") else "torchvision"
                return processor, made
    raise UsageError(
        f"Transformers finds no image processor for the model {source.name!r}: {reason}"
    ) from reason


def preprocessing(processor: Any, backend: str) -> dict[str, Any]:
    """What of an image processor changes the pixels, for the SPEC."""
    settings = processor.to_dict()
    found: dict[str, Any] = {"processor": type(processor).__name__, "backend": backend}
    for name in _RECORDED:
        value = settings.get(name)
        if value is not None:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def draft_size(processor: Any) -> tuple[int, int] | None:
    """Size that a JPEG may be decoded down to: twice the longest side that is needed."""
    settings = processor.to_dict()
    size = settings.get("size") or {}
    edges = [size.get(name) for name in ("shortest_edge", "height", "width")]
    known = [edge for edge in edges if isinstance(edge, int)]
    if not settings.get("do_resize") or not known:
        return None
    return 2 * max(known), 2 * max(known)


def by_shape(prepared: Sequence[Mapping[str, npt.NDArray[np.generic]]]) -> list[list[int]]:
    """Indices of prepared images that can be stacked, a list for each shape."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for index, one in enumerate(prepared):
        groups.setdefault(tuple(array.shape for array in one.values()), []).append(index)
    return list(groups.values())


class ImagePreparation:
    """Runs an image processor; what it does to each pixel alone waits for the batch.

    Rescaling and normalising map each of 256 values to one number per channel. Where a table
    of those numbers, made by the processor itself, gives bit for bit what the processor gives,
    images stay uint8 until the batch; otherwise they leave as the processor makes them.

    Args:
        processor: a Transformers image processor.
    """

    def __init__(self, processor: Any) -> None:
        self._whole = processor
        self._shortest: int = (processor.to_dict().get("size") or {}).get("shortest_edge") or 0
        self._geometry: Any = None
        self._table: npt.NDArray[np.float32] | None = None
        self._try_table()

    @property
    def uint8(self) -> bool:
        """Whether images stay uint8 until the batch."""
        return self._table is not None

    def prepare(self, image: Image.Image) -> dict[str, npt.NDArray[np.generic]]:
        """One image's arrays, without the batch axis: ``pixel_values`` and what else there is.

        Raises:
            ItemError: ``extreme_aspect_ratio``: resizing its short side to what the model needs
                would make an image of more than 2**26 pixels.
        """
        short, long = sorted(image.size)
        if self._shortest**2 * long / short > _MOST_PIXELS:
            raise ItemError(
                0,
                "extreme_aspect_ratio",
                f"an image of {image.width} x {image.height} pixels is too narrow for this model",
            )
        processor = self._geometry if self.uint8 else self._whole
        made = processor(images=image, return_tensors="np")
        return {name: np.ascontiguousarray(array[0]) for name, array in made.items()}

    def batch(
        self, prepared: list[dict[str, npt.NDArray[np.generic]]], device: torch.device
    ) -> dict[str, torch.Tensor]:
        """Stack images of one shape into tensors on the device."""
        tensors = {
            name: torch.from_numpy(np.stack([one[name] for one in prepared])).to(device)
            for name in prepared[0]
        }
        if self._table is not None:
            table = torch.from_numpy(self._table).to(device)
            pixels = tensors["pixel_values"].int()
            tensors["pixel_values"] = torch.stack(
                [table[channel][pixels[:, channel]] for channel in range(3)], dim=1
            )
        return tensors

    def _try_table(self) -> None:
        from PIL import Image

        settings = self._whole.to_dict()
        if not (settings.get("do_rescale") or settings.get("do_normalize")):
            return
        ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        flat = {"do_resize": False, "do_center_crop": False, "do_pad": False}
        noise = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
        try:
            geometry = type(self._whole).from_dict(
                {**settings, "do_rescale": False, "do_normalize": False}
            )
            made = self._whole(
                images=Image.fromarray(np.stack([ramp] * 3, axis=-1)), return_tensors="np", **flat
            )
            table = np.ascontiguousarray(made["pixel_values"][0].reshape(3, 256))
            probe = Image.fromarray(noise)
            bare = geometry(images=probe, return_tensors="np")
            whole = self._whole(images=probe, return_tensors="np")
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return
        pixels = bare["pixel_values"]
        if set(whole) != set(bare) or pixels.dtype != np.uint8 or table.dtype != np.float32:
            return
        looked_up = np.stack([table[channel][pixels[:, channel]] for channel in range(3)], axis=1)
        if np.array_equal(looked_up, whole["pixel_values"]):
            self._geometry, self._table = geometry, table
