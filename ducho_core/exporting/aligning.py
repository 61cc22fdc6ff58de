"""Which rows an export has, and what stands in for those that a set lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ducho_core.errors import UsageError
from ducho_core.exporting.idmap import GONE, IDS, ROW, IdMap, MapWriter
from ducho_core.exporting.numbering import Numbering, number
from ducho_core.exporting.report import Changes, ExportedInput, Kept
from ducho_core.exporting.rows import AlignedRows
from ducho_core.extraction.digest_index import DigestIndex, digest_keys
from ducho_core.fusion.fitting import take_means
from ducho_core.fusion.joined import JoinedRows
from ducho_core.store.schema import key_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ducho_core.exporter import Universe
    from ducho_core.exporting.folder import Folder
    from ducho_core.fusion.join import Coverage, Join

MOST_MISSING = 0.05
"""Share of the universe that a set may lack unless the user says otherwise."""

_EXAMPLES = 10
_ADVICE = (
    "Say what to do with them: --missing drop leaves these keys out, zero and mean fill them in"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What is asked of the rows.

    Attributes:
        missing: the policy for missing rows, or ``leave``.
        max_missing: the share of rows that a set may lack, where the user says so.
        universe: the rows that there have to be.
        id_map: the export whose numbers are kept.
        since: the export of which only the differences are written.
    """

    missing: str
    max_missing: float | None
    universe: Universe | None
    id_map: IdMap | None
    since: IdMap | None


class Alignment:
    """The rows of one export.

    Args:
        join: the joined sets.
        coverage: of the join.
        demands: what is asked of the rows.
        folder: of the export.

    Attributes:
        every: all rows that are numbered.
        rows: those that are written.

    Raises:
        UsageError: rows are missing, and the policy does not allow it.
    """

    def __init__(self, join: Join, coverage: Coverage, demands: Demands, folder: Folder) -> None:
        self._join = join
        self._demands = demands
        self._folder = folder
        self._open: list[Numbering] = []
        self._joined = JoinedRows(join, folder.scratch)
        try:
            if demands.universe is None:
                join.settle(demands.missing, coverage, _ADVICE)
            numbering = number(
                join, self._joined.block, folder.scratch, demands.universe, demands.id_map
            )
            self._open.append(numbering)
            join.release()
            self._check(numbering)
            if demands.missing == "mean":
                take_means(self._joined)
            self.every = self.rows = AlignedRows(self._joined, numbering)
            self._written: npt.NDArray[np.bool_] | None = None
            self._changes: tuple[int, int] = (0, 0)
            if demands.since is not None:
                self._select(demands.since)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove temporary files."""
        for one in self._open:
            one.close()
        self._joined.close()

    def finish(self) -> tuple[Kept | None, Changes | None]:
        """Write ``ids.parquet``, and ``gone.parquet`` where keys are gone."""
        self.every.finish()
        self.rows.finish()
        numbering = self.every.numbering
        labels = [one.label for one in self.every.inputs]
        partial = self._written is not None
        with self._folder.own(IDS) as file:
            writer = MapWriter(file, self.every.keys, labels, partial=partial)
            for at in range(numbering.batch_count):
                span = numbering.span(at)
                writer.add(
                    numbering.key_batch(at),
                    [one[span] for one in self.every.present],
                    [one[span] for one in self.every.digests],
                    None if self._written is None else self._written[span],
                )
            writer.close()
        return self._gone()

    def inputs(self) -> tuple[ExportedInput, ...]:
        """What became of each set."""
        rows, numbering = self.rows, self.every.numbering
        leave = self._demands.missing == "leave"
        found = []
        for at, one in enumerate(rows.inputs):
            there = self.every.present[at]
            present = int(np.count_nonzero(there))
            lacking = np.flatnonzero(~there)[: 0 if leave else _EXAMPLES]
            found.append(
                ExportedInput(
                    name=one.name,
                    label=one.label,
                    output=one.output,
                    fingerprint=one.fingerprint,
                    dim=one.dim,
                    rows=one.rows,
                    present=present,
                    filled=0 if leave else len(there) - present,
                    filled_examples=tuple(numbering.keys_at(lacking)),
                    dropped=one.rows - present,
                    zero=rows.zeros[at],
                    zero_examples=tuple(rows.zero_keys[at]),
                )
            )
        return tuple(found)

    @property
    def universe_rows(self) -> int:
        """Rows of the universe."""
        return int(np.count_nonzero(self.every.numbering.current))

    def _check(self, numbering: Numbering) -> None:
        demands, join = self._demands, self._join
        what = demands.universe.name if demands.universe else None
        most = demands.max_missing
        if most is None and what is not None:
            most = MOST_MISSING
        places = numbering.places[numbering.current]
        rows = np.flatnonzero(numbering.current)
        said, lacks = [], []
        for one, every in zip(join.inputs, join.rows, strict=True):
            absent = (places < 0) | (every[places] < 0)
            lacking = int(np.count_nonzero(absent))
            share = lacking / max(1, len(places))
            some = numbering.keys_at(rows[np.flatnonzero(absent)[:5]])
            keys = ", ".join(_shown(" / ".join(key)) for key in some)
            text = f"{one.name} lacks {lacking} of {len(places)} keys ({keys}"
            text += ", …)" if lacking > len(some) else ")"
            if what is not None and lacking == len(places):
                raise UsageError(
                    f"{one.name} has no key of {what} ({keys}): they are not about the same items,"
                    " or name them differently"
                )
            if lacking:
                lacks.append(text)
            if most is not None and share > most:
                said.append(f"{text}, {share:.1%}")
        if said:
            raise UsageError(
                f"{'; '.join(said)}, and at most {most:.1%} may be missing"
                f"{f' of {what}' if what else ''}: extract them, or say --max-missing"
                " SHARE where that many are to be filled in"
            )
        if lacks and what is not None and demands.missing == "error":
            raise UsageError(
                f"{'; '.join(lacks)} of {what}. Say what to do with them: --missing mean and zero"
                " fill them in"
            )

    def _select(self, since: IdMap) -> None:
        self.every.finish()
        numbering, index = self.every.numbering, since.index()
        fresh = np.zeros(len(numbering), np.bool_)
        changed = np.zeros(len(numbering), np.bool_)
        before = [since.rows(one.label) for one in self.every.inputs]
        for at in range(numbering.batch_count):
            span = numbering.span(at)
            known, numbers = index.find(digest_keys(numbering.key_batch(at), numbering.keys))
            fresh[span] = ~known
            for old, new in zip(before, self.every.digests, strict=True):
                other = (old[numbers[known]] != new[span][known]).any(axis=1)
                changed[span.start + np.flatnonzero(known)[other]] = True
        fresh &= numbering.current
        changed &= numbering.current
        self._changes = int(np.count_nonzero(fresh)), int(np.count_nonzero(changed))
        self._written = fresh | changed
        some = numbering.select(self._written, self._folder.scratch())
        self._open.append(some)
        self.rows = AlignedRows(self._joined, some)

    def _gone(self) -> tuple[Kept | None, Changes | None]:
        demands, numbering = self._demands, self.every.numbering
        kept = changes = None
        listed: list[pa.Table] = []
        if demands.id_map is not None:
            rows = np.flatnonzero(~numbering.current)
            kept = Kept(
                earlier=len(demands.id_map),
                sha256=demands.id_map.sha256,
                new=len(numbering) - len(demands.id_map),
                gone=len(rows),
                gone_examples=tuple(numbering.keys_at(rows[:_EXAMPLES])),
            )
            listed += [
                _numbered(numbering.key_batch(at), span, ~numbering.current[span])
                for at in range(numbering.batch_count)
                if not numbering.current[(span := numbering.span(at))].all()
            ]
        if demands.since is not None:
            gone = list(self._gone_since(demands.since))
            table = pa.concat_tables(gone)
            examples = table.slice(0, _EXAMPLES).to_pylist()
            new, changed = self._changes
            current = int(np.count_nonzero(numbering.current))
            changes = Changes(
                sha256=demands.since.sha256,
                new=new,
                changed=changed,
                unchanged=current - new - changed,
                gone=table.num_rows,
                gone_examples=tuple(
                    tuple(row[name] for name in self._join.keys) for row in examples
                ),
            )
            if demands.id_map is None:
                listed += gone
        if any(one.num_rows for one in listed):
            self._write_gone(pa.concat_tables(listed))
        return kept, changes

    def _gone_since(self, since: IdMap) -> Iterator[pa.Table]:
        numbering = self.every.numbering
        here = DigestIndex()
        for at in range(numbering.batch_count):
            current = np.flatnonzero(numbering.current[numbering.span(at)])
            digests = digest_keys(numbering.key_batch(at), numbering.keys)[current]
            here.add(digests, np.zeros(len(digests), np.int64))
        yield _schema(numbering.keys).empty_table()
        start = 0
        for batch in since.key_batches():
            found, _ = here.find(digest_keys(batch, since.keys))
            yield _numbered(batch, slice(start, start + batch.num_rows), ~found)
            start += batch.num_rows

    def _write_gone(self, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        with self._folder.own(GONE) as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def _schema(keys: tuple[str, ...]) -> pa.Schema:
    return pa.schema([*key_fields(keys), pa.field(ROW, pa.int64(), nullable=False)])


def _numbered(keys: pa.RecordBatch, span: slice, kept: npt.NDArray[Any]) -> pa.Table:
    numbers = pa.array(np.arange(span.start, span.start + keys.num_rows))
    schema = _schema(tuple(keys.schema.names))
    table = pa.Table.from_arrays([*keys.columns, numbers], schema=schema)
    return table.filter(pa.array(kept))


def _shown(text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return repr(shown) if not text.isprintable() or not text else shown


__all__ = ["Alignment", "Demands"]
