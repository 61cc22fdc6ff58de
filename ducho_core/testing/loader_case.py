"""A loader under test: a source, and what the user says about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from ducho_core.catalogue import Binding
from ducho_core.specs import Modality
from ducho_core.testing.part_case import PartCase

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pyarrow as pa

    from ducho_core.loader import Loader
    from ducho_core.registry import Registry


class LoaderCase(PartCase):
    """One loader with a source to open.

    Args:
        plugin: PLUGIN/NAME, or NAME where one plugin has it.
        source: what to open.
        options: as ``-l`` would give them.
        binding: what the user says about keys and inputs; nothing, and everything is
            accepted, where not given.
        rows: how many rows the source has, where that is known.
        registry: where to find the plugin.
    """

    kind = "loader"

    def __init__(
        self,
        plugin: str,
        source: str | os.PathLike[str],
        options: Mapping[str, Any] | None = None,
        *,
        binding: Binding | None = None,
        rows: int | None = None,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(plugin, options, registry=registry)
        self.source = str(source)
        self.binding = binding or Binding(accepts=get_args(Modality), multiple_texts=True)
        self.rows = rows

    def open(self, **binding: Any) -> Loader:
        """Open the source anew; with another binding where fields of it are given."""
        return self.open_source(self.source, **binding)

    def open_source(self, source: str, **binding: Any) -> Loader:
        """Open some source."""
        loader: Loader = self.found.import_implementation().open(
            source, replace(self.binding, **binding), self.options
        )
        return loader

    def read(self, loader: Loader | None = None) -> list[pa.RecordBatch]:
        """All batches of the source."""
        return list((loader or self.open()).batches())
