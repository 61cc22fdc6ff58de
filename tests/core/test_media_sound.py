"""Which sounds are decoded, how they become mono samples at a rate, and what is refused."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from ducho_core import media as limits
from ducho_core.errors import ItemError
from ducho_core.media import Media

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (24_000, 2)).astype(np.float32)


def sound(samples=NOISE, rate=48_000, kind="WAV", subtype="PCM_16"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def code(content, **options):
    with pytest.raises(ItemError) as caught:
        Media(content, "a.wav").audio(16_000, **options)
    assert "a.wav" in caught.value.message
    assert "0x" not in caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "subtype", "bound"),
    [
        ("WAV", "PCM_U8", 8e-3),
        ("WAV", "PCM_16", 4e-5),
        ("WAV", "PCM_24", 2e-7),
        ("WAV", "FLOAT", 0),
        ("WAVEX", "DOUBLE", 0),
        ("RF64", "PCM_16", 4e-5),
        ("W64", "PCM_16", 4e-5),
        ("FLAC", "PCM_16", 4e-5),
        ("AIFF", "PCM_16", 4e-5),
        ("AU", "PCM_16", 4e-5),
        ("CAF", "PCM_16", 4e-5),
    ],
)
def test_lossless_kinds_give_the_samples_that_went_in(kind, subtype, bound):
    media = Media(sound(kind=kind, subtype=subtype))
    samples, rate = media.audio()
    assert (rate, media.notes) == (48_000, ["mixed_to_mono"])
    assert np.abs(samples - NOISE.mean(axis=1)).max() <= bound


@pytest.mark.parametrize(
    ("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_lossy_kinds_give_the_tone_that_went_in(kind, subtype):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    samples, _ = Media(sound(tone, kind=kind, subtype=subtype)).audio(16_000)
    assert len(samples) == pytest.approx(16_000, abs=800)
    spectrum = np.abs(np.fft.rfft(samples[:16_000], 16_000))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_is_soxrs_own(rate):
    samples, at = Media(sound(NOISE[:, 0], rate, subtype="FLOAT")).audio(16_000)
    expected = soxr.resample(NOISE[:, 0], rate, 16_000) if rate != 16_000 else NOISE[:, 0]
    assert at == 16_000
    assert np.array_equal(samples, expected)


def test_resampling_in_blocks_is_resampling_at_once(monkeypatch):
    content = sound(NOISE[:, 0], subtype="FLOAT")
    whole, _ = Media(content).audio(16_000)
    monkeypatch.setattr(limits, "_SOUND_BLOCK", 1000)
    assert np.array_equal(Media(content).audio(16_000)[0], whole)


def test_only_the_beginning_is_decoded_where_that_is_asked_for():
    media = Media(sound(NOISE, 48_000))
    samples, _ = media.audio(16_000, seconds=0.25)
    assert len(samples) == 4000
    assert media.notes == ["mixed_to_mono", "truncated"]
    whole = Media(sound(NOISE, 48_000))
    assert len(whole.audio(16_000, seconds=0.5)[0]) == 8000
    assert whole.notes == ["mixed_to_mono"]


def test_what_is_no_sound_is_refused():
    assert code(b"") == "decode_error"
    assert code(b"a text that was renamed" * 9) == "format_not_allowed"
    assert code(b"RIFF nonsense") == "format_not_allowed"
    assert code(sound(NOISE[:, 0], kind="VOC")) == "format_not_allowed"
    assert code(sound(np.zeros((0, 1)))) == "no_samples"
    assert code(sound(kind="FLAC")[:-20_000]) == "decode_error"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    samples = NOISE[:, 0].copy()
    samples[-1] = bad
    assert code(sound(samples, subtype="FLOAT")) == "non_finite"


def test_one_sample_is_a_sound_at_its_own_rate():
    samples, _ = Media(sound(NOISE[:1, 0], 16_000)).audio(16_000)
    assert len(samples) == 1


def test_a_file_that_ends_too_early_is_noted():
    content = sound(kind="MP3", subtype="MPEG_LAYER_III")
    media = Media(content[: len(content) // 2])
    samples, _ = media.audio()
    assert 0 < len(samples) < len(NOISE)
    assert media.notes == ["mixed_to_mono", "incomplete"]


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "AU"])
def test_an_uncompressed_file_that_ends_too_early_is_noted(kind):
    content = sound(kind=kind)
    media = Media(content[: len(content) // 2])
    samples, _ = media.audio()
    assert 0 < len(samples) < len(NOISE)
    assert media.notes == ["mixed_to_mono", "incomplete"]


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_file_written_before_its_length_was_known_is_whole(length):
    content = bytearray(sound())
    at = content.index(b"data") + 4
    content[at : at + 4] = length.to_bytes(4, "little")
    media = Media(bytes(content))
    samples, _ = media.audio()
    assert len(samples) == len(NOISE)
    assert media.notes == ["mixed_to_mono"]


def test_sounds_over_the_limits_are_refused_or_cut(monkeypatch):
    content = sound()
    monkeypatch.setattr(limits, "MAX_AUDIO_SECONDS", 0.25)
    assert code(content) == "too_long"
    assert len(Media(content).audio(16_000, seconds=9)[0]) == 4000
    monkeypatch.setattr(limits, "MAX_AUDIO_SECONDS", 9)
    monkeypatch.setattr(limits, "MAX_AUDIO_SAMPLES", 40_000)
    assert code(content) == "too_long"


def test_a_long_sound_is_held_at_the_wanted_rate_only():
    silence = sound(np.zeros((60 * 48_000, 2), np.int16), kind="FLAC")
    tracemalloc.start()
    try:
        samples, _ = Media(silence).audio(8_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(samples) == 60 * 8_000
    assert peak < 12 * 2**20  # decoded at once it would be 23 MB


def test_many_channels_take_no_more_memory_than_two():
    content = sound(np.full((2**15, 256), 0.25), subtype="PCM_U8")
    tracemalloc.start()
    try:
        samples, _ = Media(content).audio()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples.shape == (2**15,)
    assert np.allclose(samples, 0.25, atol=8e-3)
    assert peak < 8 * 2**20
