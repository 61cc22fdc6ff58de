"""Backends that no demo uses: Keras, sounds, and torch with other preprocessing."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch
import transformers
import yaml
from ducho2_kit import PICTURED, arrays, close, repository, run
from PIL import Image

DATA = "local/data/demo_recsys"


@pytest.fixture
def config(project):
    """Writes a configuration of one model and gives its name."""

    def write(modality, input_path, model):
        section = {"input_path": input_path, "output_path": "out", "model": [model]}
        tree = {"dataset_path": DATA, modality: {"items": section}}
        (project / "config.yml").write_text(yaml.safe_dump(tree))
        return "config.yml"

    return write


@pytest.fixture
def data(project):
    return project / DATA


def pixels(data, size):
    """The pictures, resized as Ducho 2.0 does."""
    pictures = [Image.open(data / f"images/{name}.jpg").convert("RGB") for name in PICTURED]
    return [np.asarray(one.resize(size, Image.Resampling.BICUBIC)) for one in pictures]


MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


def zscored(one):
    return (one - np.array(MEAN, np.float32)) / np.array(STD, np.float32)


@pytest.mark.parametrize(
    ("keys", "prepare"),
    [
        ({}, lambda one: one),
        ({"preprocessing": "minmax"}, lambda one: (one - one.min()) / (one.max() - one.min())),
        ({"preprocessing": "zscore", "mean": MEAN, "std": STD}, zscored),
    ],
)
def test_preprocessing_and_several_layers_of_torch(config, data, keys, prepare):
    from torchvision import models
    from torchvision.models.feature_extraction import create_feature_extractor

    layers = ["features.1", "classifier.1"]
    own = {"pretrained": False, "seed": 3}
    model = {"model_name": "MobileNet_V3_Small", "backend": "torch", "output_layers": layers}
    run("run", config("visual", "images", {**model, "reshape": [64, 48], "options": own, **keys}))
    torch.manual_seed(3)
    network = models.mobilenet_v3_small(weights=None).eval()
    values = np.stack([prepare(one.astype(np.float32) / 255) for one in pixels(data, (64, 48))])
    extractor = create_feature_extractor(network, {layer: layer for layer in layers})
    with torch.inference_mode():
        expected = extractor(torch.from_numpy(values.astype(np.float32)).permute(0, 3, 1, 2))
    for layer in layers:
        found = arrays(data / f"out/torch/MobileNet_V3_Small/{layer}")
        close(found, expected[layer].flatten(1).numpy(), PICTURED)


def test_tensorflow_models_are_those_of_keras(config, data, tmp_path):
    library = pytest.importorskip("ducho_keras")
    keras = library.load_keras()
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV2(weights=None)
    weights = tmp_path / "mobilenet.weights.h5"
    network.save_weights(weights)
    layer = "global_average_pooling2d"
    model = {"model_name": "MobileNetV2", "backend": "tensorflow", "output_layers": layer}
    own = {"weights_file": str(weights)}
    run("run", config("visual", "images", {**model, "reshape": [224, 224], "options": own}))
    prepare = keras.applications.mobilenet_v2.preprocess_input
    values = np.stack([prepare(one.astype(np.float32)) for one in pixels(data, (224, 224))])
    last = keras.Model(network.input, network.get_layer(network.layers[-2].name).output)
    with torch.no_grad():
        expected = keras.ops.convert_to_numpy(last(values, training=False))
    close(arrays(data / f"out/tensorflow/MobileNetV2/{layer}"), expected, PICTURED)


def test_sounds_of_a_torchaudio_name(config, data, hub):
    pytest.importorskip("ducho_audio")
    folder = repository(hub, "facebook/wav2vec2-base")
    torch.manual_seed(0)
    settings = transformers.Wav2Vec2Config(
        conv_dim=(16, 16, 16),
        conv_kernel=(10, 3, 3),
        conv_stride=(5, 4, 4),
        num_feat_extract_layers=3,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    network = transformers.Wav2Vec2Model(settings).eval()
    network.save_pretrained(folder)
    processor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)
    processor.save_pretrained(folder)
    random = np.random.default_rng(0)
    sounds = {name: random.normal(0, 0.1, 8000).astype(np.float32) for name in ("a", "b")}
    (data / "songs").mkdir()
    for name, values in sounds.items():
        with wave.open(str(data / f"songs/{name}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((values * 32767).astype("<i2").tobytes())
            sounds[name] = (values * 32767).astype("<i2").astype(np.float32) / 32768
    model = {"model_name": "WAV2VEC2_BASE", "backend": "torch", "output_layers": [1, -1]}
    result = run("run", config("audio", "songs", model))
    assert "torchaudio's WAV2VEC2_BASE is facebook/wav2vec2-base on the hub" in result.stderr
    values = processor(list(sounds.values()), sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        states = network(values["input_values"], output_hidden_states=True).hidden_states
    for layer in (1, -1):
        found = arrays(data / f"out/torch/WAV2VEC2_BASE/{layer}")
        close(found, states[layer].mean(1).numpy(), ("a", "b"))
