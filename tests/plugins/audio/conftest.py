"""No network, one thread; tiny models with random weights, built here."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from ducho_torch import ensure_torchvision

sys.path.insert(0, str(Path(__file__).parent))
ensure_torchvision()

import torch  # noqa: E402
import transformers  # noqa: E402
from audio_kit import word_tokenizer  # noqa: E402

WAVES = {
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 4, 4),
    "num_feat_extract_layers": 3,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
KINDS = {
    "wav2vec2": ("Wav2Vec2", {"feat_extract_norm": "group"}),
    "wav2vec2-layer": (
        "Wav2Vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    ),
    "hubert": ("Hubert", {"feat_extract_norm": "group"}),
    "hubert-layer": ("Hubert", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "wavlm": ("WavLM", {"feat_extract_norm": "group"}),
    "wavlm-layer": ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "unispeech-layer": (
        "UniSpeech",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "num_ctc_classes": 8},
    ),
    "data2vec": ("Data2VecAudio", {"conv_pos_kernel_size": 5}),
    "sew": ("SEW", {"squeeze_factor": 2}),
    "adapter": (
        "Wav2Vec2",
        {
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "add_adapter": True,
            "output_hidden_size": 24,
            "num_adapter_layers": 1,
        },
    ),
}


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Whatever opens a connection fails the test."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a test opened a network connection")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from more, and lose much where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(folder: Path, *parts) -> Path:
    for one in parts:
        one.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def waves(tmp_path_factory):
    """Gives the folder of a tiny wav2vec2 or one of its kin; built once."""
    top = tmp_path_factory.mktemp("waves")

    def build(kind: str) -> Path:
        if not (top / kind).exists():
            name, settings = KINDS[kind]
            torch.manual_seed(0)
            config = getattr(transformers, f"{name}Config")(**{**WAVES, **settings})
            model = getattr(transformers, f"{name}Model")(config)
            layered = getattr(config, "feat_extract_norm", "layer") == "layer"
            extractor = transformers.Wav2Vec2FeatureExtractor(
                do_normalize=True, return_attention_mask=layered
            )
            save(top / kind, model, extractor)
        return top / kind

    return build


@pytest.fixture(scope="session")
def whisper(tmp_path_factory) -> Path:
    """A tiny Whisper whose windows are 2 seconds long."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=64,
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_mel_bins=80,
        max_source_positions=100,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return save(
        tmp_path_factory.mktemp("models") / "whisper",
        transformers.WhisperModel(config),
        transformers.WhisperFeatureExtractor(chunk_length=2),
    )


@pytest.fixture(scope="session")
def ast(tmp_path_factory) -> Path:
    """A tiny AST whose windows are 1.28 seconds long."""
    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=128,
        num_mel_bins=32,
    )
    return save(
        tmp_path_factory.mktemp("models") / "ast",
        transformers.ASTModel(config),
        transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=128),
    )


@pytest.fixture(scope="session")
def w2vbert(tmp_path_factory) -> Path:
    """A tiny model that takes filter banks, of no kind that the plugin knows by name."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2BertConfig(
        vocab_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        output_hidden_size=32,
    )
    return save(
        tmp_path_factory.mktemp("models") / "w2vbert",
        transformers.Wav2Vec2BertModel(config),
        transformers.SeamlessM4TFeatureExtractor(),
    )


@pytest.fixture(scope="session")
def clap_folder(tmp_path_factory):
    """Gives the folder of a tiny CLAP, fused or not; built once."""
    top = tmp_path_factory.mktemp("clap")

    def build(*, fused: bool = False) -> Path:
        folder = top / ("fused" if fused else "unfused")
        if not folder.exists():
            torch.manual_seed(0)
            config = transformers.ClapConfig(
                audio_config={
                    "patch_embeds_hidden_size": 16,
                    "hidden_size": 32,
                    "depths": [1, 1],
                    "num_attention_heads": [2, 2],
                    "num_hidden_layers": 2,
                    "num_mel_bins": 64,
                    "spec_size": 128,
                    "window_size": 4,
                    "patch_size": 4,
                    "patch_stride": [4, 4],
                    "enable_fusion": fused,
                    "projection_dim": 24,
                },
                text_config={
                    "vocab_size": 64,
                    "hidden_size": 32,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "intermediate_size": 64,
                    "max_position_embeddings": 34,
                    "pad_token_id": 0,
                    "projection_dim": 24,
                },
                projection_dim=24,
            )
            extractor = transformers.ClapFeatureExtractor(
                max_length_s=2, truncation="fusion" if fused else "rand_trunc"
            )
            save(folder, transformers.ClapModel(config), extractor, word_tokenizer(32))
        return folder

    return build


@pytest.fixture(scope="session")
def relative():
    """Gives the largest relative difference of a row, ``|a - b| / |b|``."""

    def measure(ours: np.ndarray, theirs: np.ndarray) -> float:
        norms = np.linalg.norm(theirs, axis=1)
        return float((np.linalg.norm(ours - theirs, axis=1) / norms).max())

    return measure
