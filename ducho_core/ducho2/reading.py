"""Reading a configuration: the YAML file, and what the command line puts over it.

Source of the rules: ``ducho/config/Config.py`` in sisinflab/Ducho, tags v2.0 to v2.0.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

MODALITIES = ("visual", "textual", "visual_textual", "audio")
"""In the order in which Ducho 2.0 goes through them; audio it never ran."""

TOP_KEYS = ("dataset_path", "gpu list", *MODALITIES)

_SIGNS = frozenset({*TOP_KEYS, "gpu_list", "model map"})
_GPU_LIST = ("gpu_list", "gpu-list")
_OF_A_RECIPE = ("extractions", "fusions", "exports")


def read_yaml(path: str) -> Any:
    """The tree of a YAML file.

    Raises:
        UsageError: there is no such file, or it is no YAML.
    """
    file = Path(path)
    try:
        return yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} is no YAML: {error}") from error


def is_old(tree: object, name: str) -> bool:
    """Whether a YAML tree is a configuration of Ducho 2.0 rather than a recipe.

    Args:
        tree: what the file holds.
        name: the file's name, for messages.

    Raises:
        UsageError: it is a mixture of both.
    """
    if not isinstance(tree, Mapping):
        return False
    # In a recipe, audio is a column or a path template.
    of_recipe = {key for key in ("audio",) if isinstance(tree.get(key), str)}
    signs = [key for key in tree if key in _SIGNS - of_recipe]
    recipe = [key for key in _OF_A_RECIPE if key in tree]
    if signs and recipe:
        raise UsageError(
            f"{name} is a mixture: {', '.join(recipe)} of a recipe and {', '.join(signs)} of a"
            " Ducho 2.0 configuration. Keep one of the two; ducho convert-config turns a"
            " configuration into a recipe"
        )
    return bool(signs)


def read_tree(path: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A configuration's tree, lists of mappings merged and overrides applied.

    Raises:
        UsageError: the file is no configuration, or an override does not fit it.
    """
    name = Path(path).name
    tree = read_yaml(path)
    if not is_old(tree, name):
        raise UsageError(
            f"{name} is no Ducho 2.0 configuration: it has none of {', '.join(TOP_KEYS)}"
        )
    merged: dict[str, Any] = _merged(tree)
    for dotted, value in parse_overrides(overrides):
        _override(merged, dotted, value)
    return merged


def parse_overrides(arguments: Sequence[str]) -> list[tuple[str, Any]]:
    """Dotted keys and values from ``--a.b=value``, ``a.b=value`` or ``--a.b value``.

    A value is read as YAML, so that ``[224, 224]``, ``32`` and ``null`` are what they look
    like.

    Raises:
        UsageError: a key has no value, or a value no key.
    """
    found: list[tuple[str, Any]] = []
    waiting: str | None = None
    for argument in arguments:
        if waiting is not None:
            found.append((waiting, _value(waiting, argument)))
            waiting = None
            continue
        key, equals, value = argument.removeprefix("--").partition("=")
        if equals and key:
            found.append((key, _value(key, value)))
        elif argument.startswith("--") and key:
            waiting = key
        else:
            raise UsageError(
                f"{argument!r} overrides nothing: write --KEY.KEY=VALUE, such as"
                " --visual.items.output_path=features"
            )
    if waiting is not None:
        raise UsageError(f"--{waiting} has no value: write --{waiting}=VALUE")
    return found


def _value(key: str, text: str) -> Any:
    if key.endswith(".sha256"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"the value of --{key}, {text!r}, is no YAML: {error}") from error


def _merged(data: Any) -> Any:
    """Lists of mappings as one mapping each, except the models."""
    if isinstance(data, Mapping):
        return {
            # Aliases of one model in several places: an override is about one of them.
            key: deepcopy(value) if key == "model" and isinstance(value, list) else _merged(value)
            for key, value in data.items()
        }
    if isinstance(data, list) and data and all(isinstance(one, Mapping) for one in data):
        whole: dict[str, Any] = {}
        for one in data:
            whole.update(_merged(one))
        return whole
    return data


def _override(tree: dict[str, Any], dotted: str, value: Any) -> None:
    parts = ["gpu list"] if dotted in _GPU_LIST else dotted.split(".")
    here: Any = tree
    for depth, part in enumerate(parts):
        where = ".".join(parts[:depth]) or "the configuration"
        last = depth == len(parts) - 1
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                raise UsageError(
                    f"--{dotted}: {where} has the entries 0 to {len(here) - 1}, and no {part}"
                )
            if last:
                here[int(part)] = value
            else:
                here = here[int(part)]
        elif isinstance(here, dict):
            if part == "0" and where.endswith(".model") and not last:
                continue
            if last:
                here[part] = value
            elif part in here:
                here = here[part]
            elif part == "options":
                here = here.setdefault(part, {})
            else:
                raise UsageError(
                    f"--{dotted}: {where} has no {part!r}{did_you_mean(part, map(str, here))};"
                    f" it has {listing([str(key) for key in here])}"
                )
        else:
            raise UsageError(f"--{dotted}: {where} holds {here!r} and nothing below it")
