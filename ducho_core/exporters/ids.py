"""Keys in a file of their own: exact for any text, readable from any language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ducho_core.exporter import ExportFolder, ExportRows

FILE = "ids.json"


def write_ids(rows: ExportRows, folder: ExportFolder) -> None:
    """Write ``ids.json``: a JSON list of the ids, in row order, one a line.

    A key of several columns is a list of texts.
    """
    with folder.open(FILE) as file:
        file.write(b"[")
        first = True
        for batch in rows.key_batches():
            columns = [batch[name].to_pylist() for name in rows.keys]
            for key in zip(*columns, strict=True):
                file.write(b"\n" if first else b",\n")
                file.write(json.dumps(key[0] if len(key) == 1 else key).encode())
                first = False
        file.write(b"\n]\n")
