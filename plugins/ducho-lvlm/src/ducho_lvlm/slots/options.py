"""What a user may choose of ``lvlm/slots``. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ducho_core import option


class SlotsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``lvlm/slots``."""

    text_plugin: Annotated[
        str, option(help="the extractor whose vectors say which values mean the same")
    ] = "starter/text"
    text_options: Annotated[
        tuple[str, ...],
        option(
            help="options of that extractor, KEY=VALUE each, such as model=ID; the SPEC holds"
            " what they resolve to"
        ),
    ] = ()
    text_output: Annotated[
        str | None, option(help="which of its embeddings, where it gives several")
    ] = None
    language: Annotated[
        str | None, option(help="language of the lemmas, such as en or de; none for no lemmas")
    ] = "en"
    threshold: Annotated[
        float,
        option(
            help="values closer than this, in cosine distance averaged over clusters, are one",
            gt=0.0,
            le=2.0,
        ),
    ] = 0.45
    top: Annotated[
        int, option(help="most frequent clusters of a slot that get a column", ge=1, le=10_000)
    ] = 50
    clustered: Annotated[
        int,
        option(
            help="most frequent values of a slot that are clustered; rarer ones join the nearest"
            " cluster, so that memory stays bounded",
            ge=2,
            le=50_000,
        ),
    ] = 20_000
    flag_missing: Annotated[
        bool, option(help="a column a slot for items without a value; else these are zeros")
    ] = True
