"""Recipes: several extractions, fusions and exports in one YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from ducho_core.errors import UsageError
from ducho_core.exporting.request import ExportRequest
from ducho_core.extraction.request import ExtractionRequest
from ducho_core.fusion.request import FuseRequest

_LISTS = {"key", "text", "null", "clean", "sets"}
_PATHS = {"source", "root", "out"}
_FIELDS = [field.name for field in msgspec.structs.fields(ExtractionRequest)]
_ALONE = ("store", "extractions", "fusions", "exports")

R = TypeVar("R", ExtractionRequest, FuseRequest, ExportRequest)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe, read and checked.

    Attributes:
        store: the store's folder.
        extractions: what to extract, in order.
        fusions: what to fuse after that, in order.
        exports: what to export at the end, in order.
    """

    store: str
    extractions: tuple[ExtractionRequest, ...] = ()
    fusions: tuple[FuseRequest, ...] = ()
    exports: tuple[ExportRequest, ...] = ()


def read_recipe(path: str) -> Recipe:
    """Read a recipe; relative paths in it are relative to its folder.

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
    _check_keys(tree, (*_ALONE, *_FIELDS), file.name)
    shared = {key: value for key, value in tree.items() if key not in _ALONE}
    extractions = _entries(tree, "extraction", ExtractionRequest, file, shared)
    fusions = _entries(tree, "fusion", FuseRequest, file)
    exports = _entries(tree, "export", ExportRequest, file)
    if not (extractions or fusions or exports):
        raise UsageError(f"{file.name}: extractions must be a list with at least one entry")
    store = tree.get("store", "features")
    if not isinstance(store, str):
        raise UsageError(f"{file.name}: store must be a folder's path")
    return Recipe(
        store=str(file.parent / store), extractions=extractions, fusions=fusions, exports=exports
    )


def _entries(
    tree: Mapping[Any, Any],
    what: str,
    kind: type[R],
    file: Path,
    shared: Mapping[str, Any] | None = None,
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
        requests.append(_request(values, kind, file.parent, where))
    return tuple(requests)


def _request(values: dict[str, Any], kind: type[R], folder: Path, where: str) -> R:
    for name in _LISTS & set(values):
        if isinstance(values[name], str):
            values[name] = [values[name]]
        elif name == "text" and isinstance(values[name], Mapping):
            values[name] = [f"{key}={text}" for key, text in values[name].items()]
    for name in _PATHS & set(values):
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
