"""Options of the exporters. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core import option


class SplitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every exporter needs: which items there are, and which interactions."""

    split: Annotated[
        str, option(help="the folder of a split, as `ducho split` wrote it", path=True)
    ]


class NamedOptions(SplitOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With a name for the dataset."""

    name: Annotated[
        str,
        option(
            help="what the dataset's name begins with: a letter, then letters, digits, - and _",
            min_length=1,
            max_length=64,
        ),
    ] = "ducho"


class RecboleOptions(NamedOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``recsys/recbole``."""

    ids: Annotated[
        Literal["exact", "numbers"],
        option(
            help="what stands for an item and a user: its id, where RecBole can read all of them"
            " exactly, or its number"
        ),
    ] = "exact"


class MmrecOptions(NamedOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``recsys/mmrec``."""

    slots: Annotated[
        tuple[Literal["image", "text"], ...],
        option(help="where each set goes, in their order: image or text"),
    ] = ("image", "text")


class LatticeOptions(NamedOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``recsys/lattice``."""

    slots: Annotated[
        tuple[Literal["image", "text"], ...],
        option(help="where each set goes, in their order: image or text"),
    ] = ("image", "text")


class ElliotOptions(NamedOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``recsys/elliot``."""

    slots: Annotated[
        tuple[Literal["visual", "textual"], ...],
        option(help="which loader takes each set, in their order: visual or textual"),
    ] = ("visual", "textual")
