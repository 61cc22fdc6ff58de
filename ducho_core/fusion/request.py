"""What a user asks of a fusion; a recipe's entry has the same fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from ducho_core.options import option


class FuseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fusion."""

    sets: Annotated[tuple[str, ...], option(help="feature sets, NAME[:OUTPUT]", min_length=1)]
    how: Annotated[str, option(help="the fuser: NAME or PLUGIN/NAME")]
    options: Annotated[Mapping[str, Any] | Sequence[str], option(help="the fuser's options")] = ()
    missing: Annotated[
        Literal["error", "drop", "zero", "mean"],
        option(help="what to do with a key that a set has no row for"),
    ] = "error"
    name: Annotated[str | None, option(help="a name of one's own for the new set")] = None
    fit_from: Annotated[
        str | None, option(help="a fused set whose fit is taken over instead of a new one")
    ] = None
    dtype: Annotated[
        Literal["float32", "float16", "int8"], option(help="how the new vectors are stored")
    ] = "float32"
    variant: Annotated[str, option(help="keeps repeated measurements apart")] = ""
