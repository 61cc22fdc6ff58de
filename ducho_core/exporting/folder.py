"""The folder of an export: filled to one side, checked, then put in place as a whole."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.errors import ContractError, UsageError
from ducho_core.exporting.idmap import FURTHER, GONE, IDS, ROW
from ducho_core.exporting.names import Names, part_name
from ducho_core.exporting.target import FORMAT, REPORT, check_target
from ducho_core.exporting.trees import files_of
from ducho_core.store.atomic import explain, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ducho_core.exporter import ExportRows

FILE_NAMES = "ids.tsv"

_OURS = (REPORT, FILE_NAMES, IDS, GONE)
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class Folder:
    """The folder that an exporter writes to.

    It lies beside the target until ``finish`` puts it there, so that the target is never seen
    half-written and an export that fails changes nothing.

    Args:
        out: the target: absent, empty, or an earlier export.
        overwrite: whether an earlier export is replaced with whatever was added to it.
        earlier: the ids of a further map whose numbers are kept, by the map's name.

    Raises:
        UsageError: something else is there.
        StoreError: it cannot be written.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        earlier: Callable[[str], list[str] | None] | None = None,
    ) -> None:
        self.out = Path(os.path.realpath(out))
        check_target(out, overwrite=overwrite)
        self._earlier = earlier
        self._files: list[str] = []
        self._items: list[_Items] = []
        self._trees: dict[str, list[str]] = {}
        self._map: IO[str] | None = None
        self._writer: Any = None
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._staging = self.out.parent / f".ducho-export-{uuid.uuid4().hex}"
            self._staging.mkdir()
        except OSError as error:
            raise explain(error, self.out, 0, export=True) from error

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """See ``ducho_core.ExportFolder.open``."""
        path = self._place(name, "file")
        with self._create(name, path) as file:
            yield file

    @contextmanager
    def own(self, name: str) -> Iterator[BinaryIO]:
        """Create a file of the core's own."""
        with self._create(name, self._staging / name) as file:
            yield file

    @contextmanager
    def _create(self, name: str, path: Path) -> Iterator[BinaryIO]:
        self._files.append(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise explain(error, self.out / name, 0, export=True) from error

    @contextmanager
    def tree(self, name: str) -> Iterator[Path]:
        """See ``ducho_core.ExportFolder.tree``."""
        path = self._place(name, "folder")
        if path.exists():
            raise ContractError(f"the folder {name} is there already")
        self._trees[name] = []
        try:
            path.mkdir(parents=True)
            yield path
            self._trees[name] = files_of(path, name)
        except OSError as error:
            raise explain(error, self.out / name, 0, export=True) from error

    def write_ids(self, name: str, column: str, ids: Sequence[str]) -> None:
        """See ``ducho_core.ExportFolder.write_ids``."""
        if not FURTHER.fullmatch(name):
            raise ContractError(f"{name!r} cannot be a map of ids: letters a to z and _")
        listed = list(ids)
        if len(set(listed)) < len(listed):
            raise ContractError(f"an id comes twice in the map {name}")
        earlier = (self._earlier(name) if self._earlier else None) or []
        if listed[: len(earlier)] != earlier:
            raise ContractError(
                f"the map {name} gives other numbers to ids of the export whose numbers are to be"
                " kept: previous_ids come first, in their order"
            )
        columns = {column: pa.array(listed, pa.string()), ROW: pa.array(range(len(listed)))}
        with self.open(f"{name}.parquet") as file:
            pq.write_table(pa.table(columns), file, compression="zstd", write_page_checksum=True)

    def item_files(self, parts: Sequence[str], suffix: str, rows: ExportRows) -> _Items:
        """See ``ducho_core.ExportFolder.item_files``."""
        if not parts or not re.fullmatch(r"(\.[a-z0-9]+)+", suffix):
            raise ContractError(f"{parts!r} and {suffix!r} do not say where items' files go")
        where = "/".join(part_name(part) for part in parts)
        if where.casefold() in [one.where.casefold() for one in self._items]:
            raise UsageError(f"two sets would be written to the same folder, {where}")
        if where in _OURS:
            raise UsageError(f"a folder of an export cannot be called {where}")
        self._keep_out_of_trees(where)
        try:
            (self._staging / where).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, self.out / where, 0, export=True) from error
        keys = (
            key
            for batch in rows.key_batches()
            for key in zip(*(batch[name].to_pylist() for name in rows.keys), strict=True)
        )
        items = _Items(self, where, suffix, rows.keys, Names(keys, suffix))
        self._items.append(items)
        return items

    def finish(self, report: dict[str, Any]) -> list[str]:
        """Write the report and put the folder in place.

        Returns:
            What lies in it, files and folders of items.
        """
        if self._map is not None:
            self._map.close()
        files = sorted([*self._files, *([FILE_NAMES] if self._map is not None else []), REPORT])
        inside = sorted(f"{name}/{one}" for name, found in self._trees.items() for one in found)
        items = [
            {"folder": one.where, "suffix": one.suffix, "files": one.count} for one in self._items
        ]
        content = {"format": FORMAT, "version": 1, **report, "files": files + inside}
        content["item_files"] = items
        text = json.dumps(content, ensure_ascii=False, indent=1)
        try:
            (self._staging / REPORT).write_text(text + "\n", "utf-8", "backslashreplace")
            self._swap()
        except OSError as error:
            raise explain(error, self.out, 0, export=True) from error
        listed = [f"{one.where}/ ({one.count} {one.suffix} files)" for one in self._items]
        trees = [f"{name}/ ({len(found)} files)" for name, found in self._trees.items()]
        return files + listed + trees

    def abandon(self) -> None:
        """Remove what was written; the target is as it was."""
        if self._map is not None:
            self._map.close()
        shutil.rmtree(self._staging, ignore_errors=True)

    def note_name(self, keys: Sequence[str], key: Sequence[str], path: str) -> None:
        """Enter a file that is not called like its key into ``ids.tsv``."""
        if self._map is None:
            self._map = (self._staging / FILE_NAMES).open("x", encoding="utf-8", newline="")
            self._writer = csv.writer(
                self._map, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL
            )
            self._writer.writerow([*keys, "file"])
        self._writer.writerow([*key, path])

    def scratch(self) -> Path:
        """A new path on the target's disk for a temporary file; nothing is created."""
        return self.out.parent / f".ducho-rows-{uuid.uuid4().hex}"

    @property
    def staging(self) -> Path:
        """Where it lies until it is in place."""
        return self._staging

    def _place(self, name: str, what: str) -> Path:
        parts = name.split("/")
        if not all(_PART.fullmatch(part) for part in parts) or name in _OURS:
            raise ContractError(
                f"{name!r} cannot be a {what} of an export: parts of letters, digits, '.', '_' and"
                f" '-' joined by '/', not {', '.join(_OURS)}"
            )
        if name in self._files:
            raise ContractError(f"the file {name} is written twice")
        self._keep_out_of_trees(name)
        return self._staging.joinpath(*parts)

    def _keep_out_of_trees(self, name: str) -> None:
        for tree in self._trees:
            if f"{name}/".startswith(f"{tree}/"):
                raise ContractError(f"{name} would lie in {tree}, which is another library's")

    def _swap(self) -> None:
        old = self.out.parent / f".ducho-replaced-{uuid.uuid4().hex}"
        replaced = self.out.is_dir() and any(os.scandir(self.out))
        try:
            if replaced:
                os.rename(self.out, old)
            os.rename(self._staging, self.out)
        except BaseException:
            if replaced and not os.path.lexists(self.out):
                os.rename(old, self.out)
            raise
        sync_folder(self.out.parent)
        if replaced:
            shutil.rmtree(old, ignore_errors=True)


class _Items:
    """A folder with one file an item."""

    def __init__(
        self, folder: Folder, where: str, suffix: str, keys: Sequence[str], names: Names
    ) -> None:
        self.where = where
        self.suffix = suffix
        self.count = 0
        self._folder = folder
        self._path = os.path.join(folder.staging, where)
        self._keys = tuple(keys)
        self._names = names

    def write(self, key: Sequence[str], content: bytes) -> None:
        """See ``ducho_core.ItemFiles.write``."""
        name = self._names.name(key)
        path = os.path.join(self._path, name)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)
        except FileExistsError as error:
            raise ContractError(f"the file of the key {key!r} is written twice") from error
        except OSError as error:
            raise explain(
                error, self._folder.out / self.where / name, len(content), export=True
            ) from error
        self.count += 1
        if name != (key[0] if len(key) == 1 else "__".join(key)) + self.suffix:
            self._folder.note_name(self._keys, key, f"{self.where}/{name}")


__all__ = ["Folder"]
