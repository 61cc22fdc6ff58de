"""Inputs drawn on the fly: pictures, texts and sounds, sound ones and broken ones."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ducho_core.media import Media

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ducho_core.extractor import InputValue

COUNT = 7
"""Items of each modality: odd and prime, so that no batch size but 1 divides them."""

SIZES = ((96, 72), (64, 64), (45, 90), (120, 40), (73, 51), (200, 150), (33, 31))
"""Widths and heights of the pictures."""

TEXTS = (
    "a red shoe",
    "small steel lamp for the kitchen",
    "soft cotton shirt for women, hand made, in blue and green. " * 3,
    "garden chair",
    "leather running shoe for men with a new brand in 4 of 5 colours",
    "Lampe de chevet en acier brossé, 40 cm « édition limitée »",
    "2 small blue chairs and the large green lamp",
)
"""Texts of very different length, one in another language."""

RATES = (16_000, 8_000, 44_100, 16_000, 22_050, 48_000, 16_000)
"""Samples a second of the sounds; the third has two channels, the fourth is FLAC if it can be."""

SECONDS = (0.5, 1.0, 0.25, 1.5, 0.75, 0.4, 1.2)


def pictures(count: int = COUNT) -> list[bytes]:
    """Image files that all look different: JPEG and PNG, colour, grey and transparent."""
    files = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        pixels = _scene(width, height, number)
        if number % 4 == 2:
            grey = pixels.mean(axis=2, keepdims=True).astype(np.uint8)
            files.append(_png(grey))
        elif number % 4 == 3:
            alpha = np.full((height, width, 1), 255, np.uint8)
            alpha[: height // 3] = 60
            files.append(_png(np.concatenate([pixels, alpha], axis=2)))
        else:
            files.append(_jpeg(pixels) or _png(pixels))
    return files


def texts(count: int = COUNT) -> list[str]:
    """Texts that all say something different, from three words to thirty."""
    rounds = -(-count // len(TEXTS))
    return [f"{text} {turn}" if turn else text for turn in range(rounds) for text in TEXTS][:count]


def sounds(count: int = COUNT) -> list[bytes]:
    """Sound files that all sound different, of several rates and lengths, one of them stereo."""
    files = []
    for number in range(count):
        rate = RATES[number % len(RATES)]
        at = np.arange(int(SECONDS[number % len(SECONDS)] * rate)) / rate
        random = np.random.default_rng(number)
        wave_form = 0.4 * np.sin(2 * np.pi * 110 * 2 ** (number / 3) * at)
        wave_form += 0.2 * np.sin(2 * np.pi * 523 * at * (1 + at)) + random.normal(
            0, 0.02, len(at)
        )
        channels = np.stack([wave_form, -wave_form / 2], axis=1) if number == 2 else wave_form
        files.append((_flac(channels, rate) if number % 7 == 3 else b"") or _wav(channels, rate))
    return files


def broken_images() -> dict[str, bytes]:
    """Files that are no usable image, by what is wrong with them."""
    whole = _jpeg(_scene(96, 72, 0)) or _png(_scene(96, 72, 0))
    return {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"this is a text in place of an image\n",
    }


def broken_sounds() -> dict[str, bytes]:
    """Files that are no usable sound, by what is wrong with them."""
    return {
        "header alone": _wav(np.zeros(1600), 16_000)[:20],
        "empty": b"",
        "text": b"this is a text in place of a sound\n",
    }


def odd_texts() -> dict[str, str]:
    """Texts that an extractor may refuse one by one and must not stumble over."""
    return {
        "blank": " ",
        "invisible": "\u200b\u200b",
        "symbols": "🦉🦉 ¿? \x00 \ufffd",
        "endless": "shoe lamp " * 3000,
        "one word": "x" * 5000,
    }


def catalogue_items(inputs: Iterable[str], count: int = COUNT) -> list[dict[str, InputValue]]:
    """Items that have each of the inputs.

    Args:
        inputs: some of ``image``, ``text`` and ``audio``.
        count: how many items.
    """
    columns: dict[str, Sequence[InputValue]] = {}
    for name in inputs:
        if name == "image":
            columns[name] = [Media(one, f"picture {at}") for at, one in enumerate(pictures(count))]
        elif name == "audio":
            columns[name] = [Media(one, f"sound {at}") for at, one in enumerate(sounds(count))]
        else:
            columns[name] = texts(count)
    return [{name: column[at] for name, column in columns.items()} for at in range(count)]


def broken_items(item: dict[str, InputValue]) -> dict[str, dict[str, InputValue]]:
    """Variants of an item with one input broken, by what is wrong."""
    found: dict[str, dict[str, InputValue]] = {}
    for name, value in item.items():
        faulty: dict[str, InputValue] = {}
        if isinstance(value, str):
            faulty.update(odd_texts())
        elif name == "audio":
            faulty.update({what: Media(one, what) for what, one in broken_sounds().items()})
        else:
            faulty.update({what: Media(one, what) for what, one in broken_images().items()})
        for what, one in faulty.items():
            found[f"{name}: {what}"] = {**item, name: one}
    return found


def copies(items: Iterable[dict[str, InputValue]]) -> list[dict[str, InputValue]]:
    """The items anew, as the core hands them over: nobody has decoded them yet."""
    return [
        {
            name: Media(value.bytes, value.name) if isinstance(value, Media) else value
            for name, value in item.items()
        }
        for item in items
    ]


def _scene(width: int, height: int, seed: int) -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pixels = np.empty((height, width, 3))
    for channel in range(3):
        tilt, lift = random.uniform(-1, 1, 2)
        pixels[..., channel] = 128 + 90 * (tilt * (across - 0.5) + lift * (down - 0.5))
    for _ in range(3):
        x, y, radius = random.uniform(0.2, 0.8), random.uniform(0.2, 0.8), random.uniform(0.1, 0.3)
        inside = (across - x) ** 2 + (down - y) ** 2 < radius**2
        pixels[inside] = random.uniform(0, 255, 3)
    return (pixels + random.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A JPEG file; empty where Pillow is not installed."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return b""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of an array of shape (height, width, 1, 3 or 4), by the standard library."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _flac(samples: npt.NDArray[np.float64], rate: int) -> bytes:
    """A FLAC file; empty where soundfile is not installed."""
    try:
        import soundfile
    except (ModuleNotFoundError, OSError):
        return b""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _wav(samples: npt.NDArray[np.float64], rate: int) -> bytes:
    """A 16-bit WAV file of an array of shape (n,) or (n, channels) in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim > 1 else 1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
