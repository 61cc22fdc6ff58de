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


class PcaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/pca``."""

    dim: Annotated[int, option(help="how many principal components to keep", ge=1)]
    whiten: Annotated[bool, option(help="give each component variance 1")] = False


class WhitenOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/whiten``."""

    method: Annotated[
        Literal["zca", "pca"],
        option(
            help="zca stays as near to the vectors as whitening allows; pca gives the principal"
            " components"
        ),
    ] = "zca"
    eps: Annotated[
        float,
        option(help="added to each variance before its root is divided by", ge=0),
    ] = 0.0


class ProjectOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/project``."""

    dim: Annotated[int, option(help="length of the new vectors", ge=1, le=65536)]
    method: Annotated[
        Literal["gaussian", "sparse"],
        option(help="how the matrix is drawn: normal numbers, or few that are not 0"),
    ] = "gaussian"
    density: Annotated[
        float,
        option(
            help="of a sparse matrix, the share that is not 0; 0 means one over the root of the"
            " inputs' length",
            ge=0,
            le=1,
        ),
    ] = 0.0
    seed: Annotated[int, option(help="another seed gives another matrix", ge=0, lt=2**32)] = 0


class CcaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/cca``."""

    dim: Annotated[int, option(help="how many pairs of canonical variates to keep", ge=1)]
    combine: Annotated[
        Literal["concat", "sum", "mean"],
        option(help="how the variates of the two inputs become one vector"),
    ] = "concat"
    regularization: Annotated[
        float,
        option(
            help="added to the variances of each input, as a share of their mean: for inputs"
            " with few rows for their length",
            ge=0,
        ),
    ] = 0.0


class NoiseOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/noise``."""

    like: Annotated[
        Literal["standard", "moments", "covariance"],
        option(
            help="standard: mean 0 and deviation 1; moments: the mean and deviation of each"
            " dimension of the set; covariance: its mean and covariance"
        ),
    ] = "standard"
    seed: Annotated[int, option(help="another seed gives other noise", ge=0, le=2**53)] = 0


class ConstantOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/constant``."""

    value: Annotated[
        Literal["mean", "ones"], option(help="the vector: the mean of the set, or ones")
    ] = "mean"
