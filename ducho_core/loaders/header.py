"""A table's header beside what the user said, and what to say where the two do not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import command, did_you_mean, file_name, guesses, listing

if TYPE_CHECKING:
    from ducho_core.catalogue import Binding
    from ducho_core.loaders.reading import TableReader


@dataclass
class Header:
    """A table's columns and what the user wants of them.

    Args:
        source: the source, as the user would write it.
        binding: what the user said.
        reader: the opened table.

    Attributes:
        columns: the columns by name.
        remarks: what was decided for the user so far.
    """

    source: str
    binding: Binding
    reader: TableReader
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.columns = {column.name: column for column in self.reader.columns}
        self.name = file_name(self.source)
        self.columns_line = f"its columns: {listing(list(self.columns))}"

    def no_column(self, flag: str, column: str, **change: object) -> NoReturn:
        """Say that a flag names a column that is not there.

        Args:
            flag: the flag.
            column: the name that is no column.
            change: fields of the binding as they probably should be.
        """
        odd = ""
        if re.match(r"^\w+[.:\[!]", column):
            odd = "; only {column} is substituted, without formats, attributes or indexes"
        raise UsageError(
            f"{self.name} has no column {column!r} for {flag}"
            f"{did_you_mean(column, self.columns)}{odd}; {self.columns_line}{self.reader.hint}"
            f"\n    {command(self.source, self.binding, **change)}"
        )

    def unusable(self, flag: str, name: str) -> NoReturn:
        """Say that a column holds something that a flag cannot use."""
        raise UsageError(
            f"{self.name}: {flag} cannot be column {name!r}, which holds"
            f" {self.columns[name].type or 'lists'}; {self.columns_line}"
        )

    def nothing_bound(self) -> NoReturn:
        """Say that no column was named and none has a modality's name; guess at some."""
        names = [name for name in self.columns if name not in ("item_id", "user_id", "slot")]
        lines: list[str] = []
        for modality in self.binding.accepts:
            for guess in guesses(modality, names, self.reader.sample):
                change: dict[str, object] = (
                    {"texts": ((None, guess),)} if modality == "text" else {modality: guess}
                )
                lines.append(command(self.source, self.binding, **change))
        first = f"--{self.binding.accepts[0]} COLUMN"
        raise UsageError(
            f"{self.name}: which column holds the {' or the '.join(self.binding.accepts)}?"
            f" None is called that; {self.columns_line}{self.reader.hint}\n    "
            + "\n    ".join(lines or [command(self.source, self.binding, first)])
        )
