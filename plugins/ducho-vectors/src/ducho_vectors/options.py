"""Options of the exporters. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import option


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    metric: Annotated[
        Literal["cosine", "ip", "l2"],
        option(
            help="what nearest means: the angle, the inner product, or Euclidean distance;"
            " vectors of length 0 are left out where it is the angle"
        ),
    ] = "cosine"


class FaissOptions(_Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``vectors/faiss``."""

    index: Annotated[
        str,
        option(
            help="flat (exact), hnsw, ivf, or a description for faiss.index_factory such as"
            " IVF1024,PQ32",
            min_length=1,
        ),
    ] = "flat"
    train: Annotated[
        int,
        option(
            help="most vectors that an index which has to be trained is trained on; so many are"
            " held in memory",
            ge=1,
        ),
    ] = 65_536
    seed: Annotated[int, option(help="what draws the vectors to train on", ge=0)] = 0


class LanceDBOptions(_Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``vectors/lancedb``."""


class QdrantOptions(_Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``vectors/qdrant``."""

    points: Annotated[
        Literal["uuid", "row"],
        option(
            help="what a point is called: uuid5(NAMESPACE_OID, item_id), the same in every export,"
            " or the id's number in ids.parquet"
        ),
    ] = "uuid"
