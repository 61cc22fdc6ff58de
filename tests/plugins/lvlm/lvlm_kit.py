"""Tiny vision-language models with random weights, and Transformers called directly."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ducho_torch import ensure_torchvision
from PIL import Image

from ducho_core import InputField, Media, ResolveContext, Resolved, build_options

ensure_torchvision()

import torch  # noqa: E402
import transformers as hf  # noqa: E402
from ducho_hf import ModelSource  # noqa: E402
from ducho_lvlm import PromptedExtractor  # noqa: E402
from ducho_lvlm.chat import Chat, ChatSettings  # noqa: E402
from ducho_lvlm.options import EmbedderOptions, LvlmRunOptions, PromptedOptions  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

CORPUS = [
    "a photo of a cat",
    "a red shoe for running",
    "describe this item in at most 30 words",
    "user assistant system image text price brand title category",
    "Answer in exactly this form: [Color] {red}, [Material] {cotton}, [Style] {...}",
] * 4
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
LOOK = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
ROUNDS = (
    "{%% for c in m['content'] %%}{%% if c['type'] == 'image' %%}%s"
    "{%% else %%}{{ c['text'] }}{%% endif %%}{%% endfor %%}"
)


def words(special: list[str], **settings: Any) -> Any:
    """A byte-level BPE tokenizer."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return hf.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=2048, **settings)


def qwen2vl() -> tuple[Any, Any]:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"]
    special += ["<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = words(
        special,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    shown = ROUNDS % "<|vision_start|><|image_pad|><|vision_end|>"
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        + shown
        + "<|im_end|>\n{% endfor %}"
        + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = hf.Qwen2VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
            },
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    processor = hf.Qwen2VLProcessor(
        image_processor=hf.Qwen2VLImageProcessorPil(
            patch_size=14,
            merge_size=2,
            temporal_patch_size=2,
            size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112},
        ),
        tokenizer=tokenizer,
        video_processor=hf.Qwen2VLVideoProcessor(patch_size=14),
        chat_template=template,
    )
    return hf.Qwen2VLForConditionalGeneration(config), processor


def idefics3() -> tuple[Any, Any]:
    special = ["<|endoftext|>", "<|im_start|>", "<image>", "<fake_token_around_image>"]
    special += ["<global-img>", "<end_of_utterance>"]
    tokenizer = words(
        special,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    template = (
        "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}: "
        + ROUNDS % "<image>"
        + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    )
    config = hf.Idefics3Config(
        text_config={
            **TEXT,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "pad_token_id": ids["<|endoftext|>"],
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<end_of_utterance>"],
        },
        vision_config={**LOOK, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
        scale_factor=2,
        image_token_id=ids["<image>"],
        pad_token_id=ids["<|endoftext|>"],
    )
    processor = hf.Idefics3Processor(
        image_processor=hf.Idefics3ImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=template,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def llava() -> tuple[Any, Any]:
    tokenizer = words(
        ["<s>", "</s>", "<pad>", "<image>"],
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )
    template = (
        "{% for m in messages %}{{ m['role'] | upper }}: "
        + ROUNDS % "<image>\n"
        + " {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(
            **{**LOOK, "num_hidden_layers": 3}, intermediate_size=64, image_size=32, patch_size=8
        ),
        text_config=hf.LlamaConfig(
            **TEXT,
            vocab_size=len(tokenizer),
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        ),
        image_token_id=3,
        image_seq_length=16,
    )
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def llama() -> tuple[Any, Any]:
    """A text-only model."""
    tokenizer = words(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = hf.LlamaConfig(
        **TEXT, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=2, pad_token_id=0
    )
    return hf.LlamaForCausalLM(config), tokenizer


def bert() -> tuple[Any, Any]:
    """A model that answers no prompts."""
    tokenizer = words(["[PAD]"], pad_token="[PAD]")
    config = hf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    return hf.BertModel(config), tokenizer


BUILDERS = {
    "qwen2vl": qwen2vl, "idefics3": idefics3, "llava": llava, "llama": llama, "bert": bert,
}  # fmt: skip
SEEING = ("qwen2vl", "idefics3", "llava")


def build(name: str, folder: Path) -> Path:
    """Save a tiny model of a kind under its name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = BUILDERS[name]()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.mul_(6)  # else all items of so small a model look alike
    for one in (model.eval(), processor):
        one.save_pretrained(folder / name)
    if name in ("qwen2vl", "llama"):
        # So that some answers end by themselves: a second end token that such models do say.
        theirs = Library(folder / name)
        shown = pictures()[0] if theirs.sees else None
        said = theirs.generate(theirs.inputs("describe this item", shown), 4)
        model.generation_config.eos_token_id = [model.generation_config.eos_token_id, said[3]]
        model.generation_config.save_pretrained(folder / name)
    return folder / name


def pictures() -> list[Image.Image]:
    """Six photograph-like images of different shapes."""
    random = np.random.default_rng(0)
    shapes = [(64, 48), (40, 90), (120, 64), (33, 31), (64, 64), (64, 48)]
    coarse = [random.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in shapes]
    return [
        Image.fromarray(one).resize(shape, Image.Resampling.BICUBIC)
        for one, shape in zip(coarse, shapes, strict=True)
    ]


TITLES = [
    "red shoe",
    "a cat",
    "A photo of a red shoe for running, brand new, in blue",
    "x",
    "Größe 42 für Läufer",
    "describe",
]


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def items(*inputs: str) -> list[dict[str, Any]]:
    """Items with an image, a title, or both."""
    columns: dict[str, list[Any]] = {
        "image": [Media(encoded(one)) for one in pictures()],
        "title": list(TITLES),
    }
    return [{name: columns[name][at] for name in inputs} for at in range(len(TITLES))]


def resolved(
    folder: Path,
    inputs: Sequence[str],
    *,
    kind: Any = PromptedExtractor,
    precision: Any = "native",
    joint: bool = False,
    **options: Any,
) -> tuple[Resolved, Any]:
    """resolve, over a pickle, as a worker gets it; and the run options."""
    fields = tuple(
        InputField(
            name=one,
            modality="image" if one == "image" else "text",
            storage="inline",
            joint=joint,
        )
        for one in inputs
    )
    struct = PromptedOptions if kind is PromptedExtractor else EmbedderOptions
    given = {"model": str(folder), "device": "cpu", **options}
    parsed, run = build_options("lvlm", struct, LvlmRunOptions, given)
    context = ResolveContext(precision=precision, run_options=run, inputs=fields)
    found = kind.resolve(parsed, context)
    return pickle.loads(pickle.dumps(found)), run


def load(
    folder: Path, inputs: Sequence[str], *, kind: Any = PromptedExtractor, **options: Any
) -> Any:
    found, run = resolved(folder, inputs, kind=kind, **options)
    return kind.load(found, run)


def extract(
    extractor: Any,
    given: Sequence[Mapping[str, Any]],
    *,
    size: int = 1000,
    order: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Outputs in batches of a size and in an order; rows in the order of the items."""
    places = list(order) if order is not None else list(range(len(given)))
    samples = extractor.prepare_many([given[place] for place in places])
    parts = [extractor.extract(samples[at : at + size]) for at in range(0, len(samples), size)]
    found: dict[str, Any] = {}
    for name in parts[0]:
        rows = [row for part in parts for row in part[name]]
        found[name] = [rows[places.index(at)] for at in range(len(places))]
    return found


def said(extractor: Any) -> list[list[int]]:
    """A list that takes the tokens of every free answer as it is read out."""
    heard: list[list[int]] = []
    decode = extractor._vocabulary.decode

    def listen(tokens: Any) -> str:
        heard.append(list(tokens))
        text: str = decode(tokens)
        return text

    extractor._vocabulary.decode = listen
    return heard


def chat(folder: Path, **settings: Any) -> Chat:
    """A model's processor, as the plugin uses it."""
    source = ModelSource(folder=str(folder), name=folder.name)
    return Chat(source, ChatSettings(images=folder.name in SEEING, **settings))


class Library:
    """Transformers as its documentation has it: unbatched, and without a cache for states."""

    def __init__(self, folder: Path) -> None:
        config = hf.AutoConfig.from_pretrained(folder)
        self.sees = type(config) in hf.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        kind = hf.AutoModelForImageTextToText if self.sees else hf.AutoModelForCausalLM
        self.model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        load = hf.AutoProcessor if self.sees else hf.AutoTokenizer
        self.processor = load.from_pretrained(folder)
        self.tokenizer = getattr(self.processor, "tokenizer", self.processor)
        if self.sees:
            self.processor.image_processor = hf.AutoImageProcessor.from_pretrained(
                folder, backend="pil"
            )

    def inputs(self, text: str, image: Any, *, image_first: bool = True) -> Any:
        """The inputs of one prompt, with an image, a list of images, or None."""
        content: Any = text
        if self.sees:
            content = [{"type": "text", "text": text}]
            images = image if isinstance(image, list) else [image] if image else []
            shown = [{"type": "image", "image": one} for one in images]
            content = shown + content if image_first else content + shown
        made = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        made.pop("labels", None)  # PaliGemma's, for training
        return dict(made)

    @torch.inference_mode()
    def generate(self, inputs: Any, most: int, **more: Any) -> list[int]:
        """Tokens of the greedy answer, the end token included where it came."""
        found = self.model.generate(**inputs, max_new_tokens=most, do_sample=False, **more)
        return found[0, inputs["input_ids"].shape[1] :].tolist()

    @torch.inference_mode()
    def states(self, inputs: Any, answer: Sequence[int]) -> Any:
        """All hidden states of a prompt and an answer, in one pass without a cache."""
        given = dict(inputs)
        tail = torch.tensor([list(answer)], dtype=torch.long)
        given["input_ids"] = torch.cat([inputs["input_ids"], tail], 1)
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        # What the model said is no image; in PaliGemma 1 is what is no part of the prompt.
        kind = int(self.model.config.model_type == "paligemma")
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in given:
                given[name] = torch.cat([inputs[name], torch.full_like(tail, kind)], 1)
        if getattr(self.model.model, "rope_deltas", None) is not None:
            self.model.model.rope_deltas = None
        out = self.model(**given, use_cache=False, output_hidden_states=True)
        return [one[0].numpy() for one in out.hidden_states]

    def reference(
        self, text: str, image: Any, most: int, layer: int = -1, **order: Any
    ) -> dict[str, Any]:
        """What each way of pooling should give, and the answer."""
        inputs = self.inputs(text, image, **order)
        said = self.generate(inputs, most)
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        complete = said[-1] in ends
        answer, end = (said[:-1], said[-1]) if complete else (said, ends[0])
        ids = inputs["input_ids"][0].numpy()
        state = self.states(inputs, [*answer, end])[layer]
        start = len(ids)
        found = {
            "eos": state[-1],
            "answer_last": state[-2],
            "last": state[start - 1],
            "mean_answer": state[start:-1].mean(0) if answer else state[-2],
            "mean_prompt": state[:start].mean(0),
            "description": self.tokenizer.decode(answer, skip_special_tokens=True).strip(),
            "complete": complete,
            "tokens": list(answer),
        }
        if image is not None:
            found["mean_image"] = state[:start][ids == self.model.config.image_token_id].mean(0)
        return found


def far(ours: Any, theirs: Any) -> float:
    """The largest difference as a share of the largest number."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
