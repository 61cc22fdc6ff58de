"""Embeddings and descriptions from prompted vision-language models, for Ducho.

Everything is imported on first use, so that a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "EmbedderExtractor": "embedder",
    "EmbedderOptions": "options",
    "Prompt": "prompts",
    "PromptedExtractor": "extractor",
    "PromptedOptions": "options",
    "Slot": "prompts",
    "known_models": "models",
    "parse_answer": "answers",
    "read_prompt": "prompts",
}

if TYPE_CHECKING:
    from ducho_lvlm.answers import parse_answer
    from ducho_lvlm.embedder import EmbedderExtractor
    from ducho_lvlm.extractor import PromptedExtractor
    from ducho_lvlm.models import known_models
    from ducho_lvlm.options import EmbedderOptions, PromptedOptions
    from ducho_lvlm.prompts import Prompt, Slot, read_prompt

__all__ = [
    "EmbedderExtractor",
    "EmbedderOptions",
    "Prompt",
    "PromptedExtractor",
    "PromptedOptions",
    "Slot",
    "__version__",
    "known_models",
    "parse_answer",
    "read_prompt",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_lvlm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_lvlm.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
