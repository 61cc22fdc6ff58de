"""How a user switches plugins off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ducho_core.distributions import PLUGIN_GROUP, claims

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN = "core"
"""The plugin that comes with ducho-core."""

VARIABLES = ("DUCHO_PLUGINS", "DUCHO_DISABLE_PLUGINS")


def listed(env: Mapping[str, str], variable: str) -> list[str]:
    """The names in a variable that holds ``a,b``; none where it is unset or empty."""
    return [name for part in env.get(variable, "").split(",") if (name := part.strip())]


def switched_off(name: str, env: Mapping[str, str], *, no_plugins: bool = False) -> str | None:
    """By what the user switched a plugin off, or None.

    The built-in one goes only where ``DUCHO_DISABLE_PLUGINS`` names it.
    """
    if name in listed(env, "DUCHO_DISABLE_PLUGINS"):
        return f"DUCHO_DISABLE_PLUGINS={env['DUCHO_DISABLE_PLUGINS']}"
    if name == BUILT_IN:
        return None
    only = listed(env, "DUCHO_PLUGINS")
    if only and name not in only:
        return f"DUCHO_PLUGINS={env['DUCHO_PLUGINS']}"
    return "--no-plugins" if no_plugins else None


def switched_off_distributions(env: Mapping[str, str]) -> set[str]:
    """Distributions whose plugins the user has all switched off; what else they add goes, too."""
    if not any(env.get(name) for name in VARIABLES):
        return set()
    plugins: dict[str, list[str]] = {}
    for claim in claims(PLUGIN_GROUP):
        plugins.setdefault(claim.distribution, []).append(claim.name)
    return {
        distribution
        for distribution, names in plugins.items()
        if all(switched_off(name, env) for name in names)
    }
