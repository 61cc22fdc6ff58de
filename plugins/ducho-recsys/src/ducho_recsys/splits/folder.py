"""A frozen split on disk: Parquet tables and the sha256 of each."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ducho_core import DuchoError, UsageError, file_digest
from ducho_recsys.splits.content import canonical_sha256, content_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

FORMAT = "ducho-split"
VERSION = 1
DESCRIPTION = "split.json"
PARTS = ("train", "validation", "test")

PAIR_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("rating", pa.float64()),
        pa.field("timestamp", pa.float64()),
        pa.field("relevant", pa.bool_(), nullable=False),
    ]
)
"""Columns of ``train.parquet``, ``validation.parquet`` and ``test.parquet``."""

_ROWS_A_GROUP = 2**20
_NAMES = ("users", "items", *PARTS)


class Split:
    """A frozen split: the universe of items and users, and the interactions of each part.

    Items and users are numbered by their position in ``items`` and ``users``. Rows of a part are
    in the order of the users, then of time where there is one, then of the items.

    Attributes:
        path: its folder.
        digest: sha256 over settings and content, 64 hex digits; the same interactions and
            settings give the same, wherever and whenever the split was made.
        train_digest: sha256 over the (user, item) pairs of ``train`` alone.
        settings: how it was made, as plain JSON.
        description: all of ``split.json``.
    """

    def __init__(self, path: Path, description: Mapping[str, Any]) -> None:
        self.path = path
        self.description = description
        self.digest: str = description["digest"]
        self.train_digest: str = description["train_pairs_sha256"]
        self.settings: dict[str, Any] = dict(description["settings"])

    def __repr__(self) -> str:
        return f"Split({self.path.name}, {self.digest[:12]})"

    @cached_property
    def items(self) -> pa.StringArray:
        """The item ids, in the order of their numbers."""
        return _column(self._items, "item_id")

    @cached_property
    def users(self) -> pa.StringArray:
        """The user ids, in the order of their numbers."""
        return _column(self._read("users"), "user_id")

    @cached_property
    def item_parts(self) -> pa.StringArray | None:
        """``train``, ``validation`` or ``test`` of each item in an item-cold split, else None."""
        return _column(self._items, "part") if "part" in self._items.column_names else None

    @cached_property
    def train(self) -> pa.Table:
        """``user_id``, ``item_id``, ``rating``, ``timestamp``, ``relevant``."""
        return self._read("train")

    @cached_property
    def validation(self) -> pa.Table:
        """Like ``train``; empty where nothing was kept for validation."""
        return self._read("validation")

    @cached_property
    def test(self) -> pa.Table:
        """Like ``train``."""
        return self._read("test")

    def pairs(self, part: str) -> npt.NDArray[np.int64]:
        """The interactions of a part as numbers, in its order; read block by block.

        Args:
            part: ``train``, ``validation`` or ``test``.

        Returns:
            Number of the user x number of items + number of the item, (n,).
        """
        found = [np.empty(0, np.int64)]
        with pq.ParquetFile(self.path / f"{part}.parquet") as file:
            for batch in file.iter_batches(2**18, columns=["user_id", "item_id"]):
                users = pc.index_in(batch["user_id"], value_set=self.users)
                items = pc.index_in(batch["item_id"], value_set=self.items)
                found.append(np.asarray(users, np.int64) * len(self.items) + np.asarray(items))
        return np.concatenate(found)

    @cached_property
    def _items(self) -> pa.Table:
        return self._read("items")

    def _read(self, name: str) -> pa.Table:
        return pq.read_table(self.path / f"{name}.parquet")


def read_split(path: str | os.PathLike[str]) -> Split:
    """Open a split; the sha256 of every file in it is checked.

    Args:
        path: the folder that ``ducho split`` wrote.

    Raises:
        UsageError: it is no split, or one of a later version.
        DuchoError: a file of it is missing, or not as it was written.
    """
    folder = Path(path)
    try:
        content = (folder / DESCRIPTION).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{folder} is no split: it has no {DESCRIPTION}. Make one: ducho split INTERACTIONS"
            f" --out {folder}"
        ) from None
    except OSError as error:
        raise DuchoError(f"{folder / DESCRIPTION} cannot be read: {error.strerror}") from error
    try:
        description = json.loads(content)
    except ValueError as error:
        raise _damaged(folder / DESCRIPTION, f"it is no JSON ({error})") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise UsageError(f"{folder / DESCRIPTION} describes no split of ducho-recsys")
    if description.get("version") != VERSION:
        raise UsageError(
            f"{folder} is a split of version {description.get('version')}, this is ducho-recsys"
            f" for version {VERSION}: install a newer one"
        )
    files = description.get("files")
    if not isinstance(files, dict) or set(files) != {f"{name}.parquet" for name in _NAMES}:
        raise _damaged(folder / DESCRIPTION, "it does not list the files of a split")
    if description.get("digest") != _digest(description):
        raise _damaged(folder / DESCRIPTION, "it was changed after the split was made")
    for name, told in files.items():
        try:
            found = file_digest(folder / name)
        except OSError as error:
            raise _damaged(folder / name, str(error.strerror)) from error
        if found != told["sha256"]:
            raise _damaged(folder / name, "its sha256 is not the one that was frozen")
    return Split(folder, description)


def check_target(out: str | os.PathLike[str]) -> Path:
    """The folder that a split is to be written to.

    Raises:
        UsageError: something is there already.
    """
    target = Path(out)
    if target.is_dir() and not any(target.iterdir()):
        return target
    if os.path.lexists(target):
        what = "a split" if (target / DESCRIPTION).is_file() else "something else"
        raise UsageError(
            f"{target} exists and is {what}; a split is never overwritten: choose another --out,"
            " or remove it"
        )
    return target


def write_split(
    out: str | os.PathLike[str],
    tables: Mapping[str, pa.Table],
    train_digest: str,
    settings: Mapping[str, Any],
    further: Mapping[str, Any],
) -> Split:
    """Freeze a split: written to one side, flushed, then put in place as a whole.

    Args:
        out: the folder, absent or empty.
        tables: ``users``, ``items`` and the three parts.
        train_digest: of the pairs of ``train``.
        settings: all that decides what is in it; enters the digest.
        further: what else ``split.json`` is to tell; does not.

    Raises:
        UsageError: something is at ``out``.
        DuchoError: it cannot be written.
    """
    target = check_target(out)
    staging = Path(os.path.realpath(target)).parent / f".ducho-split-{uuid.uuid4().hex}"
    try:
        staging.mkdir(parents=True)
        files = {}
        for name in _NAMES:
            path = staging / f"{name}.parquet"
            pq.write_table(tables[name], path, row_group_size=_ROWS_A_GROUP, compression="zstd")
            _flush(path)
            files[path.name] = {
                "sha256": file_digest(path),
                "content_sha256": content_sha256(tables[name]),
                "rows": tables[name].num_rows,
            }
        description = {
            "format": FORMAT,
            "version": VERSION,
            "settings": dict(settings),
            "train_pairs_sha256": train_digest,
            "files": files,
            **further,
        }
        description = {"digest": _digest(description), **description}
        told = json.dumps(description, ensure_ascii=False, indent=2, allow_nan=False)
        (staging / DESCRIPTION).write_text(told + "\n", "utf-8")
        _flush(staging / DESCRIPTION)
        os.rename(staging, os.path.realpath(target))
    except OSError as error:
        raise DuchoError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Split(target, description)


def _digest(description: Mapping[str, Any]) -> str:
    try:
        return canonical_sha256(
            {
                "format": description["format"],
                "version": description["version"],
                "settings": description["settings"],
                "train_pairs_sha256": description["train_pairs_sha256"],
                "content": {
                    name: told["content_sha256"] for name, told in description["files"].items()
                },
            }
        )
    except (KeyError, TypeError):
        return ""


def _column(table: pa.Table, name: str) -> Any:
    column = table[name].combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _damaged(path: Path, what: str) -> DuchoError:
    return DuchoError(
        f"{path} is damaged: {what}. A split is frozen: restore it from a copy, or make it anew"
    )
