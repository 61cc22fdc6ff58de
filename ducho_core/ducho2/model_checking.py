"""The entries of a list ``model``, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ducho_core.ducho2.config import Model
from ducho_core.ducho2.values import (
    NOTHING,
    choice,
    known_keys,
    mapping,
    optional_word,
    pair,
    three,
    truth,
    whole,
    word,
)
from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Backend, Fusion, Modality
    from ducho_core.ducho2.remarks import Remarks

_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "visual": ("tensorflow", "torch", "transformers"),
    "textual": ("transformers", "sentence_transformers"),
    "visual_textual": ("transformers",),
    "audio": ("torch", "transformers"),
}
_FUSIONS = ("sum", "concat", "mul", "mean")
_MODEL_KEYS = (
    "model_name", "backend", "output_layers", "reshape", "preprocessing", "mean", "std",
    "clear_text", "tokenizer_name", "image_processor_name", "batch_size", "fusion",
)  # fmt: skip
_ALIASES = {"name": "model_name", "image_processor": "image_processor_name"}
_IDLE = ("task",)
_ADDED = ("options",)
"""Keys that Ducho 2.0 does not have."""
_OF_PICTURES = ("reshape", "preprocessing", "mean", "std")


def check_models(
    modality: Modality, value: Any, section: str, remarks: Remarks
) -> tuple[Model, ...]:
    """Check a list ``model``.

    Raises:
        UsageError: a key does not exist, lacks, or holds what it cannot.
    """
    path = f"{section}.model"
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} must be a list with at least one model")
    return tuple(
        _model(modality, entry, f"{path}.{number}", remarks)
        for number, entry in enumerate(entries)
    )


def _model(modality: Modality, value: Any, path: str, remarks: Remarks) -> Model:
    tree = _plain_names(dict(mapping(value, path)), path, remarks)
    if tree.get("model_name") is None:
        raise UsageError(f"{path} lacks the key model_name")
    backend = _backend(modality, tree, path, remarks)
    preprocessing, mean, std = _preprocessing(modality, backend, tree, path, remarks)
    reshape = tree.get("reshape")
    batch_size = tree.get("batch_size")
    fusion = tree.get("fusion")
    if fusion is not None and fusion not in NOTHING:
        choice(fusion, f"{path}.fusion", _FUSIONS)
    else:
        fusion = None
    _idle(modality, backend, tree, path, remarks)
    pictures = modality == "visual"
    return Model(
        path=path,
        name=word(tree["model_name"], f"{path}.model_name"),
        backend=backend,
        layers=_layers(modality, backend, tree, path),
        reshape=pair(reshape, f"{path}.reshape") if pictures and reshape else None,
        preprocessing=preprocessing,
        mean=mean,
        std=std,
        clear_text=truth(tree["clear_text"], f"{path}.clear_text")
        if modality == "textual" and tree.get("clear_text") is not None
        else False,
        tokenizer=optional_word(tree, "tokenizer_name", path),
        image_processor=optional_word(tree, "image_processor_name", path),
        batch_size=None if batch_size is None else whole(batch_size, f"{path}.batch_size", 1),
        fusion=cast("Fusion", fusion) if modality == "visual_textual" else None,
        options=dict(mapping(tree.get("options") or {}, f"{path}.options")),
    )


def _plain_names(tree: dict[str, Any], path: str, remarks: Remarks) -> dict[str, Any]:
    """The keys as Ducho 2.0 calls them; its guide and its code have a second name for some."""
    for other, key in _ALIASES.items():
        if other in tree:
            if key in tree and tree[key] != tree[other]:
                raise UsageError(f"{path} has both {key} and {other}, and they differ")
            tree[key] = tree.pop(other)
            remarks.say(f"{path}.{other}", f"taken as {key}")
    known_keys(tree, (*_MODEL_KEYS, *_IDLE, *_ADDED), path)
    return tree


def _backend(modality: Modality, tree: dict[str, Any], path: str, remarks: Remarks) -> Backend:
    value = tree.get("backend")
    where = f"{path}.backend"
    known = _BACKENDS[modality]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        raise UsageError(
            f"{where}: one backend for each model, as their layers differ, not {value!r}"
        )
    if modality == "audio" and value == "torchaudio":
        value = "torch"
    if value is None:
        if modality == "visual":
            raise UsageError(f"{path} lacks the key backend: one of {', '.join(known)}")
        value = "transformers"
        if modality == "audio" and str(tree["model_name"]).isupper():
            value = "torch"
        remarks.say(where, f"not given, so {value}")
    return cast("Backend", choice(value, where, known))


def _layers(
    modality: Modality, backend: Backend, tree: dict[str, Any], path: str
) -> tuple[str | int, ...]:
    where = f"{path}.output_layers"
    value = tree.get("output_layers")
    if value is None:
        if backend == "sentence_transformers":
            return (1,)
        raise UsageError(f"{path} lacks the key output_layers")
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise UsageError(f"{where} is an empty list")
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, str | int) or one == "":
            raise UsageError(f"{where} must hold names or numbers of layers, not {one!r}")
    if modality == "visual" and any(isinstance(one, int) for one in listed):
        raise UsageError(f"{where} must hold the names of layers, not their numbers")
    kinds = {type(one) for one in listed}
    if modality == "visual_textual" and (len(kinds) > 1 or (kinds == {str} and len(listed) > 2)):
        raise UsageError(
            f"{where} must be a number, one name, or the two names of the picture's and the"
            f" text's layer, not {value!r}"
        )
    return tuple(dict.fromkeys(listed))


def _preprocessing(
    modality: Modality, backend: Backend, tree: dict[str, Any], path: str, remarks: Remarks
) -> tuple[Any, tuple[float, ...] | None, tuple[float, ...] | None]:
    """The words of ``preprocessing``, and mean and std where they count."""
    if modality != "visual":
        return None, None, None
    word_given = tree.get("preprocessing")
    given: str | None = None
    if word_given is not None and word_given not in NOTHING:
        given = choice(word_given, f"{path}.preprocessing", ("zscore", "minmax"))
    mean, std = tree.get("mean"), tree.get("std")
    if (mean is None) != (std is None):
        alone = "mean" if std is None else "std"
        remarks.say(f"{path}.{alone}", "has no effect without the other, as in Ducho 2.0")
        mean = std = None
    if mean is not None and given != "zscore":
        raise UsageError(f"{path}.mean and std are for preprocessing: zscore only")
    if backend != "torch":
        return None, None, None
    if mean is None:
        return given, None, None
    return given, three(mean, f"{path}.mean"), three(std, f"{path}.std")


def _idle(
    modality: Modality, backend: Backend, tree: dict[str, Any], path: str, remarks: Remarks
) -> None:
    """Say which keys do nothing."""
    idle = [key for key in _IDLE if key in tree]
    if modality != "visual":
        idle += [key for key in _OF_PICTURES if tree.get(key)]
    elif backend != "torch":
        idle += [key for key in ("preprocessing", "mean", "std") if tree.get(key)]
    if modality != "textual" and tree.get("clear_text"):
        idle.append("clear_text")
    if modality != "visual_textual" and tree.get("fusion"):
        idle.append("fusion")
    if backend != "transformers" or modality in ("visual", "audio"):
        idle += [key for key in ("tokenizer_name",) if tree.get(key)]
    if backend != "transformers" or modality in ("textual", "audio"):
        idle += [key for key in ("image_processor_name",) if tree.get(key)]
    for key in idle:
        remarks.say(f"{path}.{key}", "has no effect here, as in Ducho 2.0")
