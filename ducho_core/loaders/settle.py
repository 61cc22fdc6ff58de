"""From what the user said and the columns there are to keys and inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from ducho_core.catalogue import KEY_COLUMNS, Binding, InputField
from ducho_core.errors import UsageError
from ducho_core.loaders.cleaning import check_cleaning
from ducho_core.loaders.globs import PathTemplate
from ducho_core.loaders.reading import Column
from ducho_core.loaders.suggest import (
    closest,
    command,
    did_you_mean,
    file_name,
    guesses,
    listing,
)
from ducho_core.loaders.templates import Template, parse_template

if TYPE_CHECKING:
    from ducho_core.specs import Modality

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = (*KEY_COLUMNS, "image", "audio")


@dataclass(frozen=True, slots=True)
class BoundInput:
    """An input and where its values come from.

    Attributes:
        field: the input as the core sees it.
        template: of a text, or of a path without a glob; one column alone is a template too.
        path: a path template with a glob.
        slots: whether one row may give several values.
    """

    field: InputField
    template: Template
    path: PathTemplate | None = None
    slots: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """Keys and inputs of a table.

    Attributes:
        keys: (key column's name, source column) in the order of ``KEY_COLUMNS``.
        inputs: what is bound.
        remarks: what was decided for the user.
    """

    keys: tuple[tuple[str, str], ...]
    inputs: tuple[BoundInput, ...]
    remarks: tuple[str, ...]

    @property
    def slotted(self) -> bool:
        """Whether one row may give several slots."""
        return any(one.slots for one in self.inputs)


@dataclass(slots=True)
class Settler:
    """Settles one table's keys and inputs.

    Args:
        source: the source, as the user would write it.
        binding: what the user said.
        columns: the table's columns.
        sample: column name to its first text, for guesses.
        hint: one more sentence for a column that is not there.
    """

    source: str
    binding: Binding
    columns: Iterable[Column]
    sample: dict[str, str] = field(default_factory=dict)
    hint: str = ""
    remarks: list[str] = field(default_factory=list)
    _by_name: dict[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name = {column.name: column for column in self.columns}

    def settle(self) -> Settled:
        """Settle keys and inputs.

        Raises:
            UsageError: something does not exist or fit; with the corrected command.
        """
        check_cleaning(self.binding.cleaning)
        keys = self._keys()
        inputs = [*self._media("image"), *self._media("audio"), *self._texts()]
        if not inputs:
            self._nothing_bound()
        slotted = [one.field.name for one in inputs if one.slots]
        if slotted and any(name == "slot" for name, _ in keys):
            raise UsageError(
                f"{self._name}: slots come both from the key column 'slot' and from"
                f" {' and '.join(slotted)}; bind one of them"
            )
        return Settled(keys, tuple(inputs), tuple(self.remarks))

    @property
    def _name(self) -> str:
        return file_name(self.source)

    def _keys(self) -> tuple[tuple[str, str], ...]:
        given = self.binding.keys
        if given:
            found = self._given_keys(given)
        elif "item_id" in self._by_name:
            found = {"item_id": "item_id"}
            others = [name for name in ("user_id", "slot") if name in self._by_name]
            if others:
                flags = " ".join(f"--key {name}" for name in (*others, "item_id"))
                self.remarks.append(
                    f"key: column item_id alone; for one row per {' and '.join(others)} too:"
                    f" {flags}"
                )
        else:
            first = next(iter(self._by_name))
            found = {"item_id": first}
            self.remarks.append(
                f"key: the first column, {first!r}, is item_id; another one: --key COLUMN"
            )
        if "slot" in found and self.binding.slots == "first":
            raise UsageError(
                "--slots first keeps the first of a list or glob; it cannot be had where the"
                f" slot is a column: leave out --key {found['slot']}"
            )
        for name, column in found.items():
            self._check_key(name, self._by_name[column])
        return tuple((name, found[name]) for name in KEY_COLUMNS if name in found)

    def _given_keys(self, given: tuple[str, ...]) -> dict[str, str]:
        found: dict[str, str] = {}
        unnamed: list[str] = []
        for flag in given:
            name, equals, column = flag.partition("=")
            if flag in self._by_name or not equals or name not in KEY_COLUMNS:
                name, column = (flag if flag in KEY_COLUMNS else ""), flag
            if column not in self._by_name:
                self._no_column("--key", column, keys=self._closest_keys(given, flag, column))
            if not name:
                unnamed.append(column)
            elif name in found:
                raise UsageError(f"--key gives {name} twice: {found[name]!r} and {column!r}")
            else:
                found[name] = column
        order = ("item_id",) if len(unnamed) == 1 and "item_id" not in found else KEY_COLUMNS
        free = [name for name in order if name not in found]
        if len(unnamed) > len(free):
            raise UsageError(
                f"--key is given {len(given)} times; there are {', '.join(KEY_COLUMNS)}"
            )
        found.update(zip(free, unnamed, strict=False))
        if "item_id" not in found:
            raise UsageError(
                f"no --key names the item: add --key item_id=COLUMN; {self._columns_line()}"
            )
        return found

    def _closest_keys(self, given: tuple[str, ...], flag: str, column: str) -> tuple[str, ...]:
        better = closest(column, self._by_name) or "COLUMN"
        fixed = flag.removesuffix(column) + better
        return tuple(fixed if key == flag else key for key in given)

    def _check_key(self, name: str, column: Column) -> None:
        if column.kind in ("texts", "many_bytes", "other") or not column.key:
            raise UsageError(
                f"{self._name}: the key {name} cannot be column {column.name!r}, which holds"
                f" {column.type or 'lists'}: a key is a text or an integer"
                + (" (as a text, 7 would read 7.0)" if column.type in _FLOATS else "")
            )
        if column.type:
            self.remarks.append(
                f"key: column {column.name!r} holds {column.type}; {name} is its text"
            )

    def _media(self, modality: Modality) -> list[BoundInput]:
        flag = self.binding.image if modality == "image" else self.binding.audio
        if modality not in self.binding.accepts:
            if flag is not None:
                self._not_accepted(modality)
            return []
        if flag is None:
            if modality not in self._by_name:
                return []
            self.remarks.append(f"{modality}: column {modality!r}")
            flag = modality
        if flag in self._by_name:
            return [self._media_column(modality, self._by_name[flag])]
        template = parse_template(flag)
        self._check_columns(f"--{modality}", template, {modality: flag})
        if not template.columns:
            if "/" not in flag and "*" not in flag:
                better = closest(flag, self._by_name)
                self._no_column(f"--{modality}", flag, **{modality: better or "COLUMN"})
            self.remarks.append(
                f"{modality}: {flag!r} names no column, so every item gets the same"
            )
        if template.column is not None:
            return [self._media_column(modality, self._by_name[template.column])]
        path = PathTemplate.of(template)
        lists = [name for name in template.columns if self._by_name[name].kind == "texts"]
        if path and lists:
            raise UsageError(
                f"--{modality} {flag!r}: slots come both from the glob and from the list column"
                f" {lists[0]!r}; keep one of them"
            )
        settled = InputField(name=modality, modality=modality, storage="path")
        return [BoundInput(settled, template, path, slots=bool(path or lists))]

    def _media_column(self, modality: Modality, column: Column) -> BoundInput:
        if column.kind == "other":
            self._unusable(f"--{modality}", column)
        content = column.kind in ("bytes", "many_bytes")
        settled = InputField(
            name=modality, modality=modality, storage="bytes" if content else "path"
        )
        slots = column.kind in ("texts", "many_bytes")
        return BoundInput(settled, _single(column.name), None, slots)

    def _texts(self) -> list[BoundInput]:
        given = self.binding.texts
        if "text" not in self.binding.accepts:
            if given:
                self._not_accepted("text")
            return []
        if not given:
            if "text" not in self._by_name:
                return []
            self.remarks.append("text: column 'text'")
            given = (("text", "text"),)
        elif not self.binding.multiple_texts:
            self._check_single_text()
        several = len(given) > 1
        bound = [self._text(name, value, several=several) for name, value in given]
        names = [one.field.name for one in bound]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    f"two texts would be called {name!r}: name them apart with"
                    f" --text NAME={_one(given, name)}"
                )
        return bound

    def _check_single_text(self) -> None:
        given = self.binding.texts
        if len(given) > 1:
            joined = ". ".join(
                f"{{{value}}}" if value in self._by_name else value for _, value in given
            )
            raise UsageError(
                "this extractor takes one text, and --text is given"
                f" {len(given)} times; a template joins columns:\n    "
                + command(self.source, self.binding, texts=((None, joined),))
            )
        name, value = given[0]
        if name is not None:
            raise UsageError(
                f"this extractor takes one text without a name, not --text {name}=…:\n    "
                + command(self.source, self.binding, texts=((None, value),))
            )

    def _text(self, name: str | None, value: str, *, several: bool) -> BoundInput:
        if value in self._by_name:
            template = _single(value)
        else:
            template = parse_template(value)
            if not template.columns:
                better = closest(value, self._by_name)
                self._no_column("--text", value, texts=self._with_text(value, better or "COLUMN"))
            fixed = _closest_template(template, self._by_name)
            self._check_columns("--text", template, {"texts": self._with_text(value, fixed)})
        for column in template.columns:
            self._check_text_column(self._by_name[column], alone=template.column is not None)
        settled = InputField(
            name=self._text_name(name, template, several=several),
            modality="text",
            storage="inline",
            columns=tuple(dict.fromkeys(template.columns)),
            template=None if template.column is not None else template.text,
            cleaning=self.binding.cleaning,
        )
        lists = any(self._by_name[column].kind == "texts" for column in template.columns)
        return BoundInput(settled, template, None, slots=lists)

    def _text_name(self, name: str | None, template: Template, *, several: bool) -> str:
        if name is None and not several:
            return "text"
        if name is None:
            if template.column is None:
                raise UsageError(
                    f"--text {template.text!r}: with several texts a template needs a name:"
                    f" --text NAME='{template.text}'"
                )
            name = re.sub(r"\W+", "_", template.column, flags=re.ASCII).strip("_")
            name = name if _NAME.fullmatch(name) else f"text_{name}".rstrip("_")
            if name != template.column:
                self.remarks.append(f"text: column {template.column!r} is the input {name}")
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise UsageError(
                f"a text cannot be called {name!r}: take letters, digits and _, and not"
                f" {', '.join(_RESERVED)}; write --text NAME={template.column or '…'}"
            )
        return name

    def _check_text_column(self, column: Column, *, alone: bool) -> None:
        if column.kind in ("other", "many_bytes") or (column.type or "").startswith("struct"):
            self._unusable("--text", column)
        if column.type and column.kind == "text" and alone:
            self.remarks.append(f"text: column {column.name!r} holds {column.type}, read as text")

    def _check_columns(
        self, flag: str, template: Template, change: Mapping[str, object]
    ) -> None:
        for column in template.columns:
            if column not in self._by_name:
                if len(change) == 1 and flag != "--text":
                    change = {next(iter(change)): _closest_template(template, self._by_name)}
                self._no_column(flag, column, **change)
        if flag != "--text" and template.column is None:
            for column in template.columns:
                if self._by_name[column].kind not in ("text", "texts"):
                    self._unusable(flag, self._by_name[column])

    def _with_text(self, value: str, better: str) -> tuple[tuple[str | None, str], ...]:
        return tuple(
            (name, better if text == value else text) for name, text in self.binding.texts
        )

    def _unusable(self, flag: str, column: Column) -> NoReturn:
        raise UsageError(
            f"{self._name}: {flag} cannot be column {column.name!r}, which holds"
            f" {column.type or 'lists'}; {self._columns_line()}"
        )

    def _no_column(self, flag: str, column: str, **change: object) -> NoReturn:
        odd = ""
        if not column.isidentifier() and re.match(r"^\w+[.:\[!]", column):
            odd = "; only {column} is substituted, without formats, attributes or indexes"
        raise UsageError(
            f"{self._name} has no column {column!r} for {flag}"
            f"{did_you_mean(column, self._by_name)}{odd}; {self._columns_line()}{self.hint}\n    "
            + command(self.source, self.binding, **change)
        )

    def _columns_line(self) -> str:
        return f"its columns: {listing(list(self._by_name))}"

    def _not_accepted(self, modality: Modality) -> NoReturn:
        raise UsageError(
            f"this extractor takes {' and '.join(self.binding.accepts)}, not --{modality}"
        )

    def _nothing_bound(self) -> NoReturn:
        free = [name for name in self._by_name if name not in ("item_id", "user_id", "slot")]
        lines: list[str] = []
        for modality in self.binding.accepts:
            for guess in guesses(modality, free, self.sample):
                change: dict[str, object] = (
                    {"texts": ((None, guess),)} if modality == "text" else {modality: guess}
                )
                lines.append("    " + command(self.source, self.binding, **change))
        if not lines:
            first = self.binding.accepts[0]
            lines = ["    " + command(self.source, self.binding, f"--{first} COLUMN")]
        raise UsageError(
            f"{self._name}: which column holds the {' or the '.join(self.binding.accepts)}?"
            f" None is called that; {self._columns_line()}{self.hint}\n" + "\n".join(lines)
        )


_FLOATS = ("halffloat", "float", "double")


def _single(column: str) -> Template:
    return Template(column, (column,), ("", ""))


def _one(given: tuple[tuple[str | None, str], ...], name: str) -> str:
    return next((value for _, value in given if name in value), given[0][1])


def _closest_template(template: Template, names: Iterable[str]) -> str:
    """The template as text, unknown columns replaced by the closest there is."""
    known = list(names)
    parts = [_escaped(template.literals[0])]
    for column, literal in zip(template.columns, template.literals[1:], strict=True):
        better = column if column in known else closest(column, known) or "COLUMN"
        parts += [f"{{{better}}}", _escaped(literal)]
    return "".join(parts)


def _escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")
