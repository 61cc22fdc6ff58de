"""Text and image features from Hugging Face models, for Ducho.

What other plugins built on Transformers need is exported here; everything is imported on first
use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "BatchTokenizer": "tokens",
    "HiddenStates": "hidden",
    "ImagePreparation": "images",
    "ModelOptions": "options",
    "ModelSource": "source",
    "SentenceExtractor": "sentence",
    "SentenceOptions": "options",
    "Side": "sides",
    "SidedExtractor": "sides",
    "States": "hidden",
    "TextExtractor": "text",
    "TextOptions": "options",
    "TextPasses": "padding",
    "Tokens": "tokens",
    "Tower": "encoder",
    "TowerOutputs": "towers",
    "VisionExtractor": "vision",
    "VisionOptions": "options",
    "by_shape": "images",
    "check_class_token": "hidden",
    "check_dual": "towers",
    "draft_size": "images",
    "find_tower": "towers",
    "layer_count": "encoder",
    "load_checkpoint": "encoder",
    "load_encoder": "encoder",
    "load_processor": "images",
    "load_tokenizer": "text",
    "load_towers": "towers",
    "locate": "source",
    "locate_tokenizer": "source",
    "only_text": "text",
    "output_names": "pooling",
    "pool": "pooling",
    "preprocessing": "images",
    "quiet": "silence",
    "read_config": "encoder",
    "refused_pickle": "encoder",
    "resolve_layers": "pooling",
    "text_limit": "text",
    "tower_config": "encoder",
    "tower_width": "towers",
}

if TYPE_CHECKING:
    from ducho_hf.encoder import (
        Tower,
        layer_count,
        load_checkpoint,
        load_encoder,
        read_config,
        refused_pickle,
        tower_config,
    )
    from ducho_hf.hidden import HiddenStates, States, check_class_token
    from ducho_hf.images import (
        ImagePreparation,
        by_shape,
        draft_size,
        load_processor,
        preprocessing,
    )
    from ducho_hf.options import ModelOptions, SentenceOptions, TextOptions, VisionOptions
    from ducho_hf.padding import TextPasses
    from ducho_hf.pooling import output_names, pool, resolve_layers
    from ducho_hf.sentence import SentenceExtractor
    from ducho_hf.sides import Side, SidedExtractor
    from ducho_hf.silence import quiet
    from ducho_hf.source import ModelSource, locate, locate_tokenizer
    from ducho_hf.text import TextExtractor, load_tokenizer, only_text, text_limit
    from ducho_hf.tokens import BatchTokenizer, Tokens
    from ducho_hf.towers import TowerOutputs, check_dual, find_tower, load_towers, tower_width
    from ducho_hf.vision import VisionExtractor

__all__ = [
    "BatchTokenizer",
    "HiddenStates",
    "ImagePreparation",
    "ModelOptions",
    "ModelSource",
    "SentenceExtractor",
    "SentenceOptions",
    "Side",
    "SidedExtractor",
    "States",
    "TextExtractor",
    "TextOptions",
    "TextPasses",
    "Tokens",
    "Tower",
    "TowerOutputs",
    "VisionExtractor",
    "VisionOptions",
    "__version__",
    "by_shape",
    "check_class_token",
    "check_dual",
    "draft_size",
    "find_tower",
    "layer_count",
    "load_checkpoint",
    "load_encoder",
    "load_processor",
    "load_tokenizer",
    "load_towers",
    "locate",
    "locate_tokenizer",
    "only_text",
    "output_names",
    "pool",
    "preprocessing",
    "quiet",
    "read_config",
    "refused_pickle",
    "resolve_layers",
    "text_limit",
    "tower_config",
    "tower_width",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_hf' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_hf.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
