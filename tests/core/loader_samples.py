"""What the loader tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ducho_core.catalogue import Binding
from ducho_core.loader import Loader
from ducho_core.loaders.options import TableOptions
from ducho_core.loaders.table import TableLoader


def open_table(path: Path, options: TableOptions | None = None, **binding: Any) -> TableLoader:
    """Open a table; ``text="title"`` is short for one unnamed text."""
    if "text" in binding:
        binding["texts"] = ((None, binding.pop("text")),)
    binding.setdefault("accepts", ("text",))
    return TableLoader.open(str(path), Binding(**binding), options or TableOptions())


def rows(loader: Loader) -> list[dict[str, Any]]:
    return [row for batch in loader.batches() for row in batch.to_pylist()]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
