"""What enters the SPEC, which checkpoints can be read, and what is imported when."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import audio_kit as kit
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from ducho_audio import ClapExtractor, ClapOptions, EncoderExtractor, EncoderOptions
from ducho_audio.models import clap_models, encoder_models
from ducho_audio.plugin import ducho_extractors

from ducho_core import UsageError
from ducho_core.options import build_options, describe, restore_options, spec_options

GOLDEN = Path(__file__).with_name("golden.json")


def found(resolved):
    plain = json.loads(
        json.dumps(
            {
                "label": resolved.label,
                "options": spec_options(resolved.options),
                "identity": dict(resolved.identity),
                "input_identity": dict(resolved.input_identity),
                "precision": dict(resolved.precision),
                "outputs": [[one.name, one.dim, list(one.requires)] for one in resolved.outputs],
            }
        )
    )
    # Weights drawn here, and files that name a library's version, are no constants.
    for name in ("weights_sha256", "config_sha256"):
        assert re.fullmatch("[0-9a-f]{64}", plain["identity"].pop(name))
    for one in plain["input_identity"].values():
        assert re.fullmatch("[0-9a-f]{64}", one.pop("tokenizer_sha256", "0" * 64))
    return plain


def resolve(folder, **options):
    return EncoderExtractor.resolve(EncoderOptions(model=str(folder), **options), kit.context())


def test_the_spec_is_the_golden_one(waves, whisper, ast, clap_folder):
    clap = ClapExtractor.resolve(ClapOptions(model=str(clap_folder())), kit.context())
    specs = {
        "wav2vec2": found(resolve(waves("wav2vec2"), layers=(-1, 1), max_seconds=60)),
        "whisper": found(resolve(whisper)),
        "ast": found(resolve(ast, pooling=("pooler", "mean"), window=1.0, hop=0.5)),
        "clap": found(clap),
    }
    assert specs == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("options", [{}, {"layers": (1,)}, {"pooling": ("mean", "last")}])
@pytest.mark.parametrize("kind", ["wav2vec2", "adapter", "sew"])
def test_resolve_and_load_agree(waves, kind, options):
    resolved = pickle.loads(pickle.dumps(resolve(waves(kind), **options)))
    extractor = EncoderExtractor.load(resolved, kit.context().run_options)
    assert extractor.outputs == resolved.outputs


def test_what_the_user_says_is_in_the_spec(waves):
    folder = waves("wav2vec2")
    plain = resolve(folder)
    for options in ({"window": 10.0}, {"hop": 10.0}):
        other = resolve(folder, **options)
        assert other.identity["preprocessing"] != plain.identity["preprocessing"]
    assert spec_options(resolve(folder, max_seconds=9.0).options)["max_seconds"] == 9
    assert str(folder) not in json.dumps([dict(plain.identity), spec_options(plain.options)])


def test_which_code_made_the_spectrogram_is_in_the_spec(ast):
    settings = resolve(ast).identity["preprocessing"]
    torchaudio = transformers.utils.is_speech_available()
    assert settings["spectrogram"] == ("torchaudio" if torchaudio else "transformers")


def copied(folder, target):
    return Path(shutil.copytree(folder, target))


def test_a_checkpoint_of_older_names_and_with_a_head(waves, tmp_path, relative):
    """Published wav2vec2 checkpoints name their weight norm as torch did before 2.0."""
    folder = waves("wav2vec2")
    expected = kit.vectors(kit.make(folder), kit.items(kit.waveforms()))["mean"]
    older = copied(folder, tmp_path / "older")
    state = safetensors.torch.load_file(older / "model.safetensors")
    renamed = {
        f"wav2vec2.{name}".replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in state.items()
        if name != "masked_spec_embed"
    }
    assert any(name.endswith("weight_g") for name in renamed)
    renamed["lm_head.weight"] = torch.zeros(8, 32)
    safetensors.torch.save_file(renamed, older / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((older / "config.json").read_text())
    (older / "config.json").write_text(json.dumps({**config, "architectures": ["Wav2Vec2ForCTC"]}))
    found_there = kit.vectors(kit.make(older), kit.items(kit.waveforms()))["mean"]
    assert relative(found_there, expected) <= 1e-6


def test_weights_that_are_used_must_be_there(waves, tmp_path):
    folder = copied(waves("wav2vec2"), tmp_path / "partial")
    state = safetensors.torch.load_file(folder / "model.safetensors")
    del state["encoder.layers.1.attention.k_proj.weight"]
    safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="lacks 1 weights that would be used"):
        kit.make(folder)


def test_a_pickle_that_runs_code_is_refused(waves, tmp_path):
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = copied(waves("wav2vec2"), tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({"encoder.weight": Canary()}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="pickled and hold more than tensors"):
        kit.make(folder)
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_takes_no_sounds(waves, tmp_path):
    folder = copied(waves("wav2vec2"), tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match=r"no feature extractor \(preprocessor_config\.json\)"):
        resolve(folder)


def test_a_model_of_pictures_is_refused(tmp_path):
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16
    )
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    transformers.ViTImageProcessorPil().save_pretrained(tmp_path / "vit")
    with pytest.raises(UsageError, match="'vit'"):
        resolve(tmp_path / "vit")


def test_a_codec_is_refused(tmp_path):
    config = transformers.EncodecConfig(
        num_filters=4,
        hidden_size=16,
        codebook_size=16,
        codebook_dim=16,
        target_bandwidths=[1.5],
        num_lstm_layers=1,
        sampling_rate=16_000,
    )
    transformers.EncodecModel(config).save_pretrained(tmp_path / "codec")
    transformers.EncodecFeatureExtractor(sampling_rate=16_000).save_pretrained(tmp_path / "codec")
    with pytest.raises(UsageError, match="no sequence of frame vectors"):
        kit.make(tmp_path / "codec")


@pytest.mark.parametrize("spec", ducho_extractors(), ids=lambda spec: spec.name)
def test_options_explain_themselves_and_come_back(spec):
    kind = EncoderOptions if spec.name == "encoder" else ClapOptions
    assert all(one.help for one in describe(kind))
    options, run = build_options(
        f"audio/{spec.name}",
        kind,
        __import__("ducho_audio").AudioRunOptions,
        {"window": "10", "max_seconds": "60", "too_long": "fail", "pass_seconds": "30"},
    )
    assert (options.window, options.max_seconds, run.pass_seconds) == (10, 60, 30)
    assert restore_options(kind, spec_options(options)) == options
    for wrong in ({"window": "0"}, {"max_seconds": "4000"}, {"too_long": "drop"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            build_options(f"audio/{spec.name}", kind, None, wrong)


def test_options_about_one_tower_stay_out_of_the_others_spec():
    options = ClapOptions(model="m")
    heard = set(spec_options(options, ("audio",)))
    said = set(spec_options(options, ("text",)))
    assert heard - said == {"long_sounds", "window", "hop", "max_seconds", "too_long"}
    assert said - heard == {"max_length"}


def test_models_that_are_known_by_name():
    for models in (encoder_models(), clap_models()):
        assert len({one.name for one in models}) == len(models) >= 3
        for one in models:
            assert one.dim
            assert one.megabytes
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", one.as_of)


def test_the_light_modules_import_nothing_heavy():
    script = (
        "import sys, ducho_audio.plugin, ducho_audio.options, ducho_audio.models;"
        "ducho_audio.plugin.ducho_extractors(); ducho_audio.models.encoder_models();"
        "heavy = {'numpy', 'torch', 'transformers', 'soundfile', 'soxr', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_fast_and_native_read_the_dtype(waves):
    for precision in ("exact", "native"):
        about = kit.context(precision)
        resolved = EncoderExtractor.resolve(EncoderOptions(model=str(waves("sew"))), about)
        assert resolved.precision["compute_dtype"] == "float32"
    assert np.isfinite(
        kit.vectors(kit.make(waves("sew"), precision="fast"), kit.items(kit.waveforms()))["mean"]
    ).all()
