"""From a tree to a checked configuration.

Source of the rules: ``Config.py`` and ``Runner.py`` in sisinflab/Ducho, tags v2.0 to v2.0.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ducho_core.ducho2.config import Config, Section
from ducho_core.ducho2.model_checking import check_models
from ducho_core.ducho2.reading import MODALITIES, TOP_KEYS
from ducho_core.ducho2.values import known_keys, mapping, word
from ducho_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_core.ducho2.config import Modality, Origin
    from ducho_core.ducho2.remarks import Remarks

ORIGINS = ("items", "interactions")
_SECTION = (
    "input_path", "output_path", "item_column", "interaction_columns", "text_column", "model",
)  # fmt: skip
_DEFAULT_DATASET = "../data/"


def check(tree: Mapping[str, Any], remarks: Remarks) -> Config:
    """Check a configuration's tree.

    Args:
        tree: as ``read_tree`` gives it.
        remarks: takes what is decided for the user.

    Raises:
        UsageError: a key does not exist, lacks, or holds what it cannot.
    """
    known_keys(tree, (*TOP_KEYS, "gpu_list", "model map"), "")
    if tree.get("dataset_path") is None:
        dataset = _DEFAULT_DATASET
        remarks.say("dataset_path", f"not given, so {dataset}, as Ducho 2.0 has it")
    else:
        dataset = word(tree["dataset_path"], "dataset_path")
    if tree.get("model map") is not None:
        remarks.say("model map", "has no effect, as in Ducho 2.0")
    sections: list[Section] = []
    for key in tree:
        if key in MODALITIES and tree[key] is not None:
            sections += _modality(cast("Modality", key), tree[key], remarks)
    if not sections:
        raise UsageError(
            f"the configuration asks for nothing: it needs {', '.join(MODALITIES[:-1])} or"
            f" {MODALITIES[-1]}"
        )
    return Config(dataset=dataset, gpus=_gpus(tree, remarks), sections=tuple(sections))


def _gpus(tree: Mapping[str, Any], remarks: Remarks) -> tuple[int, ...]:
    key = "gpu list"
    if key not in tree and "gpu_list" in tree:
        key = "gpu_list"
        remarks.say(key, "taken as 'gpu list', as Ducho 2.0's own guide writes it")
    value = tree.get(key, -1)
    parts = value.split(",") if isinstance(value, str) else value
    parts = parts if isinstance(parts, list) else [parts]
    numbers: list[int] = []
    for part in parts:
        try:
            number = int(part) if not isinstance(part, bool | float) else None
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise UsageError(f"{key} must be a number, '0,1' or a list of numbers, not {value!r}")
        numbers.append(number)
    return tuple(number for number in numbers if number >= 0)


def _modality(modality: Modality, value: Any, remarks: Remarks) -> list[Section]:
    tree = mapping(value, modality)
    known_keys(tree, ORIGINS, modality)
    return [
        _section(modality, cast("Origin", origin), tree[origin], remarks)
        for origin in tree
        if tree[origin] is not None
    ]


def _section(modality: Modality, origin: Origin, value: Any, remarks: Remarks) -> Section:
    path = f"{modality}.{origin}"
    tree = mapping(value, path)
    known_keys(tree, _SECTION, path)
    for key in ("input_path", "output_path", "model"):
        if tree.get(key) is None:
            raise UsageError(f"{path} lacks the key {key}")
    keys, text = _columns(modality, origin, tree, path, remarks)
    return Section(
        path=path,
        modality=modality,
        origin=origin,
        inputs=_paths(modality, tree["input_path"], f"{path}.input_path"),
        outputs=_paths(modality, tree["output_path"], f"{path}.output_path"),
        keys=keys,
        text=text,
        models=check_models(modality, tree["model"], path, remarks),
    )


def _paths(modality: Modality, value: Any, path: str) -> dict[str, str]:
    if modality != "visual_textual":
        return {modality: word(value, path)}
    kinds = ("visual", "textual")
    tree = mapping(value, path)
    known_keys(tree, kinds, path)
    for kind in kinds:
        if tree.get(kind) is None:
            raise UsageError(f"{path} lacks the key {kind}")
    return {kind: word(tree[kind], f"{path}.{kind}") for kind in kinds}


def _columns(
    modality: Modality, origin: Origin, tree: Mapping[str, Any], path: str, remarks: Remarks
) -> tuple[tuple[str, ...], str | None]:
    """The key columns and the text column of a section's table."""
    wanted = "item_column" if origin == "items" else "interaction_columns"
    other = "interaction_columns" if origin == "items" else "item_column"
    has_table = modality in ("textual", "visual_textual")
    for key in (other,) if has_table else (other, wanted, "text_column"):
        if tree.get(key) is not None:
            remarks.say(f"{path}.{key}", "has no effect here, as in Ducho 2.0")
    if not has_table:
        return (), None
    for key in (wanted, "text_column"):
        if tree.get(key) is None:
            raise UsageError(f"{path} lacks the key {key}: a column of its table")
    text = word(tree["text_column"], f"{path}.text_column")
    if origin == "items":
        return (word(tree[wanted], f"{path}.{wanted}"),), text
    value = tree[wanted]
    if isinstance(value, str) and value.count(",") == 1:
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list) or len(value) != 2 or value[0] == value[1]:
        raise UsageError(
            f"{path}.{wanted} must be two columns, that of the user and that of the item, not"
            f" {value!r}"
        )
    return tuple(word(one, f"{path}.{wanted}") for one in value), text
