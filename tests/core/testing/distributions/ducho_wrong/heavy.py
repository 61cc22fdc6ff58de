"""Options in a module that imports a heavy library."""

from __future__ import annotations

import pyarrow as pa

from ducho_wrong.options import Options

__all__ = ["Options", "pa"]
