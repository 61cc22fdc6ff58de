"""Options of the built-in exporters."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core.options import option


class CsvOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/csv``."""

    separator: Annotated[
        Literal["comma", "semicolon", "tab"], option(help="what stands between columns")
    ] = "comma"
    excel_safe: Annotated[
        bool,
        option(
            help="put ' before keys that a spreadsheet takes for a formula; these keys are then"
            " no longer exact"
        ),
    ] = False


class Ducho2Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/ducho2``: backend, model and layer, or folders.

    A list has one value for all sets, or one a set.
    """

    backend: Annotated[
        tuple[str, ...], option(help="first folder, as in 2.0: torch, transformers, …")
    ] = ()
    model: Annotated[
        tuple[str, ...],
        option(help="second folder; a name with / makes nested ones, as in 2.0"),
    ] = ()
    layer: Annotated[tuple[str, ...], option(help="third folder: the output layer")] = ()
    folders: Annotated[
        tuple[str, ...], option(help="instead of these three, BACKEND/MODEL/LAYER in one")
    ] = ()


class HuggingFaceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/huggingface``."""

    title: Annotated[str, option(help="what the dataset is called", min_length=1)] = (
        "Item features for recommendation"
    )
    description: Annotated[str, option(help="a sentence or more on what it is")] = ""
    license: Annotated[
        str,
        option(help="the licence as the hub calls it, such as cc-by-4.0; none is said without"),
    ] = ""
    tags: Annotated[tuple[str, ...], option(help="further tags")] = ()
