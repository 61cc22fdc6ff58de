"""Tiny models of further families, built as ``lvlm_kit`` builds its own."""

from __future__ import annotations

from typing import Any

from lvlm_kit import LOOK, ROUNDS, TEXT, hf, qwen2vl, words

VISION_TOKENS = ["image_token_id", "video_token_id"]
VISION_TOKENS += ["vision_start_token_id", "vision_end_token_id"]
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def chatml(image: str) -> str:
    """A template in the manner of ChatML."""
    return (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        + ROUNDS % image
        + "<|im_end|>\n{% endfor %}"
        + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def qwen25vl() -> tuple[Any, Any]:
    """Qwen2.5-VL: windowed attention in the vision tower."""
    older, processor = qwen2vl()
    text = older.config.text_config.to_dict()
    text.pop("model_type")
    config = hf.Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        **{name: getattr(older.config, name) for name in VISION_TOKENS},
    )
    processor = hf.Qwen2_5_VLProcessor(
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        video_processor=processor.video_processor,
        chat_template=processor.chat_template,
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3vl() -> tuple[Any, Any]:
    """Qwen3-VL: features of several vision layers enter the first text layers."""
    older, processor = qwen2vl()
    text = {
        **TEXT,
        "head_dim": 8,
        "vocab_size": older.config.text_config.vocab_size,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 1, 1],
            "mrope_interleaved": True,
        },
        "bos_token_id": older.config.text_config.bos_token_id,
        "eos_token_id": older.config.text_config.eos_token_id,
        "pad_token_id": older.config.text_config.pad_token_id,
    }
    config = hf.Qwen3VLConfig(
        text_config=text,
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        **{name: getattr(older.config, name) for name in VISION_TOKENS},
    )
    processor = hf.Qwen3VLProcessor(
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(patch_size=14),
        chat_template=processor.chat_template,
    )
    return hf.Qwen3VLForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    """Gemma 3: tokens of an image see each other, some layers see a window alone."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    special += ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = words(
        special,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
    )
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    template = (
        "<bos>{% for m in messages %}<start_of_turn>"
        "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
        + ROUNDS % "<start_of_image>"
        + "<end_of_turn>\n{% endfor %}"
        + "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    )
    config = hf.Gemma3Config(
        text_config={
            **TEXT,
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "bos_token_id": ids["<bos>"],
            "eos_token_id": ids["<eos>"],
            "pad_token_id": ids["<pad>"],
        },
        vision_config={**LOOK, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
        mm_tokens_per_image=4,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_id=ids["<image_soft_token>"],
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=template,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    """SmolVLM: Idefics 3 with another processor."""
    special = [*CHATML, "<image>", "<fake_token_around_image>", "<global-img>"]
    tokenizer = words(
        special, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    tokenizer.fake_image_token = "<fake_token_around_image>"
    tokenizer.image_token = "<image>"
    tokenizer.global_image_token = "<global-img>"
    config = hf.SmolVLMConfig(
        text_config={
            **TEXT,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "pad_token_id": ids["<|endoftext|>"],
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<|im_end|>"],
        },
        vision_config={**LOOK, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
        scale_factor=2,
        image_token_id=ids["<image>"],
        pad_token_id=ids["<|endoftext|>"],
    )
    processor = hf.SmolVLMProcessor(
        image_processor=hf.SmolVLMImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        tokenizer=tokenizer,
        video_processor=hf.SmolVLMVideoProcessor(),
        image_seq_len=4,
        chat_template=chatml("<image>"),
    )
    return hf.SmolVLMForConditionalGeneration(config), processor


def llavanext() -> tuple[Any, Any]:
    """LLaVA-NeXT: tiles of an image, as many as its shape asks for."""
    tokenizer = words(
        [*CHATML, "<image>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<image>"},
    )
    grid = [[32, 64], [64, 32], [64, 64]]
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(
            **{**LOOK, "num_hidden_layers": 3}, intermediate_size=64, image_size=32, patch_size=8
        ),
        text_config=hf.LlamaConfig(
            **TEXT, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=2, pad_token_id=0
        ),
        image_token_id=3,
        image_grid_pinpoints=grid,
        image_seq_length=16,
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
        chat_template=chatml("<image>\n"),
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    """PaliGemma: the tokens of a prompt see each other; no chat template of its own."""
    special = ["<pad>", "<eos>", "<bos>", "<image>"]
    tokenizer = words(
        special,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    config = hf.PaliGemmaConfig(
        text_config={
            **TEXT,
            "model_type": "gemma",
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "bos_token_id": ids["<bos>"],
            "eos_token_id": ids["<eos>"],
            "pad_token_id": ids["<pad>"],
        },
        vision_config={
            **LOOK,
            "model_type": "siglip_vision_model",
            "intermediate_size": 64,
            "image_size": 32,
            "patch_size": 8,
            "projection_dim": 32,
        },
        projection_dim=32,
        image_token_index=ids["<image>"],
    )
    processor = hf.PaliGemmaProcessor(
        image_processor=hf.SiglipImageProcessorPil(
            size={"height": 32, "width": 32}, image_seq_length=16
        ),
        tokenizer=tokenizer,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


FAMILIES = {
    "qwen25vl": qwen25vl,
    "qwen3vl": qwen3vl,
    "gemma3": gemma3,
    "smolvlm": smolvlm,
    "llavanext": llavanext,
    "paligemma": paligemma,
}
