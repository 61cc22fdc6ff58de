"""From the text of an option to a value of its type, and from a type to words."""

from __future__ import annotations

import enum
import json
import math
import re
import types
import typing
from typing import Annotated, Any, Literal, Union

import msgspec

_INTEGER = re.compile(r"[+-]?[0-9]+")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_SEQUENCES = (list, tuple, set, frozenset)


def bare(kind: Any) -> Any:
    """The type without its annotations."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone; without annotations."""
    kind = bare(kind)
    if typing.get_origin(kind) in (Union, types.UnionType):
        return tuple(one for part in typing.get_args(kind) for one in members(part))
    return (kind,)


def struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The Struct that a type is, or is apart from None."""
    structs = [
        one for one in members(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct)
    ]
    return structs[0] if structs else None


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values of the literals and enumerations in a type, looking into lists too."""
    found: list[Any] = []
    for one in members(kind):
        if typing.get_origin(one) is Literal:
            found += typing.get_args(one)
        elif isinstance(one, type) and issubclass(one, enum.Enum):
            found += [member.value for member in one]
        elif typing.get_origin(one) in _SEQUENCES:
            found += choices_of(_item_type(one))
    return tuple(found)


def describe_type(kind: Any) -> str:
    """A type in words: ``list of str``, ``int or none``."""
    return " or ".join(dict.fromkeys(_describe_one(one) for one in members(kind)))


def parse_text(text: str, kind: Any) -> Any:
    """Turn an option's text into a value of its type.

    Raises:
        ValueError: the text is no such value; says what would be.
        OSError: a file named by ``@FILE`` cannot be read.
    """
    problems: list[str] = []
    for one in sorted(members(kind), key=_rank):
        try:
            return _parse_one(text, one)
        except ValueError as error:
            if one is not type(None):
                problems.append(str(error))
    raise ValueError(problems[-1] if len(problems) == 1 else f"expected {describe_type(kind)}")


def _rank(kind: Any) -> int:
    """Text fits every ``str``, so ``str`` is tried last, and ``none`` first."""
    if kind in (type(None), None):
        return 0
    if typing.get_origin(kind) is Literal:
        return 1
    order: tuple[Any, ...] = (bool, int, float)
    if kind in order:
        return 2 + order.index(kind)
    return 7 if kind in (str, Any) else 6


def _parse_one(text: str, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if kind in (type(None), None):
        if text == "none":
            return None
        raise ValueError("expected none")
    if kind is str:
        return _read_text(text)
    if kind is bool:
        return _parse_bool(text)
    if kind is int:
        if _INTEGER.fullmatch(text.strip()):
            return int(text)
        raise ValueError("expected a whole number")
    if kind is float:
        return _parse_float(text)
    if origin is Literal:
        return _parse_choice(text, {str(value): value for value in typing.get_args(kind)})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _parse_choice(text, {str(member.value): member for member in kind})
    if origin in _SEQUENCES or kind in _SEQUENCES:
        return _parse_sequence(text, kind)
    if origin is dict or kind is dict or struct_of(kind) is not None:
        return _convert(_parse_json(text, dict, '{"key": 1}'), kind)
    if kind is Any:
        try:
            return json.loads(text)
        except ValueError:
            return _read_text(text)
    return _convert(text, kind)


def _read_text(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    with open(text[1:], "rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the file {text[1:]} is no UTF-8 text (a text that begins with @ is written @@)"
        ) from error


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("expected true or false")


def _parse_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _parse_choice(text: str, values: dict[str, Any]) -> Any:
    if text in values:
        return values[text]
    raise ValueError(f"expected one of: {', '.join(values)}")


def _parse_sequence(text: str, kind: Any) -> Any:
    if text.lstrip().startswith("["):
        return _convert(_parse_json(text, list, '["a", "b"]'), kind)
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    inner = typing.get_args(kind)
    fixed = typing.get_origin(kind) is tuple and inner and inner[-1] is not Ellipsis
    if fixed and len(parts) != len(inner):
        raise ValueError(f"expected {len(inner)} values, got {len(parts)}")
    item_types = inner if fixed else [_item_type(kind)] * len(parts)
    values = [
        part if bare(item) is str else parse_text(part, item)
        for part, item in zip(parts, item_types, strict=True)
    ]
    return (typing.get_origin(kind) or kind)(values)


def _parse_json(text: str, shape: type, example: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"expected JSON such as {example} ({error})") from None
    if not isinstance(value, shape):
        raise ValueError(f"expected JSON such as {example}")  # noqa: TRY004 - one kind of fault
    return value


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(readable(error)) from None


def readable(error: msgspec.ValidationError) -> str:
    """Msgspec's message without its own notation."""
    message = str(error).replace("`", "")
    message = re.sub(r" - at \$\.?(\S+)", r" at \1", message)
    message = message.removesuffix(" - at $")
    return message[:1].lower() + message[1:]


def _item_type(kind: Any) -> Any:
    inner = typing.get_args(kind)
    return inner[0] if inner else str


def _describe_one(kind: Any) -> str:
    origin = typing.get_origin(kind)
    inner = typing.get_args(kind)
    if kind in (type(None), None):
        return "none"
    if origin is Literal:
        return " or ".join(str(value) for value in inner)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(str(member.value) for member in kind)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return ", ".join(describe_type(one) for one in inner)
    if origin in _SEQUENCES or kind in _SEQUENCES:
        return f"list of {describe_type(_item_type(kind))}"
    if origin is dict or kind is dict:
        return "JSON object"
    if kind is Any:
        return "any"
    return str(getattr(kind, "__name__", kind))
