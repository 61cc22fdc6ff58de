"""Imports one plugin, calls its hooks and holds what they return against the contract."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from ducho_core.catalogue import KEY_COLUMNS, SUBJECTS
from ducho_core.errors import ContractError, PluginError
from ducho_core.plugin_faults import hook_fault, import_attribute, needs_newer_core
from ducho_core.specs import (
    API_VERSION,
    EngineSpec,
    ExporterSpec,
    ExtractorSpec,
    FuserSpec,
    LoaderSpec,
    Modality,
    PluginSpec,
)

if TYPE_CHECKING:
    import pluggy

    from ducho_core.distributions import Claim

NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
"""What plugins and specs may be called."""

KINDS: dict[str, type[PluginSpec]] = {
    "loader": LoaderSpec,
    "extractor": ExtractorSpec,
    "fuser": FuserSpec,
    "exporter": ExporterSpec,
    "engine": EngineSpec,
}
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a plugin's hook, or with one spec that it returned.

    Attributes:
        kind: which hook: ``loader``, ``extractor``, ...
        name: the spec's name; None where the whole hook is meant.
        error: what is wrong.
    """

    kind: str
    name: str | None
    error: PluginError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """A plugin that is imported, and the specs that its hooks returned.

    Attributes:
        name: the plugin's name.
        distribution: the distribution that brings it.
        version: that distribution's version.
        problems: hooks that failed and specs that broke the contract; these are left out.
    """

    name: str
    distribution: str
    version: str
    loaders: tuple[LoaderSpec, ...] = ()
    extractors: tuple[ExtractorSpec, ...] = ()
    fusers: tuple[FuserSpec, ...] = ()
    exporters: tuple[ExporterSpec, ...] = ()
    engines: tuple[EngineSpec, ...] = ()
    problems: tuple[Problem, ...] = ()

    def specs(self, kind: str) -> tuple[PluginSpec, ...]:
        """The sound specs of one kind."""
        found: tuple[PluginSpec, ...] = getattr(self, f"{kind}s")
        return found


def load_plugin(claim: Claim) -> LoadedPlugin:
    """Import a plugin's module and collect its specs.

    Raises:
        PluginLoadError: the module cannot be imported.
        ContractError: it is no plugin module.
    """
    import pluggy

    from ducho_core import hookspecs

    who = f"plugin {claim.name!r}"
    target = f"{claim.module}:{claim.attribute}" if claim.attribute else claim.module
    module = import_attribute(claim, target, what=who)
    # A manager of its own, so that one plugin's hooks cannot stop another's.
    manager = pluggy.PluginManager("ducho")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, claim.name)
    except pluggy.PluginValidationError as error:
        why = " ".join(str(error).split())
        raise needs_newer_core(claim, f"{who} ({claim.origin})", why) from error
    specs: dict[str, Any] = {}
    problems: list[Problem] = []
    for kind in KINDS:
        returned, faults = _call(claim, manager, module, kind)
        specs[f"{kind}s"], wrong = _sound(claim, kind, returned)
        problems += faults + wrong
    return LoadedPlugin(
        name=claim.name,
        distribution=claim.distribution,
        version=claim.version,
        problems=tuple(problems),
        **specs,
    )


def _call(
    claim: Claim, manager: pluggy.PluginManager, module: Any, kind: str
) -> tuple[list[object], list[Problem]]:
    hook = f"ducho_{kind}s"
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls() and callable(getattr(module, hook, None)):
        error: PluginError = ContractError(
            f"plugin {claim.name!r} ({claim.origin}) is broken: its {hook} lacks @hookimpl"
        )
        return [], [Problem(kind, None, error)]
    found: list[object] = []
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for several in caller():
                if isinstance(several, PluginSpec) or not isinstance(several, Iterable):
                    error = _broken(
                        claim, f"{hook} returned {_shown(several)}, not a list of specs"
                    )
                    return [], [Problem(kind, None, error)]
                found += several
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - a hook is code that is not ours
        error = hook_fault(fault, claim, hook)
        error.__cause__ = fault
        return [], [Problem(kind, None, error)]
    return found, []


def _sound(
    claim: Claim, kind: str, returned: list[object]
) -> tuple[tuple[PluginSpec, ...], list[Problem]]:
    sound: list[PluginSpec] = []
    problems: list[Problem] = []
    names = [one.name for one in returned if isinstance(one, PluginSpec)]
    twice = {name for name in names if names.count(name) > 1}
    for name in sorted(twice):
        error = _broken(claim, f"ducho_{kind}s returned the name {name!r} twice")
        problems.append(Problem(kind, name, error))
    for spec in returned:
        if not isinstance(spec, KINDS[kind]):
            wanted = KINDS[kind].__name__
            error = _broken(claim, f"ducho_{kind}s returned {_shown(spec)}, not {wanted}")
            problems.append(Problem(kind, getattr(spec, "name", None), error))
        elif spec.name in twice:
            continue
        elif spec.api_version > API_VERSION:
            newer = needs_newer_core(
                claim,
                f"{kind} {claim.name}/{spec.name} ({claim.origin})",
                f"it has plugin API {spec.api_version}, this core {API_VERSION}",
            )
            problems.append(Problem(kind, spec.name, newer))
        elif fault := _fault(spec):
            error = _broken(claim, f"{kind} {spec.name!r}: {fault}")
            problems.append(Problem(kind, spec.name, error))
        else:
            sound.append(spec)
    return tuple(sound), problems


def _fault(spec: PluginSpec) -> str:
    """What is wrong with the fields of a spec, or nothing."""
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        return "a name is lower-case letters and digits, with - or _ between"
    if not isinstance(spec.summary, str) or not spec.summary or "\n" in spec.summary:
        return "its summary must be one line"
    targets = {
        "implementation": spec.implementation,
        "options": spec.options,
        "run_options": getattr(spec, "run_options", None),
        "models": getattr(spec, "models", None),
    }
    for field, target in targets.items():
        if target is None and field != "implementation":
            continue
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            return f"{field} must be an import string 'package.module:Class', not {target!r}"
    if isinstance(spec, LoaderSpec):
        return _loader_fault(spec)
    if isinstance(spec, ExtractorSpec):
        return _extractor_fault(spec)
    if isinstance(spec, FuserSpec | ExporterSpec):
        return _set_fault(spec)
    return ""


def _loader_fault(spec: LoaderSpec) -> str:
    for field in ("suffixes", "schemes"):
        if not isinstance(getattr(spec, field), tuple):
            return f"{field} must be a tuple"
    for suffix in spec.suffixes:
        if not suffix.startswith(".") or suffix != suffix.lower():
            return f"suffix {suffix!r} must be lower-case and begin with a dot"
    return ""


def _extractor_fault(spec: ExtractorSpec) -> str:
    known = get_args(Modality)
    inputs: object = spec.inputs
    if not isinstance(inputs, tuple) or not inputs or not set(inputs) <= set(known):
        return f"inputs must be a tuple of some of {', '.join(known)}, not {inputs!r}"
    if spec.default_precision not in ("exact", "fast", "native"):
        return f"default_precision {spec.default_precision!r} is none of exact, fast, native"
    for field in ("batch_size", "chunk_size", "numerics"):
        value = getattr(spec, field)
        if not isinstance(value, int) or value < 1:
            return f"{field} must be a whole number of at least 1, not {value!r}"
    return ""


def _set_fault(spec: FuserSpec | ExporterSpec) -> str:
    if isinstance(spec, FuserSpec) and spec.takes not in ("embedding", "text"):
        return f"takes must be embedding or text, not {spec.takes!r}"
    fewest = spec.fewest if isinstance(spec, FuserSpec) else 1
    for field in ("numerics", "fewest"):
        value = getattr(spec, field, 1)
        if not isinstance(value, int) or value < 1:
            return f"{field} must be a whole number of at least 1, not {value!r}"
    most: object = spec.most
    if most is not None and not (isinstance(most, int) and most >= fewest):
        return f"most must be None or a whole number of at least {fewest}, not {most!r}"
    keys: object = getattr(spec, "keys", ("item_id",))
    known = isinstance(keys, tuple) and set(keys) <= set(KEY_COLUMNS)
    if not known or set(SUBJECTS).isdisjoint(getattr(spec, "keys", SUBJECTS)):
        return f"keys must be a tuple of item_id and others of {KEY_COLUMNS}, not {keys!r}"
    return ""


def _broken(claim: Claim, what: str) -> ContractError:
    return ContractError(f"plugin {claim.name!r} ({claim.origin}) breaks the contract: {what}")


def _shown(value: object) -> str:
    if isinstance(value, PluginSpec):
        return f"{type(value).__name__} {value.name!r}"
    return f"{type(value).__name__} {str(value)[:60]!r}"
