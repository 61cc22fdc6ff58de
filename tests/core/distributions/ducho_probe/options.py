from __future__ import annotations

from typing import Annotated

import msgspec

from ducho_core import RunOptions, option


class ProbeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dim: Annotated[int, option(help="length of the vectors", ge=1)] = 4


class DualOptions(ProbeOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tint: Annotated[int, option(help="added to a colour", ge=0, inputs=("image",))] = 0


class ProbeRunOptions(RunOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fault: Annotated[str, option(help="how to misbehave")] = ""
    log: Annotated[str, option(help="file that takes a line a call")] = ""
    pause: Annotated[float, option(help="seconds a batch")] = 0.0
