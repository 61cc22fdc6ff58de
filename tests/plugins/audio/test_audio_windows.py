"""Long sounds in windows, limits, notes, and sounds that cannot be used."""

from __future__ import annotations

import audio_kit as kit
import numpy as np
import pytest
import transformers
from ducho_audio import Division, EncoderOptions
from ducho_audio.passes import Passes, join

from ducho_core import DeviceMemoryError, ItemError, Media, UsageError

SECOND = kit.RATE


def division(**settings):
    return Division(**{"rate": 10, "window": 10, "hop": 10, **settings})


@pytest.mark.parametrize(
    ("settings", "length", "expected"),
    [
        ({}, 7, [(0, 7)]),
        ({}, 10, [(0, 10)]),
        ({}, 25, [(0, 10), (10, 20), (20, 25)]),
        ({}, 20, [(0, 10), (10, 20)]),
        ({"hop": 5}, 22, [(0, 10), (5, 15), (10, 20), (15, 22)]),
        ({"minimum": 3}, 22, [(0, 10), (10, 20)]),
        ({"minimum": 3}, 23, [(0, 10), (10, 20), (20, 23)]),
        ({"part": "first"}, 25, [(0, 10)]),
        ({"part": "centre"}, 25, [(7, 17)]),
        ({"part": "centre"}, 9, [(0, 9)]),
    ],
)
def test_where_windows_begin_and_end(settings, length, expected):
    assert division(**settings).spans(length) == expected


def test_windows_are_averaged_by_their_frames(waves, relative):
    folder = waves("wav2vec2")
    (sound,) = kit.waveforms((2 * SECOND + 6000,))
    parts = [sound[:SECOND], sound[SECOND : 2 * SECOND], sound[2 * SECOND :]]
    states = [kit.reference(folder, [one])[1].last_hidden_state[0].numpy() for one in parts]
    extractor = kit.make(folder, window=1, pooling=("mean", "max", "last"))
    inputs = kit.items([sound, sound[:3000]])
    found = kit.vectors(extractor, inputs)
    frames = np.concatenate(states)
    assert relative(found["mean"][:1], frames.mean(0)[None]) <= 1e-5
    assert relative(found["max"][:1], frames.max(0)[None]) <= 1e-5
    assert relative(found["last"][:1], frames[-1][None]) <= 1e-5
    short = kit.reference(folder, [sound[:3000]])[1].last_hidden_state.mean(1).numpy()
    assert relative(found["mean"][1:], short) <= 1e-5


def test_windows_may_overlap(waves, relative):
    folder = waves("wavlm-layer")
    (sound,) = kit.waveforms((2 * SECOND,))
    starts = (0, SECOND // 2, SECOND)
    states = [
        kit.reference(folder, [sound[at : at + SECOND]])[1].last_hidden_state[0].numpy()
        for at in starts
    ]
    found = kit.vectors(kit.make(folder, window=1, hop=0.5), kit.items([sound]))["mean"]
    assert relative(found, np.concatenate(states).mean(0)[None]) <= 1e-5


def test_whisper_and_ast_take_windows_of_their_own_length(whisper, ast, relative):
    (sound,) = kit.waveforms((5 * SECOND,))
    parts = [sound[: 2 * SECOND], sound[2 * SECOND : 4 * SECOND], sound[4 * SECOND :]]
    states = kit.reference(whisper, parts, padding=None)[1].last_hidden_state.numpy()
    expected = np.concatenate([states[0], states[1], states[2, :50]]).mean(0)[None]
    assert relative(kit.vectors(kit.make(whisper), kit.items([sound]))["mean"], expected) <= 1e-5

    length = 20_480
    parts = [sound[at : at + length] for at in range(0, len(sound), length)]
    pooled = kit.reference(ast, parts, padding=None)[1].pooler_output.numpy()
    columns = np.array([12, 12, 12, 12])[: len(parts)]
    rest = 1 + (len(parts[-1]) - 400) // 160
    columns[-1] = min(12, -(-rest // 10))
    expected = (pooled * columns[:, None]).sum(0)[None] / columns.sum()
    found = kit.vectors(kit.make(ast, pooling=("pooler",)), kit.items([sound]))["pooler"]
    assert relative(found, expected) <= 1e-5


def test_many_windows_of_one_sound_go_through_in_bounded_passes(waves, relative):
    folder = waves("wav2vec2-layer")
    inputs = kit.items(kit.waveforms((9 * SECOND, 2 * SECOND)))
    whole = kit.vectors(kit.make(folder, window=1), inputs)["mean"]
    extractor = kit.make(folder, window=1, pass_seconds=2)
    seen = []
    states = extractor._states
    run = states.run
    states.run = lambda batch: seen.append(batch["input_values"].shape) or run(batch)
    found = kit.vectors(extractor, inputs)["mean"]
    assert max(rows * columns for rows, columns in seen) <= 2 * SECOND
    assert sum(rows for rows, _ in seen) == 11
    assert relative(found, whole) <= 1e-5


def test_a_pass_that_does_not_fit_is_halved():
    tried = []

    def compute(rows):
        tried.append(len(rows))
        if len(rows) > 3:
            raise DeviceMemoryError("too many")
        return rows

    passes = Passes(100)
    done = [row for rows, _ in passes.run(["a"] * 7 + ["b"], [10] * 8, compute) for row in rows]
    assert sorted(done) == list(range(8))
    assert tried == [7, 3, 3, 1, 1]
    with pytest.raises(DeviceMemoryError):
        list(Passes(100).run(["a"], [10], lambda _: compute([1] * 4)))


def test_joining_one_window_changes_nothing():
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    weights = np.array([3.0, 1.0, 2.0])
    for how in ("mean", "max", "last", "pooler"):
        assert np.array_equal(join(how, vectors, weights, [1, 1, 1]), vectors)
    assert np.allclose(
        join("mean", vectors, weights, [2, 1])[0], 0.75 * vectors[0] + 0.25 * vectors[1]
    )


def test_size_is_what_goes_through_the_model(waves, whisper):
    extractor = kit.make(waves("wav2vec2"), window=1)
    long, short = extractor.prepare_many(kit.items(kit.waveforms((2 * SECOND + 500, 3000))))
    assert [extractor.size(one) for one in (long, short)] == [2 * SECOND + 500, 3000]
    extractor = kit.make(whisper)
    long, short = extractor.prepare_many(kit.items(kit.waveforms((2 * SECOND + 500, 3000))))
    assert [extractor.size(one) for one in (long, short)] == [4 * SECOND, 2 * SECOND]


def test_what_was_decided_is_noted(waves):
    extractor = kit.make(waves("wav2vec2"), max_seconds=0.25)
    stereo = np.stack([kit.noise(8000, 0)] * 2, axis=1)
    sample = extractor.prepare({"audio": Media(kit.encoded(stereo))})
    assert sample.notes == ("mixed_to_mono", "truncated")
    assert extractor.size(sample) == 4000
    assert extractor.prepare(kit.items([kit.noise(4000, 0)])[0]).notes == ()


def test_a_long_sound_may_fail_instead(waves):
    extractor = kit.make(waves("wav2vec2"), max_seconds=0.25, too_long="fail")
    with pytest.raises(ItemError, match=r"longer than 0\.25 s") as caught:
        extractor.prepare(kit.items([kit.noise(8000, 0)])[0])
    assert caught.value.code == "too_long"


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_kinds_and_rates_give_much_the_same(waves, rate, kind, subtype):
    if kind == "MP3" and rate == 96_000:
        pytest.skip("there are no such MP3 files")
    time = np.arange(rate // 2) / rate
    samples = 0.4 * np.sin(2 * np.pi * 300 * time) + 0.2 * np.sin(2 * np.pi * 1100 * time)
    same = 0.4 * np.sin(2 * np.pi * 300 * np.arange(8000) / SECOND)
    same += 0.2 * np.sin(2 * np.pi * 1100 * np.arange(8000) / SECOND)
    extractor = _shared(waves)
    inputs = [
        {"audio": Media(kit.encoded(samples, rate, kind, subtype))},
        kit.items([same.astype(np.float32)])[0],
    ]
    found, expected = kit.vectors(extractor, inputs, size=1)["mean"]
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine >= 0.99


def _shared(waves, made={}):  # noqa: B006 - built once
    if "wav2vec2" not in made:
        made["wav2vec2"] = kit.make(waves("wav2vec2"))
    return made["wav2vec2"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "decode_error"),
        (b"a text that was renamed to .wav\n" * 40, "format_not_allowed"),
        (kit.encoded(np.zeros(0, np.float32)), "no_samples"),
        (kit.encoded(np.array([0, np.nan, 0.5] * 900, np.float32)), "non_finite"),
        (kit.encoded(np.zeros(1, np.float32)), "too_short"),
        (kit.encoded(kit.noise(40, 0)), "too_short"),
    ],
)
def test_a_sound_that_cannot_be_used_fails_alone(waves, content, code):
    extractor = _shared(waves)
    with pytest.raises(ItemError) as caught:
        extractor.prepare({"audio": Media(content, "odd.wav")})
    assert (caught.value.code, caught.value.index) == (code, 0)
    assert "odd.wav" in caught.value.message


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-layer", "sew", "data2vec"])
def test_the_shortest_sound_that_a_model_can_use(waves, kind):
    extractor = kit.make(waves(kind))
    shortest = extractor._division.minimum
    found = kit.vectors(extractor, kit.items([kit.noise(shortest, 0)]))["mean"]
    assert np.isfinite(found).all()
    with pytest.raises(ItemError, match="too_short"):
        extractor.prepare(kit.items([kit.noise(shortest - 1, 0)])[0])


def test_the_receptive_field_of_the_published_models_is_400_samples():
    from ducho_audio.frontend import WaveformFrontend

    extractor = transformers.Wav2Vec2FeatureExtractor()
    assert WaveformFrontend(extractor, transformers.Wav2Vec2Config()).minimum == 400
    assert WaveformFrontend(extractor, transformers.SEWConfig()).minimum == 400 + 320


def test_silence_is_a_sound(waves, whisper, ast):
    silence = kit.items([np.zeros(8000, np.float32)])
    for folder in (waves("wav2vec2"), whisper, ast):
        assert np.isfinite(kit.vectors(kit.make(folder), silence)["mean"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 3.0}, "at most 2 seconds"),
        ({"hop": 2.5}, "hop=2.5 is longer than a window of 2 seconds"),
        ({"window": 1.0, "hop": 1.5}, "longer than a window of 1"),
        ({"pooling": ("cls",)}, "gives frames only; choose mean, max or last"),
        ({"pooling": ("pooler",)}, "gives frames only"),
        ({"layers": (3,)}, "hidden states 0 to 2"),
    ],
)
def test_options_that_whisper_cannot_honour(whisper, options, message):
    with pytest.raises(UsageError, match=message):
        kit.make(whisper, **options)


def test_options_that_others_cannot_honour(waves, ast):
    with pytest.raises(UsageError, match="tokens, not frames in the order of time"):
        kit.make(ast, pooling=("last",))
    with pytest.raises(UsageError, match="frames=all"):
        kit.make(waves("wav2vec2"), frames="all")
    with pytest.raises(UsageError, match=r"window=0.001: this model needs at least"):
        kit.make(waves("wav2vec2"), window=0.001)


def test_no_model_names_good_ones():
    from ducho_audio import EncoderExtractor

    with pytest.raises(UsageError, match=r"openai/whisper-base .*290 MB"):
        EncoderExtractor.resolve(EncoderOptions(), kit.context())
