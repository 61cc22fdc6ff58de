"""Options: right ones, and one Struct for each way to be wrong."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ducho_core import option


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dim: Annotated[int, option(help="length of the vectors", ge=1, le=64)] = 16
    word: Annotated[str, option(help="a word that is mixed in")] = "ducho"


class Unexplained(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dim: int = 16
    word: Annotated[str, option(help="a word that is mixed in")] = "ducho"


class OutOfBounds(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    share: Annotated[float, option(help="share of something", le=1)] = 2.0


class Lenient(msgspec.Struct, frozen=True, kw_only=True):
    dim: Annotated[int, option(help="length of the vectors", ge=1, le=64)] = 16
    word: Annotated[str, option(help="a word that is mixed in")] = "ducho"


class Growing(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each time that it is made its word grows."""

    def __post_init__(self):
        msgspec.structs.force_setattr(self, "word", self.word + "!")
