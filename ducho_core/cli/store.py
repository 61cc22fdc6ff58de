"""``ducho store``: what the store holds, and whether it is intact."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ducho_core.cli.output import emit, emit_json, say, table
from ducho_core.cli.shown import shown

if TYPE_CHECKING:
    from ducho_core.store import FeatureSet, SetInfo
    from ducho_core.store.problems import Problem

NO_STORE = 10
"""Exit code of ``verify`` where there is no store."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options(command: _Command) -> _Command:
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    return click.option(
        "--store", "folder", default="features", show_default=True, help="The store's folder."
    )(command)


@click.group()
def store() -> None:
    """Look into a feature store."""


@store.command("ls")
@_options
def ls(folder: str, *, as_json: bool) -> None:
    """List the feature sets."""
    from ducho_core.errors import CorruptionError
    from ducho_core.store import Store, layout

    opened = Store(folder)
    sets: list[SetInfo] = []
    damaged: list[tuple[str, str]] = []
    for path in layout.set_folders(opened.path):
        try:
            sets.append(opened.info(path))
        except CorruptionError as error:
            damaged.append((path.name, str(error)))
    if as_json:
        emit_json([_as_dict(one) for one in sets])
    elif sets or damaged:
        rows = [
            [
                ", ".join(one.names) or "-",
                one.path.name,
                one.catalogue if not one.revision else f"{one.catalogue}@{one.revision}",
                one.inputs,
                f"{one.rows:,}",
                ", ".join(str(dim) for dim in one.outputs.values() if dim) or "-",
                f"{one.failed:,}",
                f"{one.absent:,}",
                _state(one),
                _size(one.bytes),
            ]
            for one in sets
        ]
        rows += [["", name, "", "", "", "", "", "", "damaged", ""] for name, _why in damaged]
        headers = ["name", "set", "catalogue", "inputs", "rows", "dims", "failed", "absent"]
        emit(table([*headers, "state", "size"], rows))
    else:
        say(f"{folder} holds no feature set yet")
    for name, why in damaged:
        say(f"{name}: {why}")


@store.command("show")
@click.argument("feature_set", metavar="SET")
@_options
def show(feature_set: str, folder: str, *, as_json: bool) -> None:
    """Show how SET was made, what it holds and how to open it."""
    from ducho_core.store import Store
    from ducho_core.store.spec import settings_sha256

    opened = Store(folder)
    features = opened.open(feature_set)
    info = opened.info(features.path)
    counts = _reasons(features)
    glob = _glob(features)
    if as_json:
        emit_json(
            {
                **_as_dict(info),
                "settings_sha256": settings_sha256(features.spec),
                "spec": features.spec,
                "failures": [
                    {"status": status, "code": code, "count": count}
                    for (status, code), count in counts
                ],
                "runs": features.runs(),
                "data": glob,
            }
        )
        return
    emit(f"{info.path.name}")
    _pairs(
        {
            "names": ", ".join(info.names) or "none",
            "fingerprint": info.fingerprint,
            "settings": settings_sha256(features.spec),
            "rows": f"{info.rows:,} ({_size(info.bytes)})",
            "state": _state(info),
            "failed": f"{info.failed:,}",
            "absent": f"{info.absent:,}",
            "withdrawn": f"{info.withdrawn:,}",
        }
    )
    emit("\nhow it was made")
    _pairs(_flat(features.spec))
    if counts:
        emit("\nkeys without a row")
        lines = [[status, code, f"{count:,}"] for (status, code), count in counts]
        emit(table(["status", "code", "keys"], lines))
    runs = [one for one in features.runs() if one["stage"] == "start"]
    if runs:
        emit(f"\nruns: {', '.join(one['run'] for one in runs)}")
    emit(f"\nfiles: {glob}")
    emit("open it with one of")
    emit(f"  pandas.read_parquet({str(features.path / 'data')!r})")
    emit(f"  duckdb.read_parquet({glob!r})")
    emit(f"  ducho_core.Store({folder!r}).open({feature_set!r})")


@store.command("path")
@click.argument("feature_set", metavar="SET")
@click.option("--folder", "only_folder", is_flag=True, help="The set's folder instead.")
@_options
def path(feature_set: str, folder: str, *, only_folder: bool, as_json: bool) -> None:
    """Print where SET's Parquet files are, for pandas, polars, DuckDB or Spark."""
    from ducho_core.store import Store

    located, _output = Store(folder).locate(feature_set)
    glob = os.path.join(located, "data", "*.parquet")
    if as_json:
        emit_json({"set": located.name, "folder": str(located), "data": glob})
    else:
        emit(str(located) if only_folder else glob)


@store.command("failures")
@click.argument("feature_set", metavar="SET")
@click.option("--code", help="Only those with this reason.")
@click.option("--kind", type=click.Choice(["failed", "absent", "withdrawn"]), help="Only these.")
@_options
def failures(
    feature_set: str, code: str | None, kind: str | None, folder: str, *, as_json: bool
) -> None:
    """List the keys of SET that have no row, and why."""
    from ducho_core.store import Store

    features = Store(folder).open(feature_set)
    rows = features.failures(kind).to_pylist()
    if code is not None:
        rows = [row for row in rows if row["code"] == code]
    if as_json:
        for row in rows:
            digest = row["input_sha256"]
            row["input_sha256"] = None if digest is None else digest.hex()
        emit_json(rows)
        return
    if not rows:
        say(f"{features.name} has no such keys")
        return
    columns = [*features.keys, "status", "stage", "code", "message"]
    emit(table(columns, [[shown(row[name], 300) for name in columns] for row in rows]))


@store.command("verify")
@click.argument("feature_sets", metavar="[SET]...", nargs=-1)
@click.option("--read-data", is_flag=True, help="Read every byte and check it.")
@_options
def verify(feature_sets: tuple[str, ...], folder: str, *, read_data: bool, as_json: bool) -> None:
    """Check that everything committed is there and intact.

    Exit codes: 0 intact, 1 damage found, 10 no store. Chunks still to be extracted are no
    damage.
    """
    from ducho_core.store import Store, layout
    from ducho_core.store.verify import verify_set, verify_store

    if not layout.is_store(folder):
        say(f"Error: {folder} is no feature store (it has no {layout.STORE_FILE})")
        sys.exit(NO_STORE)
    opened = Store(folder)
    if feature_sets:
        above: list[Problem] = []
        folders = [opened.locate(name)[0] for name in feature_sets]
    else:
        above = verify_store(opened)
        folders = list(layout.set_folders(opened.path))
    checked = [verify_set(opened.path, each, read_data=read_data) for each in folders]
    problems = [*above, *(problem for one in checked for problem in one.problems)]
    if as_json:
        sets = [
            {
                "set": one.set,
                "rows": one.rows,
                "chunks": one.chunks,
                "pending": one.pending,
                "problems": len(one.problems),
            }
            for one in checked
        ]
        emit_json({"sets": sets, "problems": [problem.as_dict() for problem in problems]})
    else:
        for one in checked:
            found = f"{len(one.problems)} problems" if one.problems else "intact"
            left = f", {one.pending} chunks still to extract" if one.pending else ""
            emit(f"{one.set}: {one.rows:,} rows in {one.chunks} chunks{left}: {found}")
        for problem in problems:
            _emit_problem(problem)
    if problems:
        sys.exit(1)


def _emit_problem(problem: Problem) -> None:
    emit(f"\n{problem.file}: {problem.kind}: {shown(problem.message, 300)}")
    if problem.keys_affected:
        first = ", ".join(shown(key, 40) for key in problem.examples)
        more = ", …" if problem.keys_affected > len(problem.examples) else ""
        emit(f"  keys affected: {problem.keys_affected:,} ({first}{more})")
    emit(f"  what to do: {problem.action}")


def _as_dict(info: SetInfo) -> dict[str, Any]:
    return {
        "names": list(info.names),
        "set": info.path.name,
        "slug": info.slug,
        "fingerprint": info.fingerprint,
        "catalogue": info.catalogue,
        "revision": info.revision,
        "inputs": info.inputs,
        "keys": list(info.keys),
        "outputs": dict(info.outputs),
        "rows": info.rows,
        "failed": info.failed,
        "absent": info.absent,
        "withdrawn": info.withdrawn,
        "planned": info.planned,
        "pending_chunks": info.pending,
        "complete": info.complete,
        "bytes": info.bytes,
        "path": str(info.path),
    }


def _reasons(features: FeatureSet) -> list[tuple[tuple[str, str], int]]:
    rows = features.failures()
    pairs = zip(rows["status"].to_pylist(), rows["code"].to_pylist(), strict=True)
    return Counter(pairs).most_common()


def _glob(features: FeatureSet) -> str:
    return str(features.path / "data" / "*.parquet")


def _state(info: SetInfo) -> str:
    if info.complete:
        return "complete"
    return f"partial, {info.pending} chunks to go" if info.planned else "empty"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _pairs(pairs: dict[str, str]) -> None:
    width = max(map(len, pairs))
    for name, value in pairs.items():
        emit(f"  {name:<{width}}  {value}")


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names."""
    if isinstance(value, dict) and value:
        lines: dict[str, str] = {}
        for name in sorted(value):
            lines.update(_flat(value[name], f"{prefix}.{name}" if prefix else name))
        return lines
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        lines = {}
        for at, one in enumerate(value):
            label = one.get("name", at) if isinstance(one, dict) else at
            lines.update(_flat(one, f"{prefix}[{label}]"))
        return lines
    from ducho_core.store.spec import canonical_json

    text = value if isinstance(value, str) and value else canonical_json(value).decode()
    return {prefix: shown(text, 200)}
