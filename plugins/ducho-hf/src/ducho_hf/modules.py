"""What a sentence-transformers model says about itself, read without loading it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ducho_core import UsageError
from ducho_hf.encoder import read_config, tower_config
from ducho_hf.text import text_limit

if TYPE_CHECKING:
    from ducho_hf.options import SentenceOptions
    from ducho_hf.source import ModelSource

_LENGTH_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSettings:
    """A model's modules and what the options make of its settings.

    Attributes:
        modules: class names of the modules, in order; a model without a list of modules gets
            those that sentence-transformers gives it.
        max_seq_length: longest text in tokens, or None where there is no limit.
        prompt: text put before every input, or the empty string.
        dim: length of the vectors, or None where only loading tells.
    """

    modules: tuple[str, ...]
    max_seq_length: int | None
    prompt: str
    dim: int | None


def read_settings(source: ModelSource, options: SentenceOptions) -> SentenceSettings:
    """Read a model's modules, prompts and limits.

    Raises:
        UsageError: an option does not fit the model, or the model brings code of its own.
    """
    listed: list[dict[str, Any]] = source.read_json("modules.json") or [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "", "type": "sentence_transformers.models.Pooling"},
    ]
    foreign = [
        one["type"] for one in listed if not one["type"].startswith("sentence_transformers.")
    ]
    if foreign and not source.code:
        raise UsageError(
            f"the model {source.name!r} has a module of its own, {foreign[0]}, whose code is not"
            " run; if you trust it: -o trust_remote_code=true -o revision=<40-digit commit>"
        )
    modules = tuple(one["type"].rpartition(".")[2] for one in listed)
    first = replace(source, folder=os.path.join(source.folder, listed[0].get("path", "")))
    limit = options.max_seq_length
    if modules[0] == "Transformer":
        limit = _limit(first, options)
    elif limit is not None:
        raise UsageError(
            f"max_seq_length: the model {source.name!r} begins with {modules[0]}, which has no"
            " limit that could be set"
        )
    return SentenceSettings(
        modules=modules,
        max_seq_length=limit,
        prompt=_prompt(source, options),
        dim=_dimension(source, listed, options.truncate_dim),
    )


def _limit(first: ModelSource, options: SentenceOptions) -> int | None:
    stated = None
    for name in _LENGTH_FILES:
        stated = (first.read_json(name) or {}).get("max_seq_length")
        if stated is not None:
            break
    if options.max_seq_length is None and isinstance(stated, int):
        return stated
    config = tower_config(read_config(first), "text")
    return text_limit(options.max_seq_length, "max_seq_length", config, first)


def _prompt(source: ModelSource, options: SentenceOptions) -> str:
    if options.prompt is not None:
        if options.prompt_name is not None:
            raise UsageError("prompt and prompt_name: give one of them")
        return options.prompt
    settings = source.read_json("config_sentence_transformers.json") or {}
    prompts: dict[str, str] = settings.get("prompts") or {}
    if options.prompt_name is None:
        return prompts.get(settings.get("default_prompt_name") or "") or ""
    if options.prompt_name not in prompts:
        known = f"it has {', '.join(sorted(prompts))}" if prompts else "it has none"
        raise UsageError(
            f"prompt_name={options.prompt_name}: the model {source.name!r} has no such prompt;"
            f" {known}"
        )
    return prompts[options.prompt_name]


def _dimension(
    source: ModelSource, listed: list[dict[str, Any]], truncate: int | None
) -> int | None:
    dim: int | None = None
    for module in listed:
        kind = module["type"].rpartition(".")[2]
        settings = source.read_json(f"{module['path']}/config.json") if module["path"] else None
        if kind == "Pooling" and settings:
            dim = _pooled(settings)
        elif kind == "Dense" and settings:
            dim = settings.get("out_features")
        elif kind not in {"Normalize", "Dropout", "LayerNorm"}:
            dim = None
    return dim if dim is None or truncate is None else min(dim, truncate)


def _pooled(settings: dict[str, Any]) -> int | None:
    width = settings.get("embedding_dimension", settings.get("word_embedding_dimension"))
    modes = settings.get("pooling_mode")
    if modes is None:
        modes = [name for name, on in settings.items() if name.startswith("pooling_mode_") and on]
    count = 1 if isinstance(modes, str) else len(modes)
    return width * count if isinstance(width, int) and count else None
