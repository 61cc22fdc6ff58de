"""From what the user said and the columns there are to keys and inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ducho_core.catalogue import KEY_COLUMNS, InputField
from ducho_core.errors import UsageError
from ducho_core.loaders.cleaning import check_cleaning
from ducho_core.loaders.globs import PathTemplate
from ducho_core.loaders.keys import settle_keys
from ducho_core.loaders.suggest import closest, command
from ducho_core.loaders.templates import Template, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ducho_core.catalogue import Storage
    from ducho_core.loaders.header import Header
    from ducho_core.loaders.reading import TableColumn
    from ducho_core.specs import Modality

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = (*KEY_COLUMNS, "image", "audio")


@dataclass(frozen=True, slots=True)
class BoundInput:
    """An input and where its values come from.

    Attributes:
        field: the input as the core sees it.
        template: the template of its text or path; one column alone is a template too.
        path: the same as a glob, where it holds one.
        slots: whether one row may give several values.
    """

    field: InputField
    template: Template
    path: PathTemplate | None = None
    slots: bool = False

    def joined(self) -> BoundInput:
        """The same with all values of a row in a list."""
        return replace(self, field=replace(self.field, joint=True))


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


def settle(header: Header) -> Settled:
    """Settle keys and inputs of a table.

    Raises:
        UsageError: something does not exist or fit; with the corrected command.
    """
    check_cleaning(header.binding.cleaning)
    keys = settle_keys(header)
    inputs = [*_media(header, "image"), *_media(header, "audio"), *_texts(header)]
    if not inputs:
        header.nothing_bound()
    slotted = [one.field.name for one in inputs if one.slots]
    if slotted and any(name == "slot" for name, _ in keys):
        raise UsageError(
            f"{header.name}: slots come both from the key column 'slot' and from"
            f" {' and '.join(slotted)}; bind one of them"
        )
    if header.binding.slots == "joint":
        inputs = [one.joined() if one.slots else one for one in inputs]
    return Settled(keys, tuple(inputs), tuple(header.remarks))


def _media(header: Header, modality: Modality) -> list[BoundInput]:
    flag = header.binding.image if modality == "image" else header.binding.audio
    if modality not in header.binding.accepts:
        if flag is not None:
            _not_accepted(header, modality)
        return []
    if flag is None:
        if modality not in header.columns:
            return []
        header.remarks.append(f"{modality}: column {modality!r}")
        flag = modality
    if flag in header.columns:
        return [_media_column(header, modality, flag)]
    template = parse_template(flag)
    _check_columns(header, f"--{modality}", template, lambda better: {modality: better})
    if not template.columns:
        if "/" not in flag and "*" not in flag:
            better = closest(flag, header.columns) or "COLUMN"
            header.no_column(f"--{modality}", flag, **{modality: better})
        header.remarks.append(f"{modality}: {flag!r} names no column: every item gets the same")
    if template.column is not None:
        return [_media_column(header, modality, template.column)]
    path = PathTemplate.of(template)
    lists = [name for name in template.columns if header.columns[name].kind == "texts"]
    if path and lists:
        raise UsageError(
            f"--{modality} {flag!r}: slots come both from the glob and from the list column"
            f" {lists[0]!r}; keep one of them"
        )
    settled = InputField(name=modality, modality=modality, storage="path")
    return [BoundInput(settled, template, path, slots=bool(path or lists))]


def _media_column(header: Header, modality: Modality, name: str) -> BoundInput:
    kind = header.columns[name].kind
    if kind == "other":
        header.unusable(f"--{modality}", name)
    storage: Storage = "bytes" if kind in ("bytes", "many_bytes") else "path"
    settled = InputField(name=modality, modality=modality, storage=storage)
    return BoundInput(settled, _single(name), slots=kind in ("texts", "many_bytes"))


def _texts(header: Header) -> list[BoundInput]:
    given = header.binding.texts
    if "text" not in header.binding.accepts:
        if given:
            _not_accepted(header, "text")
        return []
    if not given:
        if "text" not in header.columns:
            return []
        header.remarks.append("text: column 'text'")
        given = (("text", "text"),)
    elif not header.binding.multiple_texts:
        _check_single(header)
    several = len(given) > 1
    bound = [_text(header, name, value, several=several) for name, value in given]
    names = [one.field.name for one in bound]
    for name, (_, value) in zip(names, given, strict=True):
        if names.count(name) > 1:
            raise UsageError(
                f"two texts would be called {name!r}: name them apart with --text NAME={value}"
            )
    return bound


def _check_single(header: Header) -> None:
    given = header.binding.texts
    if len(given) > 1:
        parts = [f"{{{value}}}" if value in header.columns else value for _, value in given]
        raise UsageError(
            f"this extractor takes one text, and --text is given {len(given)} times; a template"
            " joins columns:\n    "
            + command(header.source, header.binding, texts=((None, ". ".join(parts)),))
        )
    name, value = given[0]
    if name is not None:
        raise UsageError(
            f"this extractor takes one text without a name, not --text {name}=…:\n    "
            + command(header.source, header.binding, texts=((None, value),))
        )


def _text(header: Header, name: str | None, value: str, *, several: bool) -> BoundInput:
    def change(better: str) -> dict[str, object]:
        given = header.binding.texts
        return {"texts": tuple((one, better if text == value else text) for one, text in given)}

    if value in header.columns:
        template = _single(value)
    else:
        template = parse_template(value)
        if not template.columns:
            better = closest(value, header.columns) or "COLUMN"
            header.no_column("--text", value, **change(better))
        _check_columns(header, "--text", template, change)
    for column in template.columns:
        _check_text_column(header, header.columns[column], alone=template.column is not None)
    settled = InputField(
        name=_text_name(header, name, template, several=several),
        modality="text",
        storage="inline",
        columns=tuple(dict.fromkeys(template.columns)),
        template=None if template.column is not None else template.text,
        cleaning=header.binding.cleaning,
    )
    lists = any(header.columns[column].kind == "texts" for column in template.columns)
    return BoundInput(settled, template, slots=lists)


def _text_name(header: Header, name: str | None, template: Template, *, several: bool) -> str:
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
            header.remarks.append(f"text: column {template.column!r} is the input {name}")
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise UsageError(
            f"a text cannot be called {name!r}: take letters, digits and _, and not"
            f" {', '.join(_RESERVED)}; write --text NAME={template.column or '…'}"
        )
    return name


def _check_text_column(header: Header, column: TableColumn, *, alone: bool) -> None:
    if column.kind not in ("text", "texts") and not _is_binary(column):
        header.unusable("--text", column.name)
    if column.type and column.kind != "texts" and alone:
        header.remarks.append(f"text: column {column.name!r} holds {column.type}, read as text")


def _check_columns(
    header: Header,
    flag: str,
    template: Template,
    change: Callable[[str], Mapping[str, object]],
) -> None:
    for name in template.columns:
        if name not in header.columns:
            header.no_column(flag, name, **change(_closest_template(template, header.columns)))
        column = header.columns[name]
        usable = column.kind in ("text", "texts") or _is_binary(column)
        if template.column is None and not usable:
            header.unusable(flag, name)


def _is_binary(column: TableColumn) -> bool:
    """Whether it is plain binary, as some writers store texts; not an embedded file."""
    return column.kind == "bytes" and column.key


def _not_accepted(header: Header, modality: str) -> NoReturn:
    raise UsageError(
        f"this extractor takes {' and '.join(header.binding.accepts)}, not --{modality}"
    )


def _single(column: str) -> Template:
    return Template(column, (column,), ("", ""))


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
