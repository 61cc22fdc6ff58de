"""What the cases of every kind share: one part of a plugin, found, with its options."""

from __future__ import annotations

import os
import shlex
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ducho_core.options import build_options
from ducho_core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from ducho_core.found import Found


class PartCase:
    """One part of an installed plugin, and the options with which it is checked.

    Attributes:
        kind: extractor, loader, fuser or exporter.
        registry: where it was found.
        found: its spec, and who brings it.
        given: the options, as ``-o`` would give them.
    """

    kind = ""

    def __init__(
        self,
        plugin: str,
        options: Mapping[str, Any] | None = None,
        *,
        registry: Registry | None = None,
    ) -> None:
        self.registry = registry or Registry.discover()
        self.found: Found[Any] = getattr(self.registry, self.kind)(plugin)
        self.given = dict(options or {})

    @cached_property
    def _built(self) -> tuple[Any, Any]:
        return self.build(self.given)

    @property
    def options(self) -> Any:
        """The options that enter the SPEC; None where there are none."""
        return self._built[0]

    @property
    def run_options(self) -> Any:
        """The options that do not."""
        return self._built[1]

    @property
    def name(self) -> str:
        """The canonical name, PLUGIN/NAME."""
        return self.found.canonical

    def structs(self) -> list[type[msgspec.Struct]]:
        """The Structs of its options: those that enter the SPEC, then the run's."""
        every = (self.found.options_type(), self.found.run_options_type())
        return [one for one in every if one is not None]

    def build(self, given: Mapping[str, Any]) -> tuple[Any, Any]:
        """Both option structs from ``key=value`` pairs.

        Raises:
            OptionError: as on the command line.
        """
        return build_options(
            self.name, self.found.options_type(), self.found.run_options_type(), given
        )

    def flags(self) -> str:
        """The options as one would type them."""
        return shlex.join(
            part for key, value in self.given.items() for part in ("-o", f"{key}={value}")
        )

    def close(self) -> None:
        """Let go of whatever the case holds."""


def python_path() -> dict[str, str]:
    """Environment in which a fresh interpreter finds what this process does."""
    places = [os.path.abspath(place) if place else os.getcwd() for place in sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
