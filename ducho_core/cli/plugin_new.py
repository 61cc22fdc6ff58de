"""What ``ducho plugins new`` does and says."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ducho_core.cli.output import emit, say
from ducho_core.errors import UsageError
from ducho_core.plugin_index import published
from ducho_core.scaffold import bake

if TYPE_CHECKING:
    from ducho_core.registry import Registry
    from ducho_core.scaffold import Input, Kind


def make_plugin(
    registry: Registry, name: str, *, kind: Kind, modality: Input | None, out: str
) -> None:
    """Make a distribution, and say what it holds and what to do next.

    Args:
        registry: the plugins at hand; a name that one of them has is warned of.
        name: the plugin's name.
        kind: what it registers.
        modality: what its extractor takes; None for an image, or where it is a loader.
        out: the folder in which the new one is made.

    Raises:
        UsageError: the name cannot be a plugin's, or the folder cannot be made.
    """
    if kind == "loader" and modality is not None:
        raise UsageError("--input says what an extractor takes; a loader has no use for it")
    baked = bake(name, kind=kind, modality=modality or "image", out=out)
    installed = [one for one in registry.plugins() if one.name == name]
    listed = published().get(name)
    if installed:
        origin = f"{installed[0].distribution} {installed[0].version}".strip()
        say(
            f"warning: a plugin {name!r} is installed already ({origin}); beside it the new one"
            " could not be used"
        )
    elif listed is not None:
        say(
            f"warning: {listed.distribution} is a published plugin {name!r}; whoever installs"
            " both can use neither"
        )
    emit("\n".join([f"{baked.folder}/", *(f"  {path}" for path in baked.files)]))
    emit(
        "\nIt works as it is. Next:\n"
        f"  pip install -e {shlex.quote(f'{baked.folder}[tests]')}\n"
        f"  pytest {shlex.quote(baked.folder)}\n"
        f"  ducho plugins show {name}"
    )
