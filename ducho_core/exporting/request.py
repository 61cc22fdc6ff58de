"""What a user asks of an export; a recipe's entry has the same fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from ducho_core.options import option


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One export."""

    sets: Annotated[tuple[str, ...], option(help="feature sets, NAME[:OUTPUT]", min_length=1)]
    to: Annotated[str, option(help="the exporter: NAME or PLUGIN/NAME")]
    out: Annotated[str, option(help="the folder that is written")]
    options: Annotated[
        Mapping[str, Any] | Sequence[str], option(help="the exporter's options")
    ] = ()
    missing: Annotated[
        Literal["error", "drop", "zero", "mean"] | None,
        option(
            help="what to do with a key that a set has no row for; error by default, and nothing"
            " where the format keeps sets apart"
        ),
    ] = None
    max_missing: Annotated[
        float | None,
        option(
            help="the share of rows that a set may lack; 0.05 where the exporter settles the rows,"
            " any where it does not",
            ge=0.0,
            le=1.0,
        ),
    ] = None
    items: Annotated[
        str | None,
        option(help="a split, or a Parquet file with item_id: these items, in this order"),
    ] = None
    id_map: Annotated[
        str | None, option(help="an earlier export whose numbers are kept; new keys follow")
    ] = None
    since: Annotated[
        str | None, option(help="an earlier export; only rows that differ from it are written")
    ] = None
    overwrite: Annotated[
        bool, option(help="replace an earlier export with whatever was added to it")
    ] = False
