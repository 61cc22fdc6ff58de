"""Options of the built-in loaders. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ducho_core.options import option


class FolderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/folder``."""

    pattern: Annotated[
        str | None,
        option(
            help="how user_id, item_id and slot stand in a file's path below the folder,"
            " without its suffix: '{item_id}_{slot}'"
        ),
    ] = None
    tables: Annotated[
        Literal["refuse", "ignore"],
        option(help="what to do where a table lies in the folder beside the other files"),
    ] = "refuse"


class TableOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/table``."""

    separator: Annotated[
        str | None,
        option(
            help="what stands between the fields of a TSV or CSV file: tab, comma, semicolon,"
            " pipe, space or one character; by default what the suffix says"
        ),
    ] = None
    quoting: Annotated[
        Literal["auto", "minimal", "none"],
        option(
            help="auto and minimal: a field may stand in double quotes, a quote within it"
            " doubled; auto also stops at a quote that seems to have swallowed lines of a TSV;"
            " none: quotes are ordinary characters"
        ),
    ] = "auto"
    encoding: Annotated[str, option(help="character encoding of a TSV, CSV or JSONL file")] = (
        "utf-8"
    )
    header: Annotated[
        tuple[str, ...],
        option(help="the column names of a TSV or CSV file that has no header line"),
    ] = ()
    sample: Annotated[
        int, option(help="lines of a JSONL file that are read to learn its columns", ge=1)
    ] = 1000


class SetOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``core/set``."""

    store: Annotated[str, option(help="the store that holds the set")] = "./features"
