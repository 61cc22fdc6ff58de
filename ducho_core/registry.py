"""Finds, loads and isolates plugins, and says what each offers.

Finding reads metadata only. A plugin is imported when something of it is asked for, and its
implementation when that is used; whatever is wrong with one leaves the others alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ducho_core.distributions import PLUGIN_GROUP, claims
from ducho_core.errors import (
    ContractError,
    PluginError,
    PluginNotFoundError,
    SourceError,
    UsageError,
)
from ducho_core.found import Found
from ducho_core.hooks import KINDS, LoadedPlugin, load_plugin
from ducho_core.loader_choice import takers
from ducho_core.plugin_records import (
    PluginRecord,
    core_first,
    nearest,
    record_of,
    unknown_plugin,
)
from ducho_core.switches import BUILT_IN, VARIABLES, listed, switched_off

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ducho_core.distributions import Claim
    from ducho_core.specs import (
        EngineSpec,
        ExporterSpec,
        ExtractorSpec,
        FuserSpec,
        LoaderSpec,
        PluginSpec,
    )

__all__ = ["Found", "LoadedPlugin", "PluginRecord", "Registry"]


class Registry:
    """All plugins at hand."""

    def __init__(
        self,
        found: Sequence[Claim],
        *,
        disabled: Callable[[str], str | None] = lambda _: None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Take in entry points; ``discover`` finds them.

        Args:
            found: entry points of group ``ducho``.
            disabled: says for a plugin's name by what the user switched it off, or None.
            warn: is told in one line of each plugin that had to be passed over.
        """
        self._warn = warn
        self._warned: set[str] = set()
        self._loaded: dict[str, LoadedPlugin] = {}
        self._claims: dict[str, list[Claim]] = {}
        self._records: dict[str, list[PluginRecord]] = {}
        for claim in core_first(found):
            self._claims.setdefault(claim.name, []).append(claim)
        for name, several in self._claims.items():
            self._records[name] = [record_of(claim, several, disabled(name)) for claim in several]

    @classmethod
    def discover(
        cls,
        *,
        no_plugins: bool = False,
        env: Mapping[str, str] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> Registry:
        """Find the installed plugins from metadata; imports none.

        Args:
            no_plugins: leave only the built-in one.
            env: where ``DUCHO_PLUGINS`` (only these and the built-in one) and
                ``DUCHO_DISABLE_PLUGINS`` are read; the process's environment by default.
            warn: is told in one line of each plugin that had to be passed over.
        """
        env = os.environ if env is None else env
        found = claims(PLUGIN_GROUP)
        names = sorted({BUILT_IN, *(claim.name for claim in found)})
        if warn is not None:
            for variable in VARIABLES:
                for name in listed(env, variable):
                    if name not in names:
                        warn(f"{variable} names {name!r}: {unknown_plugin(name, names)}")
        return cls(
            found, disabled=lambda name: switched_off(name, env, no_plugins=no_plugins), warn=warn
        )

    def plugins(self) -> list[PluginRecord]:
        """One record per claim, by name; where two distributions claim a name, both."""
        return [replace(one) for name in sorted(self._records) for one in self._records[name]]

    def load(self, name: str) -> LoadedPlugin:
        """Import a plugin and collect its specs.

        Raises:
            PluginNotFoundError: it is not installed, or the user switched it off.
            PluginCollisionError: two distributions claim the name.
            PluginLoadError: it, or one of its hooks, fails.
            ContractError: its hooks return what they may not.
        """
        loaded = self.load_sound(name)
        if loaded.problems:
            raise loaded.problems[0].error
        return loaded

    def load_sound(self, name: str) -> LoadedPlugin:
        """As ``load``, but what is wrong with single specs or hooks is left in ``problems``."""
        if name in self._loaded:
            return self._loaded[name]
        records = self._records.get(name)
        if records is None:
            raise PluginNotFoundError(self._no_plugin(name))
        if records[0].error is not None:
            raise records[0].error
        try:
            loaded = load_plugin(self._claims[name][0])
        except PluginError as error:
            records[0].state, records[0].error = "broken", error
            raise
        self._loaded[name] = loaded
        records[0].state = "loaded"
        if loaded.problems:
            records[0].state, records[0].error = "broken", loaded.problems[0].error
        return loaded

    def specs(self, name: str) -> list[Found[PluginSpec]]:
        """All sound specs of one plugin, loaders first. Raises as ``load`` does."""
        loaded = self.load_sound(name)
        return [self._found(name, spec) for kind in KINDS for spec in loaded.specs(kind)]

    def extractor(self, name: str) -> Found[ExtractorSpec]:
        """An extractor by ``PLUGIN/NAME``, or a plugin's default one by ``PLUGIN``.

        Raises:
            PluginNotFoundError: there is none of that name.
            PluginError: the plugin that should have it cannot be used.
        """
        plugin, slash, spec_name = name.partition("/")
        if plugin not in self._records:
            raise PluginNotFoundError(self._no_plugin(name))
        if slash:
            return cast("Found[ExtractorSpec]", self._in_plugin("extractor", plugin, spec_name))
        loaded = self.load_sound(plugin)
        every = loaded.extractors
        chosen = every if len(every) == 1 else tuple(one for one in every if one.default)
        if len(chosen) == 1:
            return cast("Found[ExtractorSpec]", self._found(plugin, chosen[0]))
        for problem in loaded.problems:
            if problem.kind == "extractor":
                raise problem.error
        if not every:
            raise PluginNotFoundError(
                f"plugin {plugin!r} ({self._claims[plugin][0].origin}) has no extractor;"
                f" `ducho plugins show {plugin}` says what it has"
            )
        if len(chosen) > 1:
            marked = ", ".join(f"{plugin}/{one.name}" for one in chosen)
            raise ContractError(
                f"plugin {plugin!r} ({self._claims[plugin][0].origin}) marks several extractors as"
                f" its default: {marked}; name one of them in full"
            )
        options = ", ".join(f"{plugin}/{one.name}" for one in every)
        raise UsageError(f"plugin {plugin!r} has several extractors; name one of: {options}")

    def loader(self, name: str) -> Found[LoaderSpec]:
        """A loader by ``PLUGIN/NAME``, or by NAME where exactly one plugin has it."""
        return cast("Found[LoaderSpec]", self._by_name("loader", name))

    def fuser(self, name: str) -> Found[FuserSpec]:
        """A fuser by ``PLUGIN/NAME``, or by NAME where exactly one plugin has it."""
        return cast("Found[FuserSpec]", self._by_name("fuser", name))

    def exporter(self, name: str) -> Found[ExporterSpec]:
        """An exporter by ``PLUGIN/NAME``, or by NAME where exactly one plugin has it."""
        return cast("Found[ExporterSpec]", self._by_name("exporter", name))

    def engine(self, name: str) -> Found[EngineSpec]:
        """An engine by ``PLUGIN/NAME``, or by NAME where exactly one plugin has it."""
        return cast("Found[EngineSpec]", self._by_name("engine", name))

    def loader_for(self, source: str) -> Found[LoaderSpec]:
        """The loader that reads a source: by scheme (``set:``), as a folder, or by suffix.

        Plugins are imported only where no built-in loader takes the source.

        Raises:
            UsageError: several loaders take it, or none takes a file with this suffix.
            SourceError: there is no such file or folder.
        """
        loaders: list[Found[LoaderSpec]] = []
        for names in ([BUILT_IN], [name for name in self._usable() if name != BUILT_IN]):
            fresh = cast("list[Found[LoaderSpec]]", self._every("loader", names))
            loaders += fresh
            willing = takers(source, fresh)
            if len(willing) > 1:
                options = " or ".join(f"--loader {one.canonical}" for one in willing)
                raise UsageError(f"several loaders read {source!r}: say {options}")
            if willing:
                return willing[0]
        if not os.path.exists(source):
            raise SourceError(f"there is no file or folder {source!r}")
        known = sorted({suffix for one in loaders for suffix in one.spec.suffixes})
        raise UsageError(
            f"no loader reads {source!r}: the suffixes known are {', '.join(known)}; where it is"
            f" one of these by content, rename it or say --loader core/table{self._passed_over()}"
        )

    def missing_spec(self, plugin: str, name: str, kind: str = "") -> PluginNotFoundError:
        """The error that says what a plugin has instead of a spec that it lacks.

        Args:
            plugin: the plugin, which loads.
            name: what was asked for.
            kind: ``loader``, ``extractor``, ...; empty for any.
        """
        loaded = self.load_sound(plugin)
        every = [one for k in KINDS if kind in ("", k) for one in loaded.specs(k)]
        names = {spec.name: f"{plugin}/{spec.name}" for spec in every}
        return PluginNotFoundError(
            f"plugin {plugin!r} ({self._claims[plugin][0].origin}) has no"
            f" {kind or 'part'} {name!r}"
            f"{nearest(name, names)}; it has: {', '.join(names.values()) or 'none'}"
        )

    def _by_name(self, kind: str, name: str) -> Found[PluginSpec]:
        plugin, slash, spec_name = name.partition("/")
        if slash:
            return self._in_plugin(kind, plugin, spec_name)
        every = self._every(kind, self._usable())
        found = [one for one in every if one.spec.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            options = ", ".join(one.canonical for one in found)
            raise UsageError(f"several plugins have the {kind} {name!r}; name one of: {options}")
        for loaded in self._loaded.values():
            for problem in loaded.problems:
                if problem.kind == kind and problem.name == name:
                    raise problem.error
        hint = nearest(name, {one.spec.name: one.canonical for one in every})
        known = ", ".join(one.canonical for one in every) or "none"
        raise PluginNotFoundError(
            f"no plugin has the {kind} {name!r}{hint}; there are: {known}{self._passed_over()}"
        )

    def _in_plugin(self, kind: str, plugin: str, name: str) -> Found[PluginSpec]:
        loaded = self.load_sound(plugin)
        for spec in loaded.specs(kind):
            if spec.name == name:
                return self._found(plugin, spec)
        for problem in loaded.problems:
            if problem.kind == kind and problem.name in (None, name):
                raise problem.error
        raise self.missing_spec(plugin, name, kind)

    def _every(self, kind: str, names: Sequence[str]) -> list[Found[PluginSpec]]:
        found: list[Found[PluginSpec]] = []
        for name in names:
            try:
                loaded = self.load_sound(name)
            except PluginError as error:
                self._pass_over(name, error)
                continue
            for problem in loaded.problems:
                if problem.kind == kind:
                    self._pass_over(f"{name}:{kind}:{problem.name}", problem.error)
            found += [self._found(name, spec) for spec in loaded.specs(kind)]
        return found

    def _pass_over(self, key: str, error: PluginError) -> None:
        if self._warn is not None and key not in self._warned:
            self._warn(f"passed over: {error}")
        self._warned.add(key)

    def _passed_over(self) -> str:
        """What to add to a "none" that a broken plugin might have answered."""
        names = sorted({key.partition(":")[0] for key in self._warned})
        if not names:
            return ""
        return f" (could not be asked: {', '.join(names)}; see `ducho plugins doctor`)"

    def _found(self, plugin: str, spec: PluginSpec) -> Found[PluginSpec]:
        return Found(f"{plugin}/{spec.name}", spec, self._claims[plugin][0])

    def _usable(self) -> list[str]:
        """Plugins that may be asked, in order; the built-in one first."""
        names = [
            name
            for name, records in self._records.items()
            if name in self._loaded or records[0].state == "installed"
        ]
        return sorted(names, key=lambda name: (name != BUILT_IN, name))

    def _no_plugin(self, name: str) -> str:
        plugin, slash, _ = name.partition("/")
        names = self._usable()
        quiet = Registry([one for n in names for one in self._claims[n]])
        every = [one for kind in KINDS for one in quiet._every(kind, names)]
        full = [one.canonical for one in every if one.spec.name == name]
        if full and not slash:
            return f"no plugin is called {name!r}; did you mean {full[0]!r}?"
        return unknown_plugin(plugin, names)
