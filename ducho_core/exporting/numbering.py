"""The rows of an export in order: keys, their numbers, and where the sets have them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ducho_core.errors import ContractError
from ducho_core.extraction.digest_index import digest_keys, has_repeats
from ducho_core.fusion.join import ABSENT
from ducho_core.store.atomic import explain
from ducho_core.store.schema import key_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.exporter import Universe
    from ducho_core.exporting.idmap import IdMap
    from ducho_core.fusion.join import Join
    from ducho_core.store.rows import Rows

_READ = 65536


class Numbering:
    """Keys in order, in a temporary file, and where each is in the join.

    Args:
        keys: the key columns.
        block: keys in a batch.
        scratch: path of the temporary file.

    Attributes:
        keys: the key columns.
        places: the number of each key in the join, ``ABSENT`` where no set has it, (n,).
        numbers: the number of each key in the export's id map, (n,) int64.
        current: which keys are in the universe or, without one, in the sets as the policy leaves
            them, (n,); the others are held for the sake of their numbers.
    """

    def __init__(self, keys: Sequence[str], block: int, scratch: Path) -> None:
        self.keys = tuple(keys)
        self.block = block
        self.places: Rows = np.empty(0, np.int64)
        self.numbers: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.current: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
        self._path = scratch
        self._schema = pa.schema(key_fields(keys))
        self._held: list[pa.RecordBatch] = []
        self._waiting = 0
        self._places: list[Rows] = []
        try:
            self._writer = pa.ipc.new_file(os.fspath(scratch), self._schema)
        except OSError as error:
            raise explain(error, scratch, 0, export=True) from error
        self._source: pa.MemoryMappedFile | None = None
        self._reader: pa.RecordBatchFileReader | None = None

    def __len__(self) -> int:
        return len(self.places)

    def add(self, keys: pa.RecordBatch | pa.Table, places: Rows) -> None:
        """Add the next keys."""
        columns = [keys[name] for name in self.keys]
        self._held += pa.Table.from_arrays(columns, schema=self._schema).to_batches()
        self._places.append(places)
        self._waiting += len(places)
        if self._waiting >= self.block:
            self._flush(self._waiting - self._waiting % self.block)

    def finish(
        self,
        current: npt.NDArray[np.bool_] | None = None,
        numbers: npt.NDArray[np.int64] | None = None,
    ) -> Numbering:
        """No more keys come; all are current and numbered from 0 unless otherwise said."""
        self._flush(self._waiting)
        try:
            self._writer.close()
            self._source = pa.memory_map(os.fspath(self._path))
        except OSError as error:
            raise explain(error, self._path, 0, export=True) from error
        self._reader = pa.ipc.open_file(self._source)
        self.places = np.concatenate([np.empty(0, np.int64), *self._places])
        self._places = []
        count = len(self.places)
        self.current = np.ones(count, np.bool_) if current is None else current
        self.numbers = np.arange(count) if numbers is None else numbers
        return self

    @property
    def batch_count(self) -> int:
        """How many batches there are."""
        return 0 if self._reader is None else int(self._reader.num_record_batches)

    def key_batch(self, at: int) -> pa.RecordBatch:
        """The keys of one batch."""
        assert self._reader is not None
        return self._reader.get_batch(at)

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """All keys, in order."""
        for at in range(self.batch_count):
            yield self.key_batch(at)

    def span(self, at: int) -> slice:
        """Which rows a batch has."""
        return slice(at * self.block, min((at + 1) * self.block, len(self)))

    def select(self, kept: npt.NDArray[np.bool_], scratch: Path) -> Numbering:
        """Only some of the keys, under the numbers that they have."""
        found = Numbering(self.keys, self.block, scratch)
        try:
            for at in range(self.batch_count):
                span = self.span(at)
                some = kept[span]
                found.add(self.key_batch(at).filter(pa.array(some)), self.places[span][some])
            return found.finish(self.current[kept], self.numbers[kept])
        except BaseException:
            found.close()
            raise

    def keys_at(self, rows: Rows) -> list[tuple[str, ...]]:
        """The keys of some rows."""
        found = []
        for row in rows.tolist():
            batch = self.key_batch(row // self.block)
            found.append(tuple(batch[name][row % self.block].as_py() for name in self.keys))
        return found

    def close(self) -> None:
        """Remove the temporary file."""
        self._reader = None
        if self._source is not None:
            self._source.close()
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _flush(self, count: int) -> None:
        if not count:
            return
        table = pa.Table.from_batches(self._held, schema=self._schema)
        try:
            for start in range(0, count, self.block):
                some = table.slice(start, min(self.block, count - start)).combine_chunks()
                self._writer.write_batch(some.to_batches()[0])
        except OSError as error:
            raise explain(error, self._path, table.nbytes, export=True) from error
        self._held = table.slice(count).to_batches()
        self._waiting -= count


def number(
    join: Join,
    block: int,
    scratch: Callable[[], Path],
    universe: Universe | None = None,
    earlier: IdMap | None = None,
) -> Numbering:
    """Number the keys of an export.

    Those of an earlier map come first, as they are numbered there, then those of the universe,
    or, where there is none, those that take part in the join.

    Args:
        join: the joined sets; where there is a universe only keys in it take part afterwards.
        block: keys in a batch.
        scratch: gives paths of temporary files.
        universe: the rows that there have to be.
        earlier: the map whose numbers are kept.

    Raises:
        ContractError: the universe has a key twice, or other key columns.
    """
    found = Numbering(join.keys, block, scratch())
    try:
        known = None
        current = np.ones(0, np.bool_)
        if earlier is not None:
            for batch in earlier.key_batches():
                found.add(batch, _places(join, batch))
            known = earlier.index()
            current = np.zeros(len(earlier), np.bool_)
        digests = []
        taking_part = np.zeros(len(join), np.bool_)
        for keys, places in _current(join, universe):
            mine = digest_keys(keys, join.keys)
            if universe is not None:
                digests.append(mine)
                taking_part[places[places != ABSENT]] = True
            if known is None:
                found.add(keys, places)
                continue
            old, numbers = known.find(mine)
            current[numbers[old]] = True
            found.add(keys.filter(pa.array(~old)), places[~old])
        if digests and has_repeats(np.concatenate(digests)):
            raise ContractError(f"a key comes twice in {universe.name if universe else ''}")
        if universe is not None:
            join.kept = taking_part
        found.finish()
        found.current[: len(current)] = current
    except BaseException:
        found.close()
        raise
    return found


def _current(
    join: Join, universe: Universe | None
) -> Iterator[tuple[pa.RecordBatch | pa.Table, Rows]]:
    if universe is None:
        for numbers in join.blocks(_READ):
            yield join.key_batch(numbers), numbers
        return
    if universe.keys != join.keys:
        raise ContractError(
            f"{universe.name} has the key columns {', '.join(universe.keys)}, the sets have"
            f" {', '.join(join.keys)}"
        )
    for batch in universe.batches():
        yield batch, _places(join, batch)


def _places(join: Join, keys: pa.RecordBatch | pa.Table) -> Rows:
    found, numbers = join.index.find(digest_keys(keys, join.keys))
    return np.where(found, numbers, ABSENT)


__all__ = ["Numbering", "number"]
