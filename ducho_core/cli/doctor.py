"""What ``ducho plugins doctor`` finds: every part of every plugin, imported and checked."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_core import hooks, plugin_faults
from ducho_core.errors import OptionError, PluginError

if TYPE_CHECKING:
    from ducho_core.found import Found
    from ducho_core.registry import PluginRecord, Registry
    from ducho_core.specs import PluginSpec


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        message: what, in one line, with the remedy.
        remedy: what to do about it, often a command; None where that is not known.
        traceback: where it happened; empty where nothing was raised by the plugin.
    """

    message: str
    remedy: str | None
    traceback: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What is to be said of one plugin or command.

    Attributes:
        name: the plugin's name, or the command's after ``command``.
        distribution: who brings it.
        version: that distribution's version.
        state: ``ok``, ``broken``, ``disabled`` or ``collision``.
        offers: what of it is sound, as canonical names.
        faults: what is wrong.
        note: why it was not looked at, where it was not.
    """

    name: str
    distribution: str
    version: str
    state: str = "ok"
    offers: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def examine(registry: Registry, name: str | None) -> list[Report]:
    """Import and check every plugin, or one.

    Raises:
        PluginNotFoundError: there is no plugin of that name.
    """
    records = [one for one in registry.plugins() if name in (None, one.name)]
    if name is not None and not records:
        registry.load(name)
    return [_examine(registry, one) for one in records]


def examine_commands(*, no_plugins: bool) -> list[Report]:
    """Import and check the commands that distributions add."""
    from ducho_core.cli.commands import import_third_party, third_party

    reports: list[Report] = []
    for name, several in third_party(no_plugins=no_plugins).items():
        for claim in several:
            report = Report(
                name=f"command {name}", distribution=claim.distribution, version=claim.version
            )
            try:
                import_third_party(name, several)
            except PluginError as error:
                _add(report, error)
            reports.append(report)
    return reports


def examine_lists(*, no_plugins: bool) -> list[Report]:
    """Import and check the lists of recipes that distributions add."""
    from ducho_core.recipe_steps import added_lists, import_step

    reports: list[Report] = []
    for name, several in added_lists(no_plugins=no_plugins).items():
        for claim in several:
            report = Report(
                name=f"list {name} of recipes",
                distribution=claim.distribution,
                version=claim.version,
            )
            try:
                import_step(name, several)
            except PluginError as error:
                _add(report, error)
            reports.append(report)
    return reports


def as_text(report: Report) -> str:
    """A report for a person: one line, then what is wrong."""
    lines = [f"{report.name} ({report.distribution} {report.version}): {report.state}"]
    if report.offers:
        lines.append(f"  offers {', '.join(report.offers)}")
    if report.note:
        lines.append(f"  {report.note}")
    for fault in report.faults:
        lines.append(f"  {fault.message}")
        lines += [f"    {line}" for line in fault.traceback.splitlines()]
    return "\n".join(lines)


def _examine(registry: Registry, record: PluginRecord) -> Report:
    report = Report(name=record.name, distribution=record.distribution, version=record.version)
    if record.state == "disabled":
        report.state, report.note = "disabled", str(record.error)
        return report
    if record.state == "collision" and record.error is not None:
        _add(report, record.error)
        report.state = "collision"
        return report
    try:
        loaded = registry.load_sound(record.name)
        specs = registry.specs(record.name)
    except PluginError as error:
        _add(report, error)
        return report
    for problem in loaded.problems:
        _add(report, problem.error)
    for one in specs:
        faults = _faults_of(one)
        for fault in faults:
            _add(report, fault)
        if not faults:
            report.offers.append(one.canonical)
    return report


def _faults_of(found: Found[PluginSpec]) -> list[PluginError]:
    """What is wrong with a spec's classes; the same fault is told once."""
    faults: dict[str, PluginError] = {}
    steps = (
        found.options_type,
        found.run_options_type,
        found.import_implementation,
        found.known_models,
    )
    for step in steps:
        try:
            step()
        except PluginError as error:
            faults.setdefault(str(error), error)
    if not faults:
        try:
            _check_defaults(found)
        except PluginError as error:
            faults[str(error)] = error
    return list(faults.values())


def _check_defaults(found: Found[PluginSpec]) -> None:
    """Options at their defaults must survive the way through a SPEC."""
    from ducho_core.errors import ContractError
    from ducho_core.options import describe, restore_options, spec_options

    struct = found.options_type()
    if struct is None or any(one.required for one in describe(struct)):
        return
    try:
        defaults = struct()
        same = restore_options(struct, spec_options(defaults)) == defaults
    except (OptionError, TypeError, ValueError) as error:
        raise ContractError(
            f"{found.canonical}: the defaults of its options are not allowed: {error}"
        ) from error
    if not same:
        raise ContractError(f"{found.canonical}: the defaults of its options do not round-trip")


def _add(report: Report, error: PluginError) -> None:
    report.state = "broken"
    trace = "" if error.__cause__ is None else _trace(error.__cause__)
    report.faults.append(Fault(str(error), error.remedy, trace))


def _trace(error: BaseException) -> str:
    """A traceback without the frames of the machinery that imports and calls plugins."""
    whole = traceback.TracebackException.from_exception(error)
    ours = (plugin_faults.__file__, hooks.__file__, importlib.__file__)
    whole.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in whole.stack
            if frame.filename not in ours and not frame.filename.startswith("<frozen importlib")
        ]
    )
    return "".join(whole.format()).rstrip()
