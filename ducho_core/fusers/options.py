"""Options of the built-in fusers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core.options import option

Scale = Literal["none", "l2", "zscore"]


class CombineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the fusers that combine the vectors of a key."""

    scale: Annotated[
        tuple[Scale, ...],
        option(
            help="what each input goes through first, one for all or one an input: l2 makes"
            " vectors of length 1, zscore gives each dimension mean 0 and deviation 1",
            min_length=1,
        ),
    ] = ("none",)


class MeanOptions(CombineOptions, frozen=True):
    """Options of ``core/mean``."""

    weights: Annotated[
        tuple[float, ...], option(help="weight of each input; equal where not given", ge=0)
    ] = ()


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/pool``."""

    method: Annotated[
        Literal["mean", "max", "sum", "first"], option(help="how the slots become one vector")
    ] = "mean"


class ShuffleOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/shuffle``."""

    seed: Annotated[int, option(help="another seed gives another order", ge=0, le=2**53)] = 0
