"""The check of a whole run: items out of a table, through the core's pipeline, into a store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ducho_core.extraction.session import extract
from ducho_core.media import Media
from ducho_core.store import Store
from ducho_core.testing.checks import check, expect
from ducho_core.testing.comparing import expect_same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_core.extraction.report import Report
    from ducho_core.extractor import Column, InputValue, Output
    from ducho_core.store import FeatureSet
    from ducho_core.testing.extractor_case import ExtractorCase, Group


@check(
    "a run stores these numbers, loses no item, and has nothing to do the next time", "extractor"
)
def works_in_a_run(case: ExtractorCase) -> None:
    """All items, sound and broken, with the core's own threads, batches and store."""
    with tempfile.TemporaryDirectory(prefix="ducho-check-") as name:
        folder = Path(name)
        table = _table(case, folder / "items.parquet")
        reports = _run(case, table, folder / "features")
        expect(
            len(reports) == len(case.groups),
            f"a run makes {len(reports)} feature sets, expected are {len(case.groups)}",
        )
        store = Store(folder / "features")
        for group, report in zip(case.groups, reports, strict=True):
            _expect_stored(case, group, report, store.open(report.name))
        for report in _run(case, table, folder / "features"):
            expect(
                not report.rows and not report.loaded,
                f"the same run again has {report.rows} items to do; does resolve find the same"
                " every time?",
            )


def _run(case: ExtractorCase, table: Path, store: Path) -> list[Report]:
    named = [one.name for one in case.fields if one.modality == "text"]
    texts = [] if named in ([], ["text"]) else [f"{name}={name}" for name in named]
    return extract(
        table,
        case.name,
        store=store,
        registry=case.registry,
        options=case.given,
        precision=case.precision,
        text=texts,
    )


def _table(case: ExtractorCase, path: Path) -> Path:
    """A table of the items and then the broken ones, files inside."""
    items = [*case.items, *case.broken.values()]
    columns: dict[str, Any] = {"item_id": [_key(at) for at in range(len(items))]}
    for one in case.fields:
        kind = pa.string() if one.modality == "text" else pa.binary()
        columns[one.name] = pa.array([_content(item[one.name]) for item in items], kind)
    pq.write_table(pa.table(columns), path)
    return path


def _expect_stored(
    case: ExtractorCase, group: Group, report: Report, features: FeatureSet
) -> None:
    total = len(case.items) + len(case.broken)
    told = report.stored + report.absent + sum(report.failed.values())
    expect(
        not report.left and told == total,
        f"of {total} items ({group.label}) {told} were dealt with: {report.stored} stored,"
        f" {sum(report.failed.values())} failed, {report.absent} absent;"
        f" {', '.join(report.left) or 'none'} left",
    )
    rows = {row["item_id"]: row for batch in features.batches() for row in batch.to_pylist()}
    lost = [at for at in range(len(case.items)) if _key(at) not in rows]
    expect(
        not lost,
        f"sound items ({group.label}) are not stored, such as item {lost[0] if lost else ''}:"
        f" {report.examples[:1]}",
    )
    stored: Mapping[str, Column] = {
        one.name: _column([rows[_key(at)][one.name] for at in range(len(case.items))], one)
        for one in group.outputs
    }
    expect_same(
        stored, case.numbers(group), group.outputs, case.tolerance, f"stored ({group.label})"
    )


def _column(values: list[Any], output: Output) -> Column:
    return np.asarray(values, np.float32) if output.kind == "embedding" else values


def _key(at: int) -> str:
    return f"i{at:04}"


def _content(value: InputValue) -> str | bytes:
    return value.bytes if isinstance(value, Media) else value
