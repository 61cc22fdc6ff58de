"""Tiny models of further families, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lvlm_kit as kit
import torch
import transformers as hf

VISION = {"intermediate_size": 64, "image_size": 32, "patch_size": 8, **kit.LOOK}
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n"
    + kit.ROUNDS % "<start_of_image>"
    + "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
BARE = "{% for m in messages %}" + kit.ROUNDS % "<image>" + "{% endfor %}"


def _qwen(name: str) -> tuple[Any, Any]:
    _, processor = kit.qwen2vl()
    tokenizer = processor.tokenizer
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in tokenizer.all_special_tokens}
    text = {
        **kit.TEXT,
        "vocab_size": len(tokenizer),
        "rope_parameters": ROPE,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    common = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    }
    look = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 32,
    }
    parts = (processor.image_processor, tokenizer)
    if name == "qwen25vl":
        look |= {"window_size": 56, "fullatt_block_indexes": [1]}
        config = hf.Qwen2_5_VLConfig(text_config=text, vision_config=look, **common)
        video = hf.Qwen2VLVideoProcessor(patch_size=14)
        made = hf.Qwen2_5_VLProcessor(*parts, video, chat_template=processor.chat_template)
        return hf.Qwen2_5_VLForConditionalGeneration(config), made
    look |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    text["head_dim"] = 8
    text["rope_parameters"] = {**ROPE, "mrope_interleaved": True}
    config = hf.Qwen3VLConfig(text_config=text, vision_config=look, **common)
    video = hf.Qwen3VLVideoProcessor(patch_size=14)
    made = hf.Qwen3VLProcessor(*parts, video, chat_template=processor.chat_template)
    return hf.Qwen3VLForConditionalGeneration(config), made


def qwen25vl() -> tuple[Any, Any]:
    return _qwen("qwen25vl")


def qwen3vl() -> tuple[Any, Any]:
    """With the features of two vision layers added to the first text layers (deepstack)."""
    return _qwen("qwen3vl")


def llavanext() -> tuple[Any, Any]:
    """Cuts an image into tiles, as many as its shape asks for."""
    _, plain = kit.llava()
    tokenizer = plain.tokenizer
    grid = [[32, 64], [64, 32], [64, 64]]
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(**{**VISION, "num_hidden_layers": 3}),
        text_config=hf.LlamaConfig(
            **kit.TEXT, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=2
        ),
        image_token_index=3,
        image_grid_pinpoints=grid,
    )
    processor = hf.LlavaNextProcessor(
        image_processor=hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 32},
            crop_size={"height": 32, "width": 32},
            image_grid_pinpoints=grid,
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=plain.chat_template,
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    """Image tokens see each other both ways; two layers of three have a sliding window."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    special += ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = kit.words(
        special,
        pad_token="<pad>",
        eos_token="<end_of_turn>",
        bos_token="<bos>",
        extra_special_tokens={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
    )
    config = hf.Gemma3Config(
        text_config={
            **kit.TEXT,
            "vocab_size": len(tokenizer),
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 4,
        },
        vision_config=VISION,
        mm_tokens_per_image=4,
        boi_token_index=5,
        eoi_token_index=6,
        image_token_index=7,
        eos_token_id=4,
        pad_token_id=0,
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=GEMMA,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    """Reads its whole prompt both ways; ships without a chat template."""
    tokenizer = kit.words(
        ["<pad>", "<eos>", "<bos>", "<image>"],
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        extra_special_tokens={"image_token": "<image>"},
    )
    images = hf.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    processor = hf.PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer)
    config = hf.PaliGemmaConfig(
        text_config={
            **kit.TEXT,
            "model_type": "gemma",
            "vocab_size": len(processor.tokenizer),
            "head_dim": 8,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 1,
        },
        vision_config={**VISION, "model_type": "siglip_vision_model", "projection_dim": 32},
        image_token_index=3,
        projection_dim=32,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


BUILDERS = {
    "qwen25vl": qwen25vl,
    "qwen3vl": qwen3vl,
    "llavanext": llavanext,
    "gemma3": gemma3,
    "paligemma": paligemma,
}


def build(name: str, folder: Path) -> Path:
    """Save a tiny model of a kind under its name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = BUILDERS[name]()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.mul_(6)
    for one in (model.eval(), processor):
        one.save_pretrained(folder / name)
    return folder / name
