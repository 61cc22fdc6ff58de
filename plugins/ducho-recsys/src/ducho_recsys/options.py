"""What a user may choose of ``recsys/reviews``. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import option


class ReviewsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``recsys/reviews``."""

    split: Annotated[
        str,
        option(
            help="folder of a split: only its train interactions are pooled; the SPEC holds the"
            " sha256 of these pairs",
            path=True,
        ),
    ]
    into: Annotated[
        Literal["items", "users"], option(help="what gets a vector: each item, or each user")
    ] = "items"
    method: Annotated[
        Literal["mean", "max", "sum"], option(help="how the reviews become one vector")
    ] = "mean"
