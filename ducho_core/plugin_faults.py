"""What went wrong with a plugin, in one line with the command that mends it."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import traceback
from typing import Any

from ducho_core import __version__
from ducho_core.distributions import (
    Claim,
    declared_requirement,
    install_command,
    installed_version,
    pip_install,
)
from ducho_core.errors import PluginLoadError

_NEWER_SPEC = re.compile(r"Spec\.__init__\(\) got an unexpected keyword argument")
CORE = "ducho-core"


def import_attribute(claim: Claim, target: str, *, what: str, requires: str | None = None) -> Any:
    """Import ``"package.module:Attribute"`` (or a whole module) on behalf of a plugin.

    Args:
        claim: the entry point that asks for it.
        target: what to import.
        what: who needs it, to begin the message with: ``plugin 'timm'``, ``timm/image``.
        requires: the pip requirement that brings a missing dependency, where the plugin says.

    Raises:
        PluginLoadError: it cannot be imported; names the missing package and what to do.
    """
    module_name, _, attribute = target.partition(":")
    try:
        # What a plugin prints while it is imported must not end up among the results.
        with contextlib.redirect_stdout(sys.stderr):
            value: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise import_fault(error, claim, what=what, requires=requires) from error
    for part in attribute.split(".") if attribute else ():
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise PluginLoadError(
                f"{what} ({claim.origin}) is broken: module {module_name} has no {attribute!r}",
                _reinstall(claim),
            ) from error
        except ImportError as error:
            raise import_fault(error, claim, what=what, requires=requires) from error
    return value


def import_fault(
    error: BaseException, claim: Claim, *, what: str, requires: str | None = None
) -> PluginLoadError:
    """Say why an import failed; a missing dependency is told from a broken plugin."""
    who = f"{what} ({claim.origin})"
    if isinstance(error, ModuleNotFoundError) and (missing := _missing_module(error)):
        if missing.partition(".")[0] == claim.package:
            return PluginLoadError(
                f"{who} is broken: its own module {missing!r} is missing", _reinstall(claim)
            )
        command = (
            pip_install(requires) if requires else install_command(missing, claim.distribution)
        )
        return PluginLoadError(
            f"{who} needs the package {missing.partition('.')[0]!r}, which is not installed",
            command,
        )
    if isinstance(error, ImportError) and error.name:
        return _wrong_version(error, claim, who)
    return PluginLoadError(f"{who} fails when it is imported: {_one_line(error)}", _look(claim))


def hook_fault(error: BaseException, claim: Claim, hook: str) -> PluginLoadError:
    """Say why a hook failed."""
    who = f"plugin {claim.name!r} ({claim.origin})"
    if isinstance(error, TypeError) and _NEWER_SPEC.search(str(error)):
        return needs_newer_core(claim, who, str(error))
    if isinstance(error, ImportError):
        return import_fault(error, claim, what=f"plugin {claim.name!r}")
    return PluginLoadError(f"{who}: its hook {hook} fails: {_one_line(error)}", _look(claim))


def needs_newer_core(claim: Claim, who: str, why: str) -> PluginLoadError:
    """Say that a plugin was written for a later core."""
    declared = declared_requirement(claim.distribution, CORE)
    least = f"{CORE} {declared.removeprefix(CORE).strip()}" if declared else f"a newer {CORE}"
    return PluginLoadError(
        f"{who} needs {least}, and this is {CORE} {__version__} ({why})",
        pip_install(declared or CORE, "--upgrade"),
    )


def _wrong_version(error: ImportError, claim: Claim, who: str) -> PluginLoadError:
    package = (error.name or "").partition(".")[0]
    if package == claim.package:
        return PluginLoadError(f"{who} is broken: {_one_line(error)}", _reinstall(claim))
    if package == "ducho_core":
        return needs_newer_core(claim, who, str(error).partition(" (")[0])
    declared = declared_requirement(claim.distribution, package)
    version = installed_version(package)
    has = f" ({package} {version} is installed)" if version else ""
    return PluginLoadError(
        f"{who} does not fit the installed {package}{has}: {_one_line(error)}",
        pip_install(declared or package, "--upgrade"),
    )


def _missing_module(error: ModuleNotFoundError) -> str:
    if error.name:
        return error.name
    match = re.search(r"No module named '?([\w.]+)", str(error))
    return match[1] if match else ""


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    words = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if frames and not isinstance(error, (SyntaxError, ImportError)):
        last = frames[-1]
        words += f" ({last.filename.replace(chr(92), '/').rpartition('/')[2]}, line {last.lineno})"
    return words


def _look(claim: Claim) -> str:
    return (
        f"`ducho plugins doctor {claim.name}` shows where, DUCHO_DISABLE_PLUGINS={claim.name}"
        " leaves it out"
    )


def _reinstall(claim: Claim) -> str:
    return pip_install(claim.distribution, "--force-reinstall", "--no-deps")
