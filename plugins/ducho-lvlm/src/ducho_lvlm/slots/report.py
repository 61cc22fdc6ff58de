"""What became of the descriptions, in numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load as load_tensors

from ducho_core import StoreError, UsageError
from ducho_lvlm.slots.mapping import Cluster, SlotMapping, load, slot_word
from ducho_lvlm.slots.request import FUSER

if TYPE_CHECKING:
    from ducho_core import FeatureSet

_FIT = "fuser."
_OUTPUT = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSummary:
    """One slot of a set.

    Attributes:
        slot: the text output's name.
        values: distinct values that the mapping knows.
        clusters: those that have a column.
        counts: rows of the set in each of these columns.
        more: clusters that have none.
        other: rows with another value.
        missing: rows without a value.
        rows: rows of the set.
    """

    slot: str
    values: int
    clusters: tuple[Cluster, ...]
    counts: tuple[int, ...]
    more: int
    other: int
    missing: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A whole set.

    Attributes:
        name: how to call it.
        path: its folder, relative to the store.
        columns: names of the numbers of a vector, in order.
        slots: slot by slot.
        rows: rows of the set.
        nothing: rows that have no value in any slot.
        report: what the fusion did.
    """

    name: str
    path: str
    columns: tuple[str, ...]
    slots: tuple[SlotSummary, ...]
    rows: int
    nothing: int
    report: Any

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **self.report.as_dict(),
            "columns": list(self.columns),
            "without_any_value": self.nothing,
            "slots": [
                {
                    "slot": one.slot,
                    "rows": one.rows,
                    "values": one.values,
                    "other": one.other,
                    "missing": one.missing,
                    "clusters_without_column": one.more,
                    "clusters": [
                        {"value": each.value, "rows": count, "members": list(each.members)}
                        for each, count in zip(one.clusters, one.counts, strict=True)
                    ],
                }
                for one in self.slots
            ],
        }


def read_mappings(features: FeatureSet) -> tuple[SlotMapping, ...]:
    """The clusters of a set that ``lvlm/slots`` made, from its ``fit`` folder.

    Raises:
        UsageError: it was not made by ``lvlm/slots``.
        StoreError: the file is missing or damaged.
    """
    if features.spec.get("fuser", {}).get("name") != FUSER:
        raise UsageError(f"{features.name} was not made by `ducho lvlm slots`")
    path = features.path / "fit" / "state.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != features.spec["derived"]["fit"]:
        raise StoreError(f"{path} is damaged: restore it from a copy")
    state = {
        name.removeprefix(_FIT): array
        for name, array in load_tensors(content).items()
        if name.startswith(_FIT)
    }
    return load(state)[0]


def column_names(features: FeatureSet) -> tuple[str, ...]:
    """Names of the numbers in a vector of a set that ``lvlm/slots`` made, in order."""
    return tuple(name for one in _columns(features, read_mappings(features)) for name in one)


def summarize(features: FeatureSet, report: Any) -> Summary:
    """Count what the rows of a set hold.

    Args:
        features: a set that ``lvlm/slots`` made.
        report: what the fusion that made it did.
    """
    mappings = read_mappings(features)
    columns = _columns(features, mappings)
    names = [name for each in columns for name in each]
    totals = np.zeros(len(names), np.int64)
    flagged = features.spec["options"]["flag_missing"]
    said = [at < len(each) - int(flagged) for each in columns for at in range(len(each))]
    rows = nothing = 0
    for batch in features.batches(features.value_columns(_OUTPUT)):
        values = features.values(batch, _OUTPUT) > 0
        totals += values.sum(axis=0)
        nothing += int((~values[:, said].any(axis=1)).sum())
        rows += len(values)
    summaries = []
    start = 0
    for mapping, each in zip(mappings, columns, strict=True):
        counts = totals[start : start + len(each)].tolist()
        start += len(each)
        shown = len(each) - 1 - int(flagged)
        summaries.append(
            SlotSummary(
                slot=mapping.slot,
                values=len(mapping.numbers()),
                clusters=mapping.clusters[:shown],
                counts=tuple(counts[:shown]),
                more=len(mapping.clusters) - shown,
                other=counts[shown],
                missing=rows - sum(counts[: shown + 1]),
                rows=rows,
            )
        )
    return Summary(
        name=report.name,
        path=report.path,
        columns=tuple(names),
        slots=tuple(summaries),
        rows=rows,
        nothing=nothing,
        report=report,
    )


def as_text(summary: Summary, show: int) -> str:
    """A summary for a person.

    Args:
        summary: what to tell.
        show: clusters to list of each slot.
    """
    report = summary.report
    done = (
        f"{report.stored} stored of {report.rows} in {report.seconds:.1f} s"
        if report.stored or report.failed
        else f"nothing to do, {report.skipped} stored before"
    )
    lines = [
        f"{summary.name}: {done}",
        f"  makes     {len(summary.columns)} columns of {len(summary.slots)} slots",
        f"  covers    {summary.rows - summary.nothing} of {summary.rows} items have a value",
        f"  mapping   {report.fit[:12]}…{', reused' * report.fit_reused}",
        f"  set       {summary.path}",
    ]
    for one in summary.slots:
        word = "cluster" if one.more == 1 else "clusters"
        more = f" and {one.more} {word} without one" if one.more else ""
        head = f"{slot_word(one.slot)}: {one.values} values in {len(one.clusters)} columns{more}"
        missing, other = _share(one.missing, one.rows), _share(one.other, one.rows)
        lines += ["", f"{head}; missing {missing}, other {other}"]
        pairs = list(zip(one.clusters, one.counts, strict=True))
        pairs.sort(key=lambda pair: -pair[1])
        width = max((len(_short(each.value)) for each, _count in pairs[:show]), default=0)
        for each, count in pairs[:show]:
            rest = [value for value in each.members if value != each.value]
            said = ", ".join(map(_short, rest[:6])) + (f", … ({len(rest)})" if rest[6:] else "")
            lines.append(
                f"  {_short(each.value):<{width}}  {_share(count, one.rows):>6}  {said}".rstrip()
            )
        if len(pairs) > show:
            lines.append(f"  … {len(pairs) - show} more columns: --show {len(pairs)}")
    return "\n".join(lines)


def _columns(features: FeatureSet, mappings: tuple[SlotMapping, ...]) -> list[list[str]]:
    options = features.spec["options"]
    return [one.columns(options["top"], flag_missing=options["flag_missing"]) for one in mappings]


def _share(count: int, rows: int) -> str:
    return f"{100 * count / rows:.1f}%" if rows else "-"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
