"""Options of ``core/hash``."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ducho_core.options import option


class HashOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/hash``."""

    dim: Annotated[int, option(help="length of the vectors", ge=1, le=65536)] = 64
    seed: Annotated[int, option(help="another seed gives other vectors", ge=0)] = 0
