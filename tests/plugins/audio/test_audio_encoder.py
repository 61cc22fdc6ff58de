"""``audio/encoder`` gives what Transformers, called directly, gives, in any batch."""

from __future__ import annotations

import audio_kit as kit
import numpy as np
import pytest
import torch

SOUNDS = kit.waveforms()
MASKED = ("wav2vec2-layer", "hubert-layer", "wavlm-layer", "unispeech-layer")
UNMASKED = ("wav2vec2", "hubert", "wavlm", "data2vec", "sew", "adapter")


def frames_of(folder, length):
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        length = (length - kernel) // stride + 1
    return length


def alone(folder, sounds, pick):
    """Each sound by itself, as the library gives it."""
    return np.concatenate([pick(kit.reference(folder, [one])[1]).numpy() for one in sounds])


def mean_of_last(output):
    states = output.last_hidden_state
    filled = states.abs().sum((0, 2)) > 0  # SEW adds a frame of zeros to an odd number
    return states[:, filled].mean(1)


@pytest.mark.parametrize("kind", MASKED)
def test_a_padded_batch_is_the_librarys_own(waves, relative, kind):
    folder = waves(kind)
    batch, output = kit.reference(folder, SOUNDS)
    assert "attention_mask" in batch
    expected = np.stack(
        [
            states[: frames_of(folder, len(one))].mean(0).numpy()
            for states, one in zip(output.last_hidden_state, SOUNDS, strict=True)
        ]
    )
    extractor = kit.make(folder)
    inputs = kit.items(SOUNDS)
    assert relative(kit.vectors(extractor, inputs)["mean"], expected) <= 1e-5

    spread = relative(alone(folder, SOUNDS, mean_of_last), expected)
    ours = max(
        relative(kit.vectors(extractor, inputs, size=size, order=order)["mean"], expected)
        for size, order in ((1, None), (2, [5, 3, 1, 0, 2, 4]), (4, [2, 0, 5, 4, 1, 3]))
    )
    print(f"{kind}: ours {ours:.2e}, the library's own spread {spread:.2e}")
    assert ours <= max(2 * spread, 1e-6)


@pytest.mark.parametrize("kind", UNMASKED)
def test_sounds_of_one_length_are_the_librarys_own_batch(waves, relative, kind):
    folder = waves(kind)
    same = [kit.noise(6000, seed) for seed in range(4)]
    expected = mean_of_last(kit.reference(folder, same)[1]).numpy()
    assert relative(kit.vectors(kit.make(folder), kit.items(same))["mean"], expected) <= 1e-5


@pytest.mark.parametrize("kind", [*MASKED, *UNMASKED])
def test_a_sound_does_not_depend_on_the_sounds_beside_it(waves, relative, kind):
    folder = waves(kind)
    expected = alone(folder, SOUNDS, mean_of_last)
    extractor = kit.make(folder, pooling=("mean", "max", "last"))
    inputs = kit.items(SOUNDS)
    lonely = kit.vectors(extractor, inputs, size=1)
    assert relative(lonely["mean"], expected) <= 1e-5
    for size, order in ((6, None), (3, [5, 4, 3, 2, 1, 0]), (4, [1, 5, 0, 4, 2, 3])):
        found = kit.vectors(extractor, inputs, size=size, order=order)
        for name, values in lonely.items():
            assert relative(found[name], values) <= 1e-5, (size, name)


@pytest.mark.parametrize("kind", ["wav2vec2", "data2vec", "sew"])
def test_padding_would_have_changed_these(waves, relative, kind):
    """Why such models share a pass only with sounds of the same length."""
    folder = waves(kind)
    _, output = kit.reference(folder, SOUNDS)
    padded = np.stack(
        [
            states[: max(1, len(states) * len(one) // max(kit.LENGTHS))].mean(0).numpy()
            for states, one in zip(output.last_hidden_state, SOUNDS, strict=True)
        ]
    )
    assert relative(padded, alone(folder, SOUNDS, mean_of_last)) > 1e-3


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm-layer"])
def test_layers_are_transformers_hidden_states(waves, relative, kind):
    folder = waves(kind)
    same = [kit.noise(6000, seed) for seed in range(3)]
    output = kit.reference(folder, same)[1]
    extractor = kit.make(folder, layers=(-1, 0, 2), pooling=("mean", "last", "max"))
    found = kit.vectors(extractor, kit.items(same))
    assert [one.name for one in extractor.outputs] == [
        f"layer{layer}_{how}" for layer in (0, 2, 3) for how in ("mean", "last", "max")
    ]
    for layer in (0, 2, 3):
        states = output.hidden_states[layer].numpy()
        assert relative(found[f"layer{layer}_mean"], states.mean(1)) <= 1e-5
        assert relative(found[f"layer{layer}_last"], states[:, -1]) <= 1e-5
        assert relative(found[f"layer{layer}_max"], states.max(1)) <= 1e-5


@pytest.mark.parametrize("kind", ["wav2vec2-layer", "wavlm-layer"])
def test_layers_of_padded_sounds_are_those_of_each_alone(waves, relative, kind):
    extractor = kit.make(waves(kind), layers=(0, 1), pooling=("mean", "last"))
    inputs = kit.items(SOUNDS)
    together, alone = (kit.vectors(extractor, inputs, size=size) for size in (6, 1))
    for name, values in alone.items():
        assert relative(together[name], values) <= 1e-5, name


def test_nothing_past_the_deepest_layer_is_computed(waves):
    extractor = kit.make(waves("wav2vec2"), layers=(1,))
    calls = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: calls.append(type(module).__name__)
    )
    try:
        kit.vectors(extractor, kit.items(SOUNDS[:1]))
    finally:
        handle.remove()
    assert calls.count("Wav2Vec2EncoderLayer") == 1


def test_whisper(whisper, relative):
    sounds = kit.waveforms((32_000, 8000, 3000, 1))
    _, output = kit.reference(whisper, sounds, padding=None)
    states = output.last_hidden_state.numpy()
    assert states.shape[1] == 100
    counts = (100, 25, 10, 1)
    expected = np.stack([one[:count].mean(0) for one, count in zip(states, counts, strict=True)])
    last = np.stack([one[count - 1] for one, count in zip(states, counts, strict=True)])
    extractor = kit.make(whisper, pooling=("mean", "last"))
    found = kit.vectors(extractor, kit.items(sounds))
    assert relative(found["mean"], expected) <= 1e-5
    assert relative(found["last"], last) <= 1e-5
    again = kit.vectors(extractor, kit.items(sounds), size=2, order=[3, 1, 2, 0])
    assert relative(again["mean"], expected) <= 1e-5
    every = kit.vectors(kit.make(whisper, frames="all"), kit.items(sounds))["mean"]
    assert relative(every, states.mean(1)) <= 1e-5
    layer = kit.vectors(kit.make(whisper, layers=(1,), frames="all"), kit.items(sounds))
    assert relative(layer["layer1_mean"], output.hidden_states[1].mean(1).numpy()) <= 1e-5


def test_ast(ast, relative):
    sounds = kit.waveforms((20_480, 8000, 3000, 400))
    _, output = kit.reference(ast, sounds, padding=None)
    states = output.last_hidden_state.numpy()
    across = (128 - 16) // 10 + 1
    assert states.shape[1] == 2 + 2 * across
    # 16 kHz, frames of 400 samples every 160, patches every 10 frames
    columns = (across, 5, 2, 1)
    patches = states[:, 2:].reshape(4, 2, across, 32)
    expected = np.stack(
        [one[:, :count].mean((0, 1)) for one, count in zip(patches, columns, strict=True)]
    )
    extractor = kit.make(ast, pooling=("mean", "cls", "pooler", "max"))
    found = kit.vectors(extractor, kit.items(sounds))
    assert relative(found["mean"], expected) <= 1e-5
    assert relative(found["cls"], states[:, 0]) <= 1e-5
    assert relative(found["pooler"], output.pooler_output.numpy()) <= 1e-5
    again = kit.vectors(extractor, kit.items(sounds), size=3, order=[3, 1, 2, 0])
    assert all(relative(again[name], found[name]) <= 1e-5 for name in found)
    every = kit.vectors(kit.make(ast, frames="all"), kit.items(sounds))["mean"]
    assert relative(every, states.mean(1)) <= 1e-5


def test_a_model_of_no_known_kind(w2vbert, relative):
    expected = alone(w2vbert, SOUNDS, mean_of_last)
    extractor = kit.make(w2vbert)
    for size in (1, 6):
        found = kit.vectors(extractor, kit.items(SOUNDS), size=size)["mean"]
        assert relative(found, expected) <= 1e-5


def test_other_rates_are_resampled_by_soxr(waves, relative):
    import soxr

    folder = waves("wav2vec2")
    original = [kit.noise(length, 1) for length in (22_050, 30_000)]
    resampled = [soxr.resample(one, 44_100, kit.RATE) for one in original]
    expected = alone(folder, resampled, mean_of_last)
    found = kit.vectors(kit.make(folder), kit.items(original, 44_100))["mean"]
    assert relative(found, expected) <= 1e-5


def test_fast_is_close(waves):
    folder = waves("wavlm-layer")
    exact, fast = (
        kit.vectors(kit.make(folder, precision=word), kit.items(SOUNDS))["mean"]
        for word in ("exact", "fast")
    )
    cosine = (exact * fast).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(fast, axis=1)
    assert cosine.min() >= 0.999
