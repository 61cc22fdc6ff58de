"""``audio/clap`` gives what Transformers, called directly, gives, and nothing at random."""

from __future__ import annotations

import audio_kit as kit
import numpy as np
import pytest
import torch
import transformers
from ducho_audio import ClapExtractor, ClapOptions

from ducho_core import InputField, ItemError, Media, ResolveContext, UsageError

RATE = 48_000
TEXTS = ["a dog barks", "rain falls on the roof", "bell", "the dog rings the bell " * 3]


def sounds(lengths=(48_000, 20_000, 5001, 96_000)):
    return kit.waveforms(lengths)


def reference_sounds(folder, waveforms):
    """Vectors of the library itself, one batch."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.ClapModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = extractor(list(waveforms), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        return model.get_audio_features(
            input_features=batch["input_features"].float(),
            is_longer=torch.zeros_like(batch["is_longer"]),
        ).pooler_output.numpy()


def reference_texts(folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.ClapModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    names = ("input_ids", "attention_mask")
    with torch.inference_mode():
        return model.get_text_features(
            **{name: batch[name] for name in names}
        ).pooler_output.numpy()


def sound_items(waveforms):
    return kit.items(waveforms, RATE)


def test_sounds_are_the_librarys_own(clap_folder, relative):
    folder = clap_folder()
    expected = reference_sounds(folder, sounds())
    extractor = kit.make_clap(folder)
    found = kit.vectors(extractor, sound_items(sounds()))
    assert list(found) == ["audio_embeds"]
    assert relative(found["audio_embeds"], expected) <= 1e-5
    spread = relative(
        np.concatenate([reference_sounds(folder, [one]) for one in sounds()]), expected
    )
    ours = max(
        relative(
            kit.vectors(extractor, sound_items(sounds()), size=size, order=order)["audio_embeds"],
            expected,
        )
        for size, order in ((1, None), (3, [3, 1, 0, 2]))
    )
    print(f"sounds: ours {ours:.2e}, the library's own spread {spread:.2e}")
    assert ours <= max(2 * spread, 1e-6)


def test_texts_are_the_librarys_own(clap_folder, relative):
    folder = clap_folder()
    expected = reference_texts(folder, TEXTS)
    extractor = kit.make_clap(folder)
    inputs = [{"text": text} for text in TEXTS]
    found = kit.vectors(extractor, inputs)
    assert list(found) == ["text_embeds"]
    assert relative(found["text_embeds"], expected) <= 1e-5
    spread = relative(np.concatenate([reference_texts(folder, [one]) for one in TEXTS]), expected)
    ours = max(
        relative(kit.vectors(extractor, inputs, size=size)["text_embeds"], expected)
        for size in (1, 3)
    )
    print(f"texts: ours {ours:.2e}, the library's own spread {spread:.2e}")
    assert ours <= max(2 * spread, 1e-6)


def test_vectors_have_length_one_and_can_be_compared(clap_folder):
    extractor = kit.make_clap(clap_folder())
    heard = kit.vectors(extractor, sound_items(sounds((48_000, 300_000))))["audio_embeds"]
    said = kit.vectors(extractor, [{"text": text} for text in TEXTS])["text_embeds"]
    assert heard.shape[1] == said.shape[1] == 24
    for vectors in (heard, said):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_nothing_is_random(clap_folder, fused):
    folder = clap_folder(fused=fused)
    inputs = sound_items(sounds((48_000, 250_000, 20_000)))
    draws = []
    for seed in (0, 1):
        np.random.seed(seed)
        extractor = kit.make_clap(folder)
        draws.append(kit.vectors(extractor, inputs)["audio_embeds"])
    assert np.array_equal(draws[0], draws[1])


def test_the_library_alone_would_crop_at_random(clap_folder):
    """Why long sounds never reach the feature extractor whole."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(clap_folder())
    (sound,) = sounds((250_000,))
    crops = [
        extractor(sound, sampling_rate=RATE, return_tensors="np")["input_features"]
        for _ in range(3)
    ]
    assert not all(np.array_equal(crops[0], other) for other in crops[1:])


def test_a_fused_model_does_not_depend_on_the_sounds_beside_it(clap_folder, relative):
    folder = clap_folder(fused=True)
    extractor = kit.make_clap(folder)
    inputs = sound_items(sounds())
    together, alone = (
        kit.vectors(extractor, inputs, size=size)["audio_embeds"] for size in (4, 1)
    )
    assert relative(together, alone) <= 1e-5
    assert relative(together, reference_sounds(folder, sounds())) <= 1e-5


def test_long_sounds(clap_folder, relative):
    folder = clap_folder()
    (sound,) = sounds((4 * RATE + 24_000,))
    length = 2 * RATE
    parts = [sound[at : at + length] for at in range(0, len(sound), length)]
    vectors = reference_sounds(folder, parts)
    mean = (vectors * np.array([4, 4, 1])[:, None]).sum(0) / 9
    expected = {
        "windows": mean / np.linalg.norm(mean),
        "first": vectors[0],
        "centre": reference_sounds(folder, [sound[60_000 : 60_000 + length]])[0],
    }
    for how, vector in expected.items():
        extractor = kit.make_clap(folder, long_sounds=how)
        (sample,) = extractor.prepare_many(sound_items([sound]))
        assert sample.notes == (() if how == "windows" else ("truncated",))
        found = extractor.extract([sample])["audio_embeds"]
        assert relative(found, vector[None]) <= 1e-5, how


def test_many_windows_go_through_in_bounded_passes(clap_folder, relative):
    inputs = sound_items(sounds((600_000, 48_000)))
    whole = kit.vectors(kit.make_clap(clap_folder()), inputs)["audio_embeds"]
    extractor = kit.make_clap(clap_folder(), pass_seconds=4)
    assert relative(kit.vectors(extractor, inputs)["audio_embeds"], whole) <= 1e-5
    assert extractor._sides["audio"]._passes.budget == 4 * RATE


def test_only_the_tower_that_is_wanted_is_loaded_and_run(clap_folder):
    folder = clap_folder()
    for field, other in (
        (InputField(name="audio", modality="audio", storage="bytes"), "Text"),
        (InputField(name="text", modality="text", storage="inline"), "Audio"),
    ):
        about = ResolveContext(
            precision="exact", run_options=kit.context().run_options, inputs=(field,)
        )
        resolved = ClapExtractor.resolve(ClapOptions(model=str(folder)), about)
        assert [one.name for one in resolved.outputs] == [f"{field.name}_embeds"]
        assert list(resolved.input_identity) == [field.name]
        extractor = ClapExtractor.load(resolved, about.run_options)
        assert extractor.outputs == resolved.outputs
        calls = []
        handle = torch.nn.modules.module.register_module_forward_pre_hook(
            lambda module, _inputs, calls=calls: calls.append(type(module).__name__)
        )
        inputs = sound_items(sounds()) if field.name == "audio" else [{"text": TEXTS[0]}]
        try:
            kit.vectors(extractor, inputs)
        finally:
            handle.remove()
        assert calls
        assert not [name for name in calls if f"Clap{other}" in name]


def test_a_size_is_about_what_is_computed(clap_folder):
    extractor = kit.make_clap(clap_folder())
    samples = extractor.prepare_many(sound_items(sounds((48_000, 250_000))))
    assert [extractor.size(one) for one in samples] == [1024, 3 * 1024]
    (sample,) = extractor.prepare_many([{"text": "a dog barks"}])
    assert extractor.size(sample) == 5 * 8


def test_long_texts_and_broken_sounds(clap_folder):
    extractor = kit.make_clap(clap_folder())
    long, short = extractor.prepare_many([{"text": "dog " * 90}, {"text": "dog"}])
    assert (long.notes, short.notes) == (("truncated",), ())
    with pytest.raises(ItemError, match="format_not_allowed"):
        extractor.prepare({"audio": Media(b"no sound at all")})
    assert kit.vectors(extractor, sound_items([kit.noise(1, 0)]))["audio_embeds"].shape == (1, 24)


def test_what_cannot_be_honoured(clap_folder, waves):
    with pytest.raises(UsageError, match="windows of at most 2 seconds"):
        kit.make_clap(clap_folder(), window=2.5)
    with pytest.raises(UsageError, match="is a wav2vec2 model, not CLAP"):
        kit.make_clap(waves("wav2vec2"))
    with pytest.raises(UsageError, match="audio/clap's"):
        kit.make(clap_folder())
    with pytest.raises(UsageError, match="positions for 33"):
        kit.make_clap(clap_folder(), max_length=40)
