"""The commands there are, from a table and from metadata; each is imported when it is run."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import click

from ducho_core.distributions import COMMAND_GROUP, claims
from ducho_core.switches import switched_off_distributions

if TYPE_CHECKING:
    from ducho_core.distributions import Claim

BUILT_IN = {
    "convert-config": (
        "ducho_core.cli.convert_config:convert_config",
        "Turn a configuration of Ducho 2.0 into a recipe.",
    ),
    "export": ("ducho_core.cli.export:export", "Write feature sets for another system."),
    "extract": ("ducho_core.cli.extract:extract", "Extract features into a store."),
    "fuse": ("ducho_core.cli.fuse:fuse", "Fuse feature sets into a new one."),
    "neighbours": ("ducho_core.cli.neighbours:neighbours", "Show the items nearest to some."),
    "plugins": ("ducho_core.cli.plugins:plugins", "List, explain and check plugins."),
    "run": ("ducho_core.cli.run:run", "Carry out a recipe."),
    "store": ("ducho_core.cli.store:store", "List, show and verify feature sets."),
}
"""Name to import string and short help."""


def third_party(*, no_plugins: bool) -> dict[str, list[Claim]]:
    """Commands that distributions add, by name, with all who claim it.

    A distribution whose plugins the user has all switched off adds none. A built-in command
    cannot be replaced.
    """
    if no_plugins:
        return {}
    found: dict[str, list[Claim]] = {}
    for claim in claims(COMMAND_GROUP):
        if claim.name not in BUILT_IN:
            found.setdefault(claim.name, []).append(claim)
    off = switched_off_distributions(os.environ) if found else set()
    if not off:
        return found
    kept = {
        name: [one for one in several if one.distribution not in off]
        for name, several in found.items()
    }
    return {name: several for name, several in kept.items() if several}


def short_help(several: list[Claim]) -> str:
    """What the list of commands says of an added one."""
    if len(several) == 1:
        return f"from {several[0].distribution}"
    return f"claimed by {' and '.join(one.distribution for one in several)}"


def import_built_in(name: str) -> click.Command:
    """Import one of Ducho's own commands."""
    module, _, attribute = BUILT_IN[name][0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


def import_third_party(name: str, several: list[Claim]) -> click.Command:
    """Import a command that a distribution adds.

    Raises:
        PluginCollisionError: two distributions claim the name.
        PluginLoadError: it cannot be imported.
        ContractError: it is no click command.
    """
    from ducho_core.errors import ContractError, PluginCollisionError
    from ducho_core.plugin_faults import import_attribute

    if len(several) > 1:
        raise PluginCollisionError(
            f"{len(several)} distributions claim the command {name!r}:"
            f" {' and '.join(one.origin for one in several)}",
            f"pip uninstall {' or '.join(one.distribution for one in several)}",
        )
    claim = several[0]
    what = f"command {name!r}"
    if not claim.module:
        raise ContractError(
            f"{what} ({claim.origin}) is broken: its entry point must be NAME = module:command"
        )
    target = f"{claim.module}:{claim.attribute}" if claim.attribute else claim.module
    command = import_attribute(claim, target, what=what)
    if not isinstance(command, click.Command):
        raise ContractError(f"{what} ({claim.origin}) is broken: {target} is no click command")
    return command
