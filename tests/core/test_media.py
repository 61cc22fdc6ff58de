"""What the decoding of untrusted media accepts, refuses and notes."""

from __future__ import annotations

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ducho_core.errors import ItemError
from ducho_core.media import Media, read_media


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(media, **options):
    return np.asarray(media.image(**options))


def test_a_plain_picture_is_decoded_bit_by_bit_as_pillow_does():
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), "JPEG", quality=90)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert (pixels(Media(content)) == expected).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    kind = "TIFF" if mode in ("CMYK", "F", "I") else "PNG"
    image = Image.new("RGB", (5, 4), (200, 100, 50))
    image = (
        image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
    )
    assert pixels(Media(encoded(image, kind))).shape == (4, 5, 3)


def test_transparency_shows_white():
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert pixels(Media(encoded(image))).tolist() == [[[255, 255, 255]] * 2] * 2


def test_sixteen_bit_greys_are_scaled_not_clipped():
    image = Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16))
    assert pixels(Media(encoded(image)))[0, :, 0].tolist() == [0, 128, 255]


def test_orientation_is_applied():
    image = Image.new("RGB", (6, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert Media(encoded(image, "JPEG", exif=exif)).image().size == (3, 6)


def test_of_an_animation_the_first_frame_is_taken_and_noted():
    frames = [Image.new("RGB", (2, 2), (value, 0, 0)) for value in (10, 200)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    media = Media(content)
    assert pixels(media)[0, 0, 0] == 10
    assert media.notes == ["first_frame"]


def huge_png():
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "decode_error"),
        (b"<html>not found</html>", "format_not_allowed"),
        (encoded(Image.new("RGB", (64, 64)), "ICO"), "format_not_allowed"),
        (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:1500], "decode_error"),
        (huge_png(), "too_many_pixels"),
    ],
    ids=["empty", "html", "format", "truncated", "bomb"],
)
def test_what_cannot_be_used_is_refused_with_its_reason(content, code):
    with pytest.raises(ItemError) as caught:
        Media(content, "a.jpg").image()
    assert caught.value.code == code
    assert "a.jpg" in caught.value.message


def test_a_draft_is_smaller_and_not_below_the_wish():
    content = encoded(Image.effect_noise((800, 600), 50).convert("RGB"), "JPEG")
    width, height = Media(content).image(draft=(200, 150)).size
    assert (200, 150) <= (width, height) < (800, 600)


def test_paths_must_stay_inside_the_root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "root" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "a.jpg").write_bytes(b"x")
    for path in ("root/../secret.jpg", "root/link.jpg", "root2/a.jpg"):
        with pytest.raises(ItemError) as caught:
            read_media(str(tmp_path / path), tmp_path / "root")
        assert caught.value.code == "outside_root"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ItemError) as caught:
        read_media(str(tmp_path), None)
    assert caught.value.code == "not_a_file"


def test_sounds_are_mixed_and_resampled():
    import soundfile

    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone, tone], axis=1) / 2, 8000, format="WAV")
    media = Media(buffer.getvalue())
    samples, rate = media.audio(16_000)
    assert (rate, samples.dtype, len(samples)) == (16_000, np.float32, 16_000)
    peak = np.abs(np.fft.rfft(samples)).argmax()
    assert peak == 440
    assert media.notes == ["mixed_to_mono"]


def test_media_travel_between_processes():
    media = pickle.loads(pickle.dumps(Media(b"abc", "a.jpg")))
    assert (media.bytes, media.name) == (b"abc", "a.jpg")
