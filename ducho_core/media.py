"""The one place that opens untrusted images and sounds. The limits live here."""

from __future__ import annotations

import io
import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from ducho_core.errors import ItemError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

MAX_PIXELS = 89_478_485
"""Images with more pixels are refused; Pillow's own warning threshold."""

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are refused before they are read."""

MAX_AUDIO_SECONDS = 3600.0
"""Longer sounds are refused, or cut where the caller says so."""

MAX_AUDIO_SAMPLES = 1_500_000_000
"""Sounds with more samples, all channels counted, are not decoded to the end: an hour of
192 kHz stereo has fewer."""

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that Pillow may try, whatever the file is called."""

AUDIO_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")
"""Formats that libsndfile may decode, by its own names, whatever the file is called."""

_SOUND_BLOCK = 2**18
"""Frames of up to two channels that are decoded at once; fewer of more channels."""
_UNRECOGNISED = 1
_COMPLETE = 0.99
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_LENGTH_UNKNOWN = 2**31 - 2**16
"""Programs that write to a pipe give a length from here up, as they do not know it yet."""


class Media:
    """The bytes of one image or sound, decoded on request.

    Attributes:
        bytes: the file's content.
        name: how messages call it.
        notes: what decoding had to decide (``first_frame``, ``mixed_to_mono``, ``truncated``,
            ``incomplete``); counted in the summary.
    """

    __slots__ = ("bytes", "name", "notes")

    def __init__(self, content: bytes, name: str = "media") -> None:
        self.bytes = content
        self.name = name
        self.notes: list[str] = []

    def __reduce__(self) -> tuple[type[Media], tuple[bytes, str]]:
        return Media, (self.bytes, self.name)

    def image(self, draft: tuple[int, int] | None = None) -> Image.Image:
        """Decode to an RGB image, orientation from Exif applied, transparency on white.

        Args:
            draft: (width, height) in pixels that the caller will not exceed; JPEGs may then
                be decoded at a smaller DCT scale, which is faster and not bit-identical.

        Raises:
            ItemError: ``decode_error``, ``format_not_allowed`` or ``too_many_pixels``.
        """
        try:
            from PIL import Image, ImageOps, UnidentifiedImageError
        except ModuleNotFoundError as error:
            raise UsageError(
                "images need Pillow, which is not installed: pip install 'ducho-core[image]'"
            ) from error
        if not self.bytes:
            raise ItemError(0, "decode_error", f"{self.name} is empty")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(io.BytesIO(self.bytes), formats=IMAGE_FORMATS)
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ItemError(
                        0,
                        "too_many_pixels",
                        f"{self.name} has {width} x {height} pixels, over the limit of"
                        f" {MAX_PIXELS}",
                    )
                if getattr(image, "n_frames", 1) > 1:
                    self.notes.append("first_frame")
                    image.seek(0)
                if draft is not None:
                    image.draft("RGB", draft)
                image.load()
                return _rgb(ImageOps.exif_transpose(image))
        except ItemError:
            raise
        except UnidentifiedImageError as error:
            raise ItemError(
                0,
                "format_not_allowed",
                f"{self.name} is no image of an allowed format ({', '.join(IMAGE_FORMATS)})",
            ) from error
        except Image.DecompressionBombError as error:
            # Pillow has a limit of its own, twice ours, and looks before we can.
            raise ItemError(
                0, "too_many_pixels", f"{self.name} is over the limit of {MAX_PIXELS} pixels"
            ) from error
        except MemoryError:
            raise
        except Exception as error:  # decoders raise whatever a broken file leads them to
            raise ItemError(
                0, "decode_error", f"{self.name}: {type(error).__name__}: {error}"
            ) from error

    def audio(
        self, rate: int | None = None, *, seconds: float | None = None
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Decode to mono float32 samples, full scale being [-1, 1].

        Channels are averaged (note ``mixed_to_mono``). A file that ends before the length that
        its header gives is decoded as far as it goes (note ``incomplete``, where the format
        lets that be seen: Ogg does not).

        Args:
            rate: samples a second that the caller needs; the sound is resampled to it
                (soxr, high quality). None keeps the file's own rate.
            seconds: decode only so much from the beginning; where there is more, that is cut
                (note ``truncated``). None refuses sounds over ``MAX_AUDIO_SECONDS``.

        Returns:
            The samples, shape (n,) with n >= 1, and their rate in Hz.

        Raises:
            ItemError: ``decode_error``, ``format_not_allowed``, ``too_long``, ``no_samples`` or
                ``non_finite``.
        """
        try:
            import soundfile
            import soxr
        except ModuleNotFoundError as error:
            raise UsageError(
                f"sounds need {error.name}, which is not installed:"
                " pip install 'ducho-core[audio]'"
            ) from error
        if not self.bytes:
            raise ItemError(0, "decode_error", f"{self.name} is empty")
        try:
            with soundfile.SoundFile(io.BytesIO(self.bytes)) as sound:
                self._check_sound(sound, seconds)
                own_rate = int(sound.samplerate)
                resampler = None
                if rate is not None and rate != own_rate:
                    resampler = soxr.ResampleStream(own_rate, rate, 1, dtype="float32")
                return self._samples(sound, resampler, seconds), rate or own_rate
        except ItemError:
            raise
        except MemoryError:
            raise
        except soundfile.LibsndfileError as error:
            # Its text names a Python object where it should name the file.
            if error.code == _UNRECOGNISED:
                raise self._no_allowed_sound() from error
            raise ItemError(0, "decode_error", f"{self.name}: {error.error_string}") from error
        except Exception as error:  # decoders raise whatever a broken file leads them to
            raise ItemError(
                0, "decode_error", f"{self.name}: {type(error).__name__}: {error}"
            ) from error

    def _check_sound(self, sound: Any, seconds: float | None) -> None:
        if sound.format not in AUDIO_FORMATS:
            raise self._no_allowed_sound()
        lasts = sound.frames / sound.samplerate
        if seconds is None and lasts > MAX_AUDIO_SECONDS:
            raise self._too_long(f"lasts {lasts:.0f} s", f"{MAX_AUDIO_SECONDS:.0f} s")

    def _samples(
        self, sound: Any, resampler: Any, seconds: float | None
    ) -> npt.NDArray[np.float32]:
        import numpy as np

        limit = int(min(seconds or MAX_AUDIO_SECONDS, MAX_AUDIO_SECONDS) * sound.samplerate) or 1
        blocks: list[npt.NDArray[np.float32]] = []
        held, cut = 0, False
        frames = max(1, 2 * _SOUND_BLOCK // max(2, sound.channels))
        while not cut:
            # What a header says is not to be trusted: blocks bound what is held.
            block = sound.read(frames, dtype="float32", always_2d=True)
            cut = held + len(block) > limit
            mono = block[: limit - held].mean(axis=1, dtype="float32")
            held += len(mono)
            if held * sound.channels > MAX_AUDIO_SAMPLES:
                raise self._too_long("has more samples", f"{MAX_AUDIO_SAMPLES} samples")
            if not np.isfinite(mono).all():
                raise ItemError(0, "non_finite", f"{self.name} holds samples that are no numbers")
            done = cut or not len(block)
            blocks.append(resampler.resample_chunk(mono, last=done) if resampler else mono)
            if done:
                break
        if cut and seconds is None:
            raise self._too_long("goes on", f"{MAX_AUDIO_SECONDS:.0f} s")
        samples = np.concatenate(blocks)
        if not len(samples):
            raise ItemError(0, "no_samples", f"{self.name} holds no sound: it has {held} samples")
        if sound.channels > 1:
            self.notes.append("mixed_to_mono")
        if cut:
            self.notes.append("truncated")
        elif held < _COMPLETE * sound.frames or _is_cut_short(sound):
            self.notes.append("incomplete")
        return samples

    def _no_allowed_sound(self) -> ItemError:
        return ItemError(
            0,
            "format_not_allowed",
            f"{self.name} is no sound of an allowed format ({', '.join(AUDIO_FORMATS)})",
        )

    def _too_long(self, what: str, limit: str) -> ItemError:
        return ItemError(0, "too_long", f"{self.name} {what}, over the limit of {limit}")


def _is_cut_short(sound: Any) -> bool:
    """Whether an uncompressed file gives a greater length than it has.

    libsndfile trusts what is there and says so in its log alone.
    """
    lengths = ((int(one[1]), int(one[2])) for one in _CUT_SHORT.finditer(sound.extra_info))
    return any(there < _COMPLETE * given and given < _LENGTH_UNKNOWN for given, there in lengths)


def read_media(path: str, root: str | os.PathLike[str] | None) -> Media:
    """Read one referenced file, which must lie inside ``root``, links followed.

    Raises:
        ItemError: ``outside_root``, ``not_a_file``, ``permission_denied`` or ``too_large``.
        FileNotFoundError: there is no such file.
        OSError: any other trouble, which may be transient.
    """
    real = os.path.realpath(path)
    if root is not None:
        top = os.path.realpath(root)
        if real != top and not real.startswith(top.rstrip(os.sep) + os.sep):
            raise ItemError(
                0,
                "outside_root",
                f"{os.path.basename(path)} leads outside the catalogue's folder; move the file"
                " there or widen it with --root",
            )
    try:
        with open(real, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ItemError(
                    0,
                    "too_large",
                    f"{os.path.basename(path)} has {size} bytes, over the limit of"
                    f" {MAX_FILE_BYTES}",
                )
            return Media(file.read(), os.path.basename(path))
    except IsADirectoryError as error:
        raise ItemError(0, "not_a_file", f"{os.path.basename(path)} is a folder") from error
    except PermissionError as error:
        raise ItemError(
            0, "permission_denied", f"{os.path.basename(path)} may not be read"
        ) from error


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image as PillowImage

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit greys to 255 instead of scaling them.
        return image.point(lambda value: value / 257).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = PillowImage.new("RGBA", rgba.size, (255, 255, 255, 255))
        return PillowImage.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
