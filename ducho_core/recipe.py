"""Recipes: several extractions, fusions and exports in one YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from ducho_core.errors import UsageError
from ducho_core.exporting.request import ExportRequest
from ducho_core.extraction.request import ExtractionRequest
from ducho_core.fusion.request import FuseRequest
from ducho_core.recipe_steps import RecipeStep, added_lists, import_step

_LISTS = {"key", "text", "null", "clean", "sets"}
_PATHS = {"source", "root", "out", "items", "id_map", "since"}
_FIELDS = [field.name for field in msgspec.structs.fields(ExtractionRequest)]
_ALONE = ("store", "extractions", "fusions", "exports")

_ADDED = {"splits": "ducho-recsys"}
"""Lists that a distribution of Ducho's own brings, and which."""

R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe, read and checked.

    Attributes:
        store: the store's folder.
        extractions: what to extract, in order.
        fusions: what to fuse after that, in order.
        exports: what to export at the end, in order.
        steps: what distributions add, to be done before all else, in order.
        folder: the recipe's own, which paths are relative to.
    """

    store: str
    extractions: tuple[ExtractionRequest, ...] = ()
    fusions: tuple[FuseRequest, ...] = ()
    exports: tuple[ExportRequest, ...] = ()
    steps: tuple[RecipeStep, ...] = ()
    folder: str | None = None


def read_recipe(path: str, *, no_plugins: bool = False) -> Recipe:
    """Read a recipe; relative paths in it are relative to its folder.

    Args:
        path: the file.
        no_plugins: whether lists that distributions add are unknown.

    Raises:
        UsageError: it is no YAML, or a key is unknown, missing or of the wrong type.
    """
    file = Path(path)
    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} is no YAML: {error}") from error
    if not isinstance(tree, Mapping):
        raise UsageError(f"{file.name}: a recipe is a mapping with the key extractions")
    added = added_lists(no_plugins=no_plugins)
    for name, distribution in _ADDED.items():
        if name in tree and name not in added:
            raise UsageError(
                f"{file.name}: the list {name} comes with {distribution}, which is not installed"
                f" or switched off: pip install {distribution}"
            )
    _check_keys(tree, (*_ALONE, *added, *_FIELDS), file.name)
    shared = {key: value for key, value in tree.items() if key not in _ALONE and key not in added}
    steps: list[RecipeStep] = []
    for name in (name for name in added if name in tree):
        kind = import_step(name, added[name])
        what = name.removesuffix("s")
        entries = _entries(tree, what, kind.fields, file, paths=kind.paths, lists=())
        steps += [kind(entry) for entry in entries]
    extractions = _entries(tree, "extraction", ExtractionRequest, file, shared)
    fusions = _entries(tree, "fusion", FuseRequest, file)
    exports = _entries(tree, "export", ExportRequest, file)
    if not (extractions or fusions or exports or steps):
        raise UsageError(f"{file.name}: extractions must be a list with at least one entry")
    store = tree.get("store", "features")
    if not isinstance(store, str):
        raise UsageError(f"{file.name}: store must be a folder's path")
    return Recipe(
        store=str(file.parent / store),
        extractions=extractions,
        fusions=fusions,
        exports=exports,
        steps=tuple(steps),
        folder=str(file.parent),
    )


def _entries(
    tree: Mapping[Any, Any],
    what: str,
    kind: type[R],
    file: Path,
    shared: Mapping[str, Any] | None = None,
    paths: Collection[str] = _PATHS,
    lists: Collection[str] = _LISTS,
) -> tuple[R, ...]:
    listed = tree.get(f"{what}s", [])
    if not isinstance(listed, list):
        raise UsageError(f"{file.name}: {what}s must be a list with at least one entry")
    fields = msgspec.structs.fields(kind)
    requests = []
    for number, entry in enumerate(listed, 1):
        where = f"{file.name}: {what} {number}"
        if not isinstance(entry, Mapping):
            raise UsageError(f"{where} is no mapping of keys and values")
        _check_keys(entry, tuple(field.name for field in fields), where)
        values = {**(shared or {}), **entry}
        for field in fields:
            if field.required and field.name not in values:
                raise UsageError(f"{where} lacks the key {field.name}")
        requests.append(_request(values, kind, file.parent, where, paths, lists))
    return tuple(requests)


def _request(
    values: dict[str, Any],
    kind: type[R],
    folder: Path,
    where: str,
    paths: Collection[str],
    lists: Collection[str],
) -> R:
    for name in set(lists) & set(values):
        if isinstance(values[name], str):
            values[name] = [values[name]]
        elif name == "text" and isinstance(values[name], Mapping):
            values[name] = [f"{key}={text}" for key, text in values[name].items()]
    for name in set(paths) & set(values):
        value = values[name]
        if isinstance(value, str) and not value.startswith("set:"):
            values[name] = str(folder / value)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_keys(tree: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in tree:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), known, 1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise UsageError(f"{where}: unknown key {key!r}{hint} Known are {', '.join(known)}")
