"""Tiny dual encoders with random weights, pictures, and Transformers called directly."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ducho_torch import ensure_torchvision
from PIL import Image

from ducho_core import InputField, Media, ResolveContext, Resolved, RunOptions

ensure_torchvision()

import torch  # noqa: E402
import transformers as hf  # noqa: E402
from ducho_clip import DualExtractor, DualOptions  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

WORDS = [
    *("a", "red", "blue", "green", "shoe", "shirt", "lamp", "chair", "for", "running", "kitchen"),
    *("garden", "women", "men", "with", "leather", "cotton", "steel", "small", "large", "soft"),
    *("hand", "made", "price", "new", "brand", "of", "and", "the", "in", "it", "is"),
]
RUN = RunOptions(device="cpu")
BOTH = ("image", "text")


def tokenizer(
    limit: int,
    *,
    start: str = "[CLS]",
    end: str = "[SEP]",
    end_last: bool = False,
    **settings: Any,
) -> Any:
    """A tokenizer that knows ``WORDS``, with a start and an end token.

    Args:
        limit: longest text in tokens.
        start, end: the tokens' names.
        end_last: whether the end token has the largest id and pads, as CLIP's.
        settings: of the Transformers tokenizer.
    """
    marks = ["[PAD]", "[UNK]", start, *([] if end_last else [end])]
    names = [*marks, *WORDS, *([end] if end_last else [])]
    ids = {name: index for index, name in enumerate(names)}
    inner = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, ids[start]), (end, ids[end])]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=end if end_last else "[PAD]",
        unk_token="[UNK]",
        bos_token=start,
        eos_token=end,
        model_max_length=limit,
        **settings,
    )


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
LOOK = {"image_size": 32, "patch_size": 8}
VOCABULARY = 64


def clip_processor() -> Any:
    return hf.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )


def clip_text(words: Any, **more: Any) -> dict[str, Any]:
    return {
        **SMALL,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 24,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        **more,
    }


def clip(*, legacy: bool = False) -> tuple[Any, Any, Any]:
    """CLIP; ``legacy`` as OpenAI's checkpoints have it: end of text told by the largest id."""
    words = tokenizer(24, end_last=True)
    text = clip_text(words, **({"eos_token_id": 2} if legacy else {}))
    config = hf.CLIPConfig(text_config=text, vision_config={**SMALL, **LOOK}, projection_dim=24)
    return hf.CLIPModel(config), words, clip_processor()


def siglip() -> tuple[Any, Any, Any]:
    words = tokenizer(16, model_input_names=["input_ids"])
    config = hf.SiglipConfig(
        text_config=clip_text(words, max_position_embeddings=16, projection_size=32),
        vision_config={**SMALL, **LOOK},
    )
    processor = hf.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    return hf.SiglipModel(config), words, processor


def siglip_tokenizer(folder: Path) -> Any:
    """SigLIP's own tokenizer, which drops capitals and punctuation.

    Args:
        folder: takes the vocabulary that it is trained on.
    """
    import sentencepiece

    lines = folder / "lines.txt"
    lines.write_text("\n".join(" ".join(WORDS[at : at + 5]) for at in range(len(WORDS))))
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines),
        model_prefix=str(folder / "spiece"),
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return hf.SiglipTokenizer(
        str(folder / "spiece.model"), model_max_length=16, model_input_names=["input_ids"]
    )


def siglip2() -> tuple[Any, Any, Any]:
    """SigLIP 2 of flexible resolution: images as patches, with masks."""
    words = tokenizer(16, model_input_names=["input_ids"])
    config = hf.Siglip2Config(
        text_config=clip_text(words, max_position_embeddings=16, projection_size=32),
        vision_config={**SMALL, "patch_size": 8, "num_patches": 16},
    )
    processor = hf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    return hf.Siglip2Model(config), words, processor


def altclip() -> tuple[Any, Any, Any]:
    words = tokenizer(30, start="<s>", end="</s>")
    text = clip_text(words, max_position_embeddings=32, pad_token_id=0, project_dim=28)
    config = hf.AltCLIPConfig(
        text_config={**text, "type_vocab_size": 1},
        vision_config={**SMALL, **LOOK},
        projection_dim=24,
    )
    return hf.AltCLIPModel(config), words, clip_processor()


def align() -> tuple[Any, Any, Any]:
    words = tokenizer(24, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    config = hf.AlignConfig(
        text_config=clip_text(words),
        vision_config={
            "image_size": 32,
            "width_coefficient": 0.25,
            "depth_coefficient": 1.0,
            "depth_divisor": 8,
            "kernel_sizes": [3, 3],
            "in_channels": [8, 16],
            "out_channels": [16, 24],
            "strides": [1, 2],
            "num_block_repeats": [1, 2],
            "expand_ratios": [1, 2],
            "depthwise_padding": [],
            "hidden_dim": 64,
        },
        projection_dim=8,
    )
    processor = hf.EfficientNetImageProcessorPil(size={"height": 32, "width": 32})
    return hf.AlignModel(config), words, processor


def chinese_clip() -> tuple[Any, Any, Any]:
    words = tokenizer(24, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    config = hf.ChineseCLIPConfig(
        text_config=clip_text(words), vision_config={**SMALL, **LOOK}, projection_dim=24
    )
    processor = hf.ChineseCLIPImageProcessorPil(
        size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32}
    )
    return hf.ChineseCLIPModel(config), words, processor


def clipseg() -> tuple[Any, Any, Any]:
    words = tokenizer(24, end_last=True)
    config = hf.CLIPSegConfig(
        text_config=clip_text(words), vision_config={**SMALL, **LOOK}, projection_dim=24
    )
    processor = hf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return hf.CLIPSegModel(config), words, processor


def metaclip2() -> tuple[Any, Any, Any]:
    words = tokenizer(24)
    config = hf.MetaClip2Config(
        text_config=clip_text(words), vision_config={**SMALL, **LOOK}, projection_dim=24
    )
    return hf.MetaClip2Model(config), words, clip_processor()


def pair() -> tuple[Any, Any, Any]:
    """Two models joined by VisionTextDualEncoder: a ViT and a BERT."""
    words = tokenizer(24, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    config = hf.VisionTextDualEncoderConfig.from_vision_text_configs(
        hf.ViTConfig(**SMALL, **LOOK), hf.BertConfig(**clip_text(words)), projection_dim=24
    )
    processor = hf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return hf.VisionTextDualEncoderModel(config), words, processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "clip": clip,
    "clip-legacy": lambda: clip(legacy=True),
    "siglip": siglip,
    "siglip2": siglip2,
    "altclip": altclip,
    "align": align,
    "chinese-clip": chinese_clip,
    "clipseg": clipseg,
    "metaclip2": metaclip2,
    "vision-text-dual-encoder": pair,
}


def build(name: str, folder: Path) -> Path:
    """Save a tiny model of a kind under its name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, words, processor = BUILDERS[name]()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.mul_(4)  # else all items of so small a model look alike
    for one in (model.eval(), words, processor):
        one.save_pretrained(folder / name)
    return folder / name


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> list[Image.Image]:
    """Nine photograph-like images of different shapes."""
    random = np.random.default_rng(0)
    shapes = [(32, 32), (40, 90), (200, 64), (33, 31), *[(48, 64)] * 5]
    coarse = [random.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in shapes]
    return [
        Image.fromarray(one).resize(shape, Image.Resampling.BICUBIC)
        for one, shape in zip(coarse, shapes, strict=True)
    ]


def texts() -> list[str]:
    """Thirteen texts of very different lengths, two of them too long for the models."""
    random = np.random.default_rng(1)
    lengths = [1, 2, 60, 31, *random.integers(1, 14, 8)]
    drawn = [" ".join(random.choice(WORDS, length)) for length in lengths]
    return [*drawn, "  Red SHOE,\tfor (leather) women:  soft!"]


def resolved(
    folder: Path,
    inputs: Sequence[str] = ("image", "text"),
    *,
    precision: Any = "exact",
    **options: Any,
) -> Resolved:
    """resolve, over a pickle: as a worker gets it."""
    fields = tuple(InputField(name=one, modality=one, storage="inline") for one in inputs)
    context = ResolveContext(precision=precision, run_options=RUN, inputs=fields)
    found = DualExtractor.resolve(DualOptions(model=str(folder), **options), context)
    return pickle.loads(pickle.dumps(found))


def load(
    folder: Path, inputs: Sequence[str] = ("image", "text"), **settings: Any
) -> DualExtractor:
    return DualExtractor.load(resolved(folder, inputs, **settings), RUN)


def vectors(
    extractor: DualExtractor,
    name: str,
    values: Sequence[Any],
    *,
    size: int = 1000,
    order: Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """What a set's pass gives, in batches of a size and an order; rows in the values' order."""
    places = list(order) if order is not None else list(range(len(values)))
    samples = extractor.prepare_many([{name: values[place]} for place in places])
    parts = [
        extractor.extract(samples[start : start + size]) for start in range(0, len(samples), size)
    ]
    back = np.argsort(places)
    return {output: np.concatenate([one[output] for one in parts])[back] for output in parts[0]}


def media(images: Sequence[Image.Image]) -> list[Media]:
    return [Media(encoded(one)) for one in images]


class Library:
    """A model of Transformers, called by its own documentation."""

    def __init__(self, folder: Path) -> None:
        self.model = hf.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = hf.AutoTokenizer.from_pretrained(folder)
        self.processor = hf.AutoImageProcessor.from_pretrained(folder, backend="pil")

    def inputs(self, name: str, values: Sequence[Any]) -> dict[str, torch.Tensor]:
        if name == "image":
            return dict(self.processor(images=list(values), return_tensors="pt"))
        padding = "max_length" if "siglip" in self.model.config.model_type else True
        made = self.tokenizer(list(values), padding=padding, truncation=True, return_tensors="pt")
        return dict(made)

    @torch.inference_mode()
    def features(self, name: str, values: Sequence[Any], **settings: Any) -> Any:
        method = self.model.get_image_features if name == "image" else self.model.get_text_features
        return method(**self.inputs(name, values), **settings)

    def projected(
        self,
        name: str,
        values: Sequence[Any],
        size: int = 1000,
        order: Sequence[int] | None = None,
    ) -> np.ndarray:
        places = list(order) if order is not None else list(range(len(values)))
        parts = [
            self.features(name, [values[place] for place in places[start : start + size]])
            for start in range(0, len(values), size)
        ]
        found = torch.cat([one.pooler_output for one in parts]).numpy()
        return found[np.argsort(places)]

    @torch.inference_mode()
    def tower(self, name: str, values: Sequence[Any]) -> Any:
        """What the tower itself gives, before the projection."""
        inner = self.model.vision_model if name == "image" else self.model.text_model
        return inner(**self.inputs(name, values), output_hidden_states=True)


def relative(ours: np.ndarray, theirs: Any) -> float:
    """The largest relative difference of a row, ``|a - b| / |b|``."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    norms = np.linalg.norm(theirs, axis=1)
    return float((np.linalg.norm(ours - theirs, axis=1) / norms).max())


@contextmanager
def calls() -> Iterator[list[str]]:
    """Class names of all modules that run meanwhile."""
    seen: list[str] = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: seen.append(type(module).__name__)
    )
    try:
        yield seen
    finally:
        handle.remove()
