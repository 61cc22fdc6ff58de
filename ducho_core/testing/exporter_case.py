"""An exporter under test: rows drawn for it, written to folders that are looked at."""

from __future__ import annotations

import contextlib
import tempfile
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.exporter import ExportBatch, ExportContext, ExportInput
from ducho_core.exporting.folder import Folder
from ducho_core.exporting.idmap import IDS as FILE
from ducho_core.exporting.idmap import MapWriter, row_digests
from ducho_core.store.schema import key_fields
from ducho_core.testing.part_case import PartCase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ducho_core.exporter import Exporter, ExportNotes
    from ducho_core.fuser import Vectors
    from ducho_core.registry import Registry

Read: TypeAlias = "Callable[[Path], Mapping[str, Mapping[tuple[str, ...], Any]]]"
"""Reads what was written: of each input, by its label, the vector of each key."""

IDS = (*(f"{at:03}" for at in range(18)), "B00Φ", "ünï", "x.y", "a_b", "日本")
"""Ids that any format should hold exactly."""

HOSTILE_IDS = (
    "plain",
    "../up",
    "/etc/absolute",
    "a/b",
    "back\\slash",
    "..",
    ".hidden",
    "CON",
    "Case",
    "case",
    "tab\there",
    "line\nbreak",
    'quo"te',
    "=1+1",
    " ",
    "",
    "%41",
    "x" * 300,
    "nul\x01",
)
"""Ids that must not lead anywhere, whatever becomes of them."""

DIMS = (5, 3)


class ExporterCase(PartCase):
    """One exporter with options, on embeddings drawn at random.

    Args:
        plugin: PLUGIN/NAME, or NAME where one plugin has it.
        options: as ``-o`` would give them.
        dims: length of the vectors of each input; two inputs, or one where it takes no more,
            where not given.
        read: reads what was written, with the other system itself where there is one; without
            it nothing can be said of the files' content.
        registry: where to find the plugin.
    """

    kind = "exporter"

    def __init__(
        self,
        plugin: str,
        options: Mapping[str, Any] | None = None,
        *,
        dims: Sequence[int] | None = None,
        read: Read | None = None,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(plugin, options, registry=registry)
        most = self.found.spec.most
        self.dims = tuple(dims) if dims is not None else DIMS[:most]
        self.read = read

    @cached_property
    def implementation(self) -> type[Exporter]:
        """The exporter's class."""
        return self.found.import_implementation()

    @property
    def keys(self) -> tuple[str, ...]:
        """The key columns that it is given where nothing else is said."""
        return ("item_id",)

    @property
    def key_choices(self) -> list[tuple[str, ...]]:
        """All key columns that it says it carries, in each combination that there is."""
        carried = set(self.found.spec.keys)
        every = [
            tuple(name for name in KEY_COLUMNS if name in {"item_id", *more})
            for more in ((), ("user_id",), ("slot",), ("user_id", "slot"))
        ]
        return [keys for keys in every if set(keys) <= carried]

    def context(self, keys: Sequence[str] | None = None) -> ExportContext:
        """What the exporter is opened on."""
        inputs = tuple(
            ExportInput(
                name=f"set-{at}",
                label=f"model-{at}",
                dim=dim,
                fingerprint=sha256(f"input {at}".encode()).hexdigest(),
                output="embedding",
                rows=len(IDS),
            )
            for at, dim in enumerate(self.dims)
        )
        return ExportContext(inputs=inputs, keys=tuple(keys or self.keys))

    def open(self, keys: Sequence[str] | None = None) -> Any:
        """Open the exporter anew."""
        return self.implementation.open(self.options, self.context(keys))

    def ids(self, exporter: Exporter, ids: Sequence[str] = IDS) -> Sequence[str]:
        """The ids of the exporter's universe; those given where it has none."""
        universe = exporter.universe()
        if universe is None:
            return ids
        return [key for batch in universe.batches() for key in batch["item_id"].to_pylist()]

    def write(
        self,
        out: Path,
        *,
        keys: Sequence[str] | None = None,
        ids: Sequence[str] = IDS,
        size: int = 7,
        whole: bool = False,
    ) -> ExportNotes:
        """Export rows to a folder, as the core does.

        Args:
            out: the folder; not there yet.
            keys: the key columns.
            ids: of the items.
            size: rows in a batch.
            whole: every input has every row; otherwise the last input lacks some.
        """
        context = self.context(keys)
        exporter = self.implementation.open(self.options, context)
        rows = Rows(context, self.ids(exporter, ids), size, whole=whole)
        folder = Folder(out)
        try:
            notes: ExportNotes = exporter.write(rows, folder)
            rows.write_map(folder)
            folder.finish({})
        except BaseException:
            folder.abandon()
            raise
        return notes


class Rows:
    """See ``ducho_core.ExportRows``."""

    def __init__(
        self, context: ExportContext, ids: Sequence[str], size: int, *, whole: bool
    ) -> None:
        self.keys = context.keys
        self.inputs = context.inputs
        self._size = size
        self._columns = {
            "user_id": [f"u{at % 3}" for at in range(len(ids))],
            "item_id": list(ids),
            "slot": [str(at % 2) for at in range(len(ids))],
        }
        random = np.random.default_rng(0)
        self.values: list[Vectors] = []
        self.present: list[Any] = []
        for at, one in enumerate(self.inputs):
            vectors = random.normal(size=(len(ids), one.dim)).astype(np.float32)
            there = np.ones(len(ids), np.bool_)
            if not whole and at == len(self.inputs) - 1:
                there[1::5] = False
                vectors[~there] = 0
            self.values.append(vectors)
            self.present.append(there)
        self.filled = tuple(int((~one).sum()) for one in self.present)

    def __len__(self) -> int:
        return len(self._columns["item_id"])

    def batches(self) -> Iterator[ExportBatch]:
        """See ``ducho_core.ExportRows.batches``. The arrays cannot be written to."""
        for start, keys in zip(range(0, len(self), self._size), self.key_batches(), strict=True):
            at = slice(start, start + self._size)
            yield ExportBatch(
                start=start,
                numbers=np.arange(start, start + keys.num_rows),
                keys=keys,
                values=tuple(_frozen(one[at]) for one in self.values),
                present=tuple(_frozen(one[at]) for one in self.present),
            )

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """See ``ducho_core.ExportRows.key_batches``."""
        for start in range(0, len(self), self._size):
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(self._columns[name][start : start + self._size], pa.string())
                    for name in self.keys
                ],
                schema=pa.schema(key_fields(self.keys)),
            )

    def write_map(self, folder: Folder) -> None:
        """Write ``ids.parquet``, as the core does."""
        labels = [one.label for one in self.inputs]
        with folder.own(FILE) as file:
            writer = MapWriter(file, self.keys, labels, partial=False)
            for start, keys in zip(
                range(0, len(self), self._size), self.key_batches(), strict=True
            ):
                at = slice(start, start + self._size)
                present = [one[at] for one in self.present]
                values = [one[at] for one in self.values]
                digests = [row_digests(*one) for one in zip(values, present, strict=True)]
                writer.add(keys, present, digests)
            writer.close()

    def expected(self) -> dict[str, dict[tuple[str, ...], Vectors]]:
        """Of each input the vector of each key that it has."""
        keys = list(zip(*(self._columns[name] for name in self.keys), strict=True))
        return {
            one.label: {
                keys[row]: self.values[at][row] for row in np.flatnonzero(self.present[at])
            }
            for at, one in enumerate(self.inputs)
        }


@contextlib.contextmanager
def watched_folder() -> Iterator[Path]:
    """An empty folder that is the working folder meanwhile, and goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="ducho-check-") as name:
        folder = Path(name).resolve()
        inner = folder / "here"
        inner.mkdir()
        with contextlib.chdir(inner):
            yield inner


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _frozen(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
