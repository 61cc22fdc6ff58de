"""Sounds made here, extractors made as the core makes them, and Transformers called directly."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from ducho_audio import AudioRunOptions, ClapExtractor, EncoderExtractor, EncoderOptions
from ducho_audio.options import ClapOptions
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ducho_core import InputField, Media, ResolveContext

RATE = 16_000
LENGTHS = (8000, 3000, 5001, 8000, 6200, 12_345)
WORDS = ("a", "dog", "barks", "rain", "falls", "on", "the", "roof", "bell", "rings")


def noise(length: int, seed: int) -> np.ndarray:
    """A tone that slides, in some noise."""
    random = np.random.default_rng(seed)
    time = np.arange(length) / RATE
    tone = np.sin(2 * np.pi * (200 + 90 * seed) * time * (1 + time))
    return (0.3 * tone + random.normal(0, 0.05, length)).astype(np.float32)


def waveforms(lengths: Sequence[int] = LENGTHS) -> list[np.ndarray]:
    return [noise(length, seed) for seed, length in enumerate(lengths)]


def encoded(
    samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "FLOAT"
) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def items(sounds: Sequence[np.ndarray], rate: int = RATE) -> list[dict[str, Any]]:
    return [{"audio": Media(encoded(one, rate), f"{at}.wav")} for at, one in enumerate(sounds)]


def context(precision: str = "exact", **run_options: Any) -> ResolveContext:
    return ResolveContext(
        precision=precision,
        run_options=AudioRunOptions(device="cpu", **run_options),
        inputs=(
            InputField(name="audio", modality="audio", storage="bytes"),
            InputField(name="text", modality="text", storage="inline", columns=("text",)),
        ),
    )


def make(
    folder: Any, *, precision: str = "exact", pass_seconds: float = 60.0, **options: Any
) -> EncoderExtractor:
    """resolve, over a pickle, load: as a worker gets it."""
    about = context(precision, pass_seconds=pass_seconds)
    resolved = EncoderExtractor.resolve(EncoderOptions(model=str(folder), **options), about)
    return EncoderExtractor.load(pickle.loads(pickle.dumps(resolved)), about.run_options)


def make_clap(
    folder: Any, *, precision: str = "exact", pass_seconds: float = 60.0, **options: Any
) -> ClapExtractor:
    about = context(precision, pass_seconds=pass_seconds)
    resolved = ClapExtractor.resolve(ClapOptions(model=str(folder), **options), about)
    return ClapExtractor.load(pickle.loads(pickle.dumps(resolved)), about.run_options)


def vectors(
    extractor: Any, inputs: Sequence[Any], *, size: int = 1000, order: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """Prepares and extracts items in batches of a size and an order; rows in item order."""
    places = np.arange(len(inputs)) if order is None else np.asarray(order)
    samples = extractor.prepare_many([inputs[place] for place in places])
    parts = [extractor.extract(samples[at : at + size]) for at in range(0, len(samples), size)]
    back = np.argsort(places)
    return {name: np.concatenate([one[name] for one in parts])[back] for name in parts[0]}


def reference(folder: Any, sounds: Sequence[np.ndarray], *, padding: Any = True) -> Any:
    """Transformers called by its own documentation, one batch. Gives inputs and outputs."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    if hasattr(model, "decoder"):
        model = model.get_encoder()
    settings = {"padding": padding} if padding is not None else {}
    batch = extractor(list(sounds), sampling_rate=RATE, return_tensors="pt", **settings)
    with torch.inference_mode():
        return batch, model(**batch, output_hidden_states=True)


def word_tokenizer(limit: int) -> Any:
    marks = ["<pad>", "<unk>", "<s>", "</s>"]
    vocabulary = {word: index for index, word in enumerate([*marks, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=limit,
    )
