"""What is known of plugins from metadata alone, before any is imported."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ducho_core import __version__
from ducho_core.distributions import PLUGIN_GROUP, Claim, normal
from ducho_core.errors import (
    ContractError,
    PluginCollisionError,
    PluginError,
    PluginNotFoundError,
)
from ducho_core.hooks import NAME
from ducho_core.plugin_faults import CORE
from ducho_core.switches import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal["installed", "loaded", "broken", "disabled", "collision"]


@dataclass(slots=True, kw_only=True)
class PluginRecord:
    """What is known of one plugin that some distribution claims to bring.

    Attributes:
        name: the plugin's name.
        distribution: the distribution that claims it.
        version: that distribution's version.
        module: the module that holds its hooks.
        state: ``installed`` (not imported yet), ``loaded``, ``broken``, ``disabled``
            (by the user) or ``collision`` (another distribution claims the name too).
        error: why it is broken, disabled or in collision; else None.
    """

    name: str
    distribution: str
    version: str
    module: str
    state: State = "installed"
    error: PluginError | None = None


def nearest(name: str, names: Mapping[str, str]) -> str:
    """``; did you mean 'X'?`` for the name most like a mistyped one, or nothing.

    Args:
        name: what was typed.
        names: what could have been meant → how to write it.
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def core_first(found: Sequence[Claim]) -> list[Claim]:
    """The built-in plugin, also where ducho-core runs without its metadata, then the others."""
    own = [one for one in found if one.name == BUILT_IN and normal(one.distribution) == CORE]
    built_in = own or [Claim(PLUGIN_GROUP, BUILT_IN, "ducho_core.plugin", "", CORE, __version__)]
    return [*built_in, *(one for one in found if one not in own)]


def record_of(claim: Claim, several: Sequence[Claim], off: str | None) -> PluginRecord:
    """What is known of a claim.

    Args:
        claim: the entry point.
        several: all claims to its name.
        off: by what the user switched it off, or None.
    """
    record = PluginRecord(
        name=claim.name,
        distribution=claim.distribution,
        version=claim.version,
        module=claim.module,
    )
    who = f"plugin {claim.name!r} ({claim.origin})"
    if off is not None:
        record.state = "disabled"
        record.error = PluginNotFoundError(f"{who} is installed, but switched off by {off}")
    elif claim.name == BUILT_IN:
        if claim is not several[0]:
            record.state = "collision"
            record.error = PluginCollisionError(
                f"{claim.origin} claims the plugin name {BUILT_IN!r}, which is {CORE}'s own; the"
                " claim is ignored"
            )
    elif len(several) > 1:
        origins = " and ".join(one.origin for one in several)
        record.state = "collision"
        record.error = PluginCollisionError(
            f"{len(several)} distributions claim the plugin name {claim.name!r}: {origins}",
            f"pip uninstall {' or '.join(one.distribution for one in several)}",
        )
    elif not NAME.fullmatch(claim.name) or not claim.module:
        record.state = "broken"
        record.error = ContractError(
            f"{who} is broken: its entry point must be NAME = package.module, NAME lower-case"
        )
    return record


def unknown_plugin(name: str, names: Sequence[str]) -> str:
    """Say that no plugin of a name is installed, with what could have been meant."""
    from ducho_core.plugin_index import published

    known = published()
    if name in known:
        return f"plugin {name!r} is not installed: {known[name].install}"
    hint = nearest(name, {one: one for one in [*names, *known]})
    return f"no plugin {name!r} is installed{hint}; installed: {', '.join(names)}"
