"""Which files of a model are needed, told from their names alone."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULE_FOLDER = re.compile(r"^\d+_\w+$")
_SAFETENSORS = re.compile(r"^model(-\d+-of-\d+)?\.safetensors$")
_PICKLE = re.compile(r"^pytorch_model(-\d+-of-\d+)?\.bin$")
_SETTINGS = (".json", ".txt", ".model", ".jinja")
_TOKENIZER = re.compile(
    r"^(tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)"
    r"|merges\.txt|.*\.model|bpe\.codes)$"
)
_MODULE_SETTINGS = re.compile(
    r"^(modules|sentence_\w+_config|config_sentence_transformers)\.json$"
)


def needed_files(names: Iterable[str], *, code: bool = False) -> list[str]:
    """Choose the files that a PyTorch model is loaded from.

    Settings and tokenizer files of the model and of sentence-transformers' numbered module
    folders; safetensors weights, or pickled ones in a folder that has no others, never both.

    Args:
        names: relative paths with ``/`` of everything that there is.
        code: whether Python files are wanted too.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        if not folder or _MODULE_FOLDER.match(folder):
            folders.setdefault(folder, []).append(base)
    chosen = []
    for folder, bases in folders.items():
        weights = weight_names(bases)
        index = {"model.safetensors.index.json", "pytorch_model.bin.index.json"}
        wanted_index = "model.safetensors" if weights[:1] and _is_safe(weights[0]) else "pytorch"
        for base in bases:
            if base in index:
                take = base.startswith(wanted_index)
            elif base.endswith(".index.json"):
                take = False
            else:
                take = (
                    base in weights or base.endswith(_SETTINGS) or (code and base.endswith(".py"))
                )
            if take:
                chosen.append(f"{folder}/{base}" if folder else base)
    return sorted(chosen)


def weight_names(bases: Iterable[str]) -> list[str]:
    """Weight files among the file names of one folder: safetensors, else pickled ones."""
    listed = sorted(bases)
    return [base for base in listed if _SAFETENSORS.match(base)] or [
        base for base in listed if _PICKLE.match(base)
    ]


def is_tokenizer_file(base: str) -> bool:
    """Whether a file name is one that tokenizers are loaded from."""
    return bool(_TOKENIZER.match(base))


def is_module_settings(name: str) -> bool:
    """Whether a relative path holds settings of sentence-transformers' modules."""
    folder, _, base = name.rpartition("/")
    return base == "config.json" if folder else bool(_MODULE_SETTINGS.match(base))


def folder_names(folder: str) -> list[str]:
    """Relative paths of a model folder's files, one level of subfolders deep."""
    names = []
    for entry in os.scandir(folder):
        if entry.is_file():
            names.append(entry.name)
        elif entry.is_dir() and _MODULE_FOLDER.match(entry.name):
            names += [f"{entry.name}/{one.name}" for one in os.scandir(entry) if one.is_file()]
    return sorted(names)


def missing_shards(folder: str) -> list[str]:
    """Weight files that the folder's own index names and that are not there."""
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        path = os.path.join(folder, index)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                shards = set(json.load(file).get("weight_map", {}).values())
            return sorted(
                shard for shard in shards if not os.path.isfile(os.path.join(folder, shard))
            )
    return []


def _is_safe(base: str) -> bool:
    return base.endswith(".safetensors")
