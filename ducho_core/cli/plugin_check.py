"""What ``ducho plugins check`` does: the conformance kit without pytest."""

from __future__ import annotations

import tempfile
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.cli.output import emit, emit_json, say
from ducho_core.cli.plugin_view import select
from ducho_core.errors import UsageError
from ducho_core.hooks import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ducho_core.found import Found
    from ducho_core.registry import Registry
    from ducho_core.testing.part_case import PartCase
    from ducho_core.testing.running import Outcome

_WIDTH = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user wants checked, and how.

    Attributes:
        name: PLUGIN or PLUGIN/NAME.
        options: ``key=value`` texts.
        pattern: which checks; all where empty.
        expected: ``CHECK=REASON`` texts of failures that are expected.
        inputs: modalities to bind; all that an extractor takes where empty.
        source: what a loader opens; the kit's own catalogue where None.
        precision: exact, fast or native; the extractor's default where None.
        tolerance: how far numbers may lie apart; the kit's default where None.
    """

    name: str
    options: Sequence[str] = ()
    pattern: str = ""
    expected: Sequence[str] = ()
    inputs: Sequence[str] = ()
    source: str | None = None
    precision: str | None = None
    tolerance: float | None = None


def check_plugin(registry: Registry, wanted: Wanted, *, as_json: bool) -> bool:
    """Check one part of a plugin, or all of them, and print a line a check.

    Returns:
        Whether every check passed, was skipped or failed as expected. Parts that need an option
        or a source to be checked are said on stderr where they are not asked for by name.

    Raises:
        PluginError: there is no such plugin, or it cannot be used.
        UsageError: the options do not fit, or no check is called so.
    """
    found, problems = select(registry, wanted.name)
    for problem in problems:
        say(str(problem.error))
    sound = not problems
    names = _names(found)
    expected = _expected(wanted.expected, names)
    reports: list[dict[str, Any]] = []
    checked = 0
    for part in found:
        outcomes: list[Outcome] = []
        with tempfile.TemporaryDirectory(prefix="ducho-check-") as folder:
            try:
                case = _case(registry, part, wanted, Path(folder))
            except UsageError as error:
                if len(found) == 1:
                    raise
                say(f"{part.canonical} was not checked: {error}")
                continue
            if case is None:
                continue
            for outcome in _outcomes(case, wanted.pattern, expected):
                if not as_json and not outcomes:
                    emit(f"{part.canonical}  {case.kind}, {part.distribution} {part.version}")
                if not as_json:
                    emit(_as_text(outcome))
                outcomes.append(outcome)
        checked += len(outcomes)
        sound &= all(one.state != "failed" for one in outcomes)
        reports.append({"name": part.canonical, "checks": [asdict(one) for one in outcomes]})
    if not checked and sound:
        raise UsageError(_nothing(wanted, names))
    if as_json:
        emit_json(reports)
    return sound


def _outcomes(case: PartCase, pattern: str, expected: dict[str, str]) -> Iterator[Outcome]:
    from ducho_core.testing.running import run_checks

    try:
        yield from run_checks(case, pattern, expected)
    finally:
        case.close()


def _case(registry: Registry, part: Found[Any], wanted: Wanted, folder: Path) -> PartCase | None:
    """What the checks are held against; None where there are none for such a part."""
    from ducho_core.testing.exporter_case import ExporterCase
    from ducho_core.testing.extractor_case import TOLERANCE, ExtractorCase
    from ducho_core.testing.fuser_case import TOLERANCE as FUSER_TOLERANCE
    from ducho_core.testing.fuser_case import FuserCase
    from ducho_core.testing.loader_case import LoaderCase

    kind = _kind(part)
    options = dict(_pair("-o", text) for text in wanted.options)
    if kind == "extractor":
        case = ExtractorCase(
            part.canonical,
            options,
            inputs=wanted.inputs or None,
            precision=wanted.precision,
            tolerance=TOLERANCE if wanted.tolerance is None else wanted.tolerance,
            registry=registry,
        )
        return _opened(case)
    if kind == "loader":
        source = wanted.source or _drawn(part, folder)
        return LoaderCase(part.canonical, source, options, registry=registry)
    if kind == "fuser":
        tolerance = FUSER_TOLERANCE if wanted.tolerance is None else wanted.tolerance
        return _opened(FuserCase(part.canonical, options, tolerance=tolerance, registry=registry))
    if kind == "exporter":
        return _opened(ExporterCase(part.canonical, options, registry=registry))
    if wanted.name == part.canonical:
        raise UsageError(f"{part.canonical} is an {kind}, and there are no checks for one")
    return None


def _opened(case: Any) -> PartCase:
    """The case, once it is known that the user has given it what it needs.

    Raises:
        UsageError: something is missing, such as a model; said once and not by each check.
    """
    try:
        _ = case.resolved if case.kind == "extractor" else case.open()
    except UsageError:
        raise
    except Exception:  # noqa: BLE001, S110 - the checks say what else is wrong with it
        pass
    opened: PartCase = case
    return opened


def _drawn(part: Found[Any], folder: Path) -> str:
    """A source for a loader that reads folders or tables.

    Raises:
        UsageError: it reads something else.
    """
    from ducho_core.testing.catalogue import draw_catalogue

    if part.spec.directories:
        return str(draw_catalogue(folder).folder / "sounds")
    if ".tsv" in part.spec.suffixes:
        table = folder / "items.tsv"
        lines = ("item_id\ttext", *(f"{at:03}\ta text {at}" for at in range(20)), "020\t")
        table.write_text("\n".join(lines) + "\n", "utf-8")
        return str(table)
    raise UsageError(f"{part.canonical} needs something to read: give --source PATH")


def _kind(part: Found[Any]) -> str:
    return next(kind for kind, spec in KINDS.items() if isinstance(part.spec, spec))


def _names(parts: Sequence[Found[Any]]) -> list[str]:
    """Names of all checks that there are for some parts, in order."""
    from ducho_core.testing.checks import all_checks

    kinds = dict.fromkeys(_kind(part) for part in parts)
    return list(
        dict.fromkeys(name for kind in kinds if kind != "engine" for name in all_checks(kind))
    )


def _expected(texts: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    from ducho_core.loaders.suggest import did_you_mean

    expected = dict(_pair("--expect", text) for text in texts)
    for name in expected:
        if name not in names:
            raise UsageError(
                f"--expect: no check is called {name!r}{did_you_mean(name, names)}; there are"
                f" {', '.join(names)}"
            )
    return expected


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{flag} is written {flag} NAME=VALUE, not {text!r}")
    return name.strip(), value


def _nothing(wanted: Wanted, names: Sequence[str]) -> str:
    if not wanted.pattern:
        return f"{wanted.name} offers nothing that could be checked"
    return f"no check is called like {wanted.pattern!r}; there are {', '.join(names)}"


def _as_text(outcome: Outcome) -> str:
    line = f"  {outcome.state:<9}{outcome.name}"
    if not outcome.reason:
        return line
    told = outcome.reason if outcome.state != "failed" else f"{outcome.rule}: {outcome.reason}"
    wrapped = textwrap.fill(
        told, _WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 11, break_long_words=False
    )
    return f"{line}\n{wrapped}"
