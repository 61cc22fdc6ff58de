"""Tiny models under the demos' names, and what Ducho 2.0 computes, by the libraries alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers
from click.testing import CliRunner
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ducho_core.cli import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IDS = ("097293751X", "9729375011", "B00A0ACI4Q", "B00B3K0PFI", "B00C.1")
TEXTS = ("a red shoe", "blue shirt for women", "a small lamp", "soft red blanket", "a chair")
PICTURED = IDS[:-1]
WORDS = sorted({word for text in TEXTS for word in text.split()})


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result


def arrays(folder):
    """What scripts of Ducho 2.0 read: the arrays of a folder by item."""
    found = {path.stem: np.load(path) for path in folder.iterdir()}
    for name, array in found.items():
        assert array.dtype == np.float32, name
        assert array.ndim == 2, name
        assert len(array) == 1, name
    return found


def close(found, expected, names):
    assert sorted(found) == sorted(names)
    for name, row in zip(names, expected, strict=True):
        difference = np.linalg.norm(found[name][0] - row) / np.linalg.norm(row)
        assert difference <= 1e-5, (name, difference)


def of_resnet(network, data, size=(224, 224)):
    """As Ducho 2.0 computes a layer of a torch model."""
    from torchvision import transforms
    from torchvision.models.feature_extraction import create_feature_extractor

    prepare = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    pixels = torch.stack(
        [
            prepare(
                Image.open(data / f"images/{name}.jpg")
                .convert("RGB")
                .resize(size, Image.Resampling.BICUBIC)
            )
            for name in PICTURED
        ]
    )
    extractor = create_feature_extractor(network, {"avgpool": "out"}).eval()
    with torch.inference_mode():
        return extractor(pixels)["out"].numpy().reshape(len(pixels), -1)


def of_sentences(folder, texts=TEXTS):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(folder, device="cpu").encode(list(texts))


def of_clip(folder, data, names=PICTURED):
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    pictures = [Image.open(data / f"images/{name}.jpg").convert("RGB") for name in names]
    with torch.inference_mode():
        tokens = processor.tokenizer(
            list(TEXTS), return_tensors="pt", padding="max_length", truncation=True
        )
        pixels = images(pictures, return_tensors="pt")["pixel_values"]
        output = model(**tokens, pixel_values=pixels)
    return output.image_embeds.numpy(), output.text_embeds.numpy()


def repository(cache: Path, name: str) -> Path:
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(COMMIT)
    made = folder / "snapshots" / COMMIT
    made.mkdir(parents=True)
    return made


def word_tokenizer(limit: int = 32):
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*marks, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=limit,
    )


def _bert():
    torch.manual_seed(0)
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=64,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=40,
        )
    )


def save_bert(folder: Path) -> None:
    _bert().save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)


def save_sentence(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    plain = folder / "plain"
    save_bert(plain)
    words = Transformer(str(plain), max_seq_length=32)
    pooling = Pooling(words.get_embedding_dimension())
    SentenceTransformer(modules=[words, pooling, Normalize()], device="cpu").save(str(folder))
    for file in plain.iterdir():
        file.unlink()
    plain.rmdir()


def save_clip(folder: Path) -> None:
    torch.manual_seed(1)
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = {"vocab_size": 64, "max_position_embeddings": 32}
    marks = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    config = transformers.CLIPConfig(
        text_config={**tower, **text, **marks},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPProcessor(
        image_processor=transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=word_tokenizer(),
    ).save_pretrained(folder)


def save_vit(folder: Path) -> None:
    torch.manual_seed(2)
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
    )
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
