"""``core/folder``: the images, sounds and text files below a folder."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from ducho_core.catalogue import InputField, arrow_type
from ducho_core.errors import DuchoError, SourceError, UsageError
from ducho_core.loader import Loader
from ducho_core.loaders.cleaning import check_cleaning
from ducho_core.loaders.natural import natural_key
from ducho_core.loaders.options import FolderOptions, TableOptions
from ducho_core.loaders.patterns import KeyPattern
from ducho_core.loaders.reading import MAX_ROWS
from ducho_core.loaders.suggest import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    TEXT_SUFFIXES,
    command,
    listing,
    option_flag,
)
from ducho_core.loaders.table import SUFFIXES as TABLE_SUFFIXES
from ducho_core.loaders.table import TableLoader, root_of
from ducho_core.loaders.walking import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ducho_core.catalogue import Binding
    from ducho_core.specs import Modality

    Key = tuple[str, ...]

_SUFFIXES: Mapping[Modality, tuple[str, ...]] = {
    "image": IMAGE_SUFFIXES,
    "text": TEXT_SUFFIXES,
    "audio": AUDIO_SUFFIXES,
}
_PLURALS = {"image": "images", "text": "text files", "audio": "sounds"}


class FolderLoader(Loader):
    """The files below a folder, found by suffix, in natural order of their keys.

    A key is the path below the folder without its last suffix, or what the option
    ``pattern`` finds in it. Files of one key and several modalities are one item. Names of
    files are held in memory, contents never.

    Attributes:
        keys: see ``Loader``.
        inputs: see ``Loader``.
        root: see ``Loader``.
        remarks: see ``Loader``.
    """

    def __init__(
        self,
        keys: Key,
        files: Mapping[Modality, Mapping[Key, list[str]]],
        folder: str,
        root: str,
        binding: Binding,
        remarks: tuple[str, ...],
        *,
        joint: bool = False,
    ) -> None:
        self.keys = keys
        self.inputs = tuple(
            InputField(
                name=modality,
                modality=modality,
                storage="path",
                cleaning=binding.cleaning if modality == "text" else (),
                joint=joint,
            )
            for modality in files
        )
        self.root = Path(root)
        self.remarks = remarks
        self._folder = folder
        self._files = files
        self._order = sorted(
            {key for by_key in files.values() for key in by_key},
            key=lambda key: [natural_key(part) for part in key],
        )

    @classmethod
    def open(cls, source: str, binding: Binding, options: Any) -> Self:
        """List the folder and settle keys and inputs. See ``Loader.open``."""
        chosen: FolderOptions = options or FolderOptions()
        if not os.path.isdir(source):
            raise SourceError(f"there is no folder {source}")
        check_cleaning(binding.cleaning)
        pattern = KeyPattern(chosen.pattern) if chosen.pattern is not None else None
        root = root_of(binding, source)
        found = walk(source, root)
        tables = [name for name in found.files if _is_table(name)]
        if tables and chosen.tables == "refuse":
            _refuse_tables(source, sorted(tables, key=natural_key), binding)
        _refuse_flags(source, binding)
        by_modality: dict[Modality, dict[Key, str]] = {}
        for modality in binding.accepts:
            names = [name for name in found.files if _has_suffix(name, _SUFFIXES[modality])]
            if names:
                by_modality[modality] = _by_key(names, pattern, source)
        if not by_modality:
            raise SourceError(_nothing_found(source, binding, found.files, found.links))
        keys = pattern.keys if pattern else ("item_id",)
        files = {
            name: {key: [path] for key, path in by_key.items()}
            for name, by_key in by_modality.items()
        }
        joint = "slot" in keys and binding.slots == "joint"
        if joint or ("slot" in keys and binding.slots == "first"):
            most = None if joint else 1
            files = {name: _slots(by_key, most) for name, by_key in by_modality.items()}
            keys = keys[:-1]
        return cls(
            keys,
            files,
            os.path.abspath(source),
            root,
            binding,
            _remarks(by_modality, found.links),
            joint=joint,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the files. See ``Loader.batches``."""
        schema = pa.schema(
            [pa.field(name, pa.string(), nullable=False) for name in self.keys]
            + [pa.field(field.name, arrow_type(field)) for field in self.inputs]
        )
        for start in range(0, len(self._order), MAX_ROWS):
            keys = self._order[start : start + MAX_ROWS]
            columns: list[list[Any]] = [list(column) for column in zip(*keys, strict=True)]
            for field, by_key in zip(self.inputs, self._files.values(), strict=True):
                found = [self._absolute(by_key.get(key, [])) for key in keys]
                columns.append(
                    [(paths if field.joint else paths[0]) if paths else None for paths in found]
                )
            arrays = [pa.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    def _absolute(self, names: Sequence[str]) -> list[str]:
        return [os.path.join(self._folder, name) for name in names]


def _by_key(names: Sequence[str], pattern: KeyPattern | None, source: str) -> dict[Key, str]:
    """Files of one modality by key.

    Raises:
        SourceError: two files have one key.
        UsageError: a file does not match the pattern.
    """
    ordered = sorted(names, key=natural_key)
    stems = [os.path.splitext(name)[0] for name in ordered]
    keys: list[Key] = pattern.match(stems) if pattern else [(stem,) for stem in stems]
    found: dict[Key, str] = {}
    for key, name in zip(keys, ordered, strict=True):
        other = found.setdefault(key, name)
        if other != name:
            raise SourceError(
                f"{source}: two files have the key {' / '.join(key)!r}: {other} and {name};"
                " rename one or move it away"
            )
    return found


def _slots(files: Mapping[Key, str], most: int | None) -> dict[Key, list[str]]:
    """The files of each item, in natural order of their slots; no more than so many."""
    found: dict[Key, list[str]] = {}
    for key in sorted(files, key=lambda key: natural_key(key[-1])):
        found.setdefault(key[:-1], []).append(files[key])
    return {key: paths[:most] for key, paths in found.items()}


def _refuse_tables(source: str, tables: Sequence[str], binding: Binding) -> None:
    lines = [f"    {_table_command(os.path.join(source, name), binding)}" for name in tables[:3]]
    which = tables[0] if len(tables) == 1 else f"{len(tables)} tables ({listing(tables, 3)})"
    raise UsageError(
        f"{source} holds {which}, and a folder is read file by file. Give the table itself; its"
        " paths may be relative to its folder:\n"
        + "\n".join(lines)
        + "\nFor the files alone, without the table:\n    "
        + command(source, _without_flags(binding), option_flag("tables=ignore"))
    )


def _table_command(path: str, binding: Binding) -> str:
    """The command for a table; with the flags that it needs, where they can be guessed."""
    try:
        TableLoader.open(path, binding, TableOptions())
    except DuchoError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        proposed = next((line for line in lines if line.startswith("ducho extract")), None)
        return proposed or command(path, binding)
    return command(path, binding)


def _refuse_flags(source: str, binding: Binding) -> None:
    if binding.keys:
        raise UsageError(
            f"{source} is a folder: a key is a file's path there, and --key is for tables; for"
            " keys in file names: --pattern '{item_id}_{slot}'"
        )
    given = [f"--{name}" for name in ("image", "audio") if getattr(binding, name) is not None] + [
        "--text"
    ] * bool(binding.texts)
    if given:
        raise UsageError(
            f"{source} is a folder: its files are told apart by suffix, and {given[0]} is for"
            " tables. Without it:\n    " + command(source, _without_flags(binding))
        )


def _without_flags(binding: Binding) -> Binding:
    return replace(binding, keys=(), texts=(), image=None, audio=None)


def _nothing_found(
    source: str, binding: Binding, files: Sequence[str], links: Sequence[str]
) -> str:
    wanted = " or ".join(
        f"{_PLURALS[modality]} ({', '.join(_SUFFIXES[modality])})" for modality in binding.accepts
    )
    if links:
        return (
            f"{source} holds no {wanted}; the linked folder {links[0]} was not followed, since it"
            " leads elsewhere: give its target as the source, or a --root that holds both"
        )
    if not files:
        return f"{source} holds no file (hidden ones are left out); {wanted} are wanted"
    counts = Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in files)
    found = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(5))
    return f"{source} holds no {wanted}; found: {found}"


def _remarks(files: Mapping[Modality, Mapping[Key, str]], links: Sequence[str]) -> tuple[str, ...]:
    counts = [f"{len(by_key)} {_PLURALS[modality]}" for modality, by_key in files.items()]
    remarks = [f"found {' and '.join(counts)}"]
    if links:
        remarks.append(f"not followed, since they lead elsewhere: {listing(links, 3)}")
    return tuple(remarks)


def _is_table(name: str) -> bool:
    return "/" not in name and _has_suffix(name, TABLE_SUFFIXES)


def _has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes)
