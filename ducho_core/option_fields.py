"""The fields of options Structs: what each is called, may be, and means."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import msgspec

from ducho_core.errors import ContractError
from ducho_core.option_text import choices_of, describe_type, members, struct_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXTRA = "ducho"
"""Key in ``msgspec.Meta.extra`` under which ``option`` keeps its rules."""

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_LENGTHS = {"min_length": ">=", "max_length": "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionInfo:
    """What a user may know of one option.

    Attributes:
        name: its key in ``-o key=value``; dotted inside a nested Struct.
        type: its type in words.
        required: whether it has no default.
        default: its default as plain JSON; None where it is required.
        help: what it does.
        bounds: its bounds in words, such as ``>= 1``; empty where it has none.
        choices: the values it may take, where they are few and known.
        since: version that added it, or None.
        in_spec: whether it changes the numbers and enters the SPEC.
        inputs: the inputs that it is about; empty for all.
    """

    name: str
    type: str
    required: bool
    default: Any
    help: str
    bounds: str
    choices: tuple[Any, ...]
    since: str | None
    in_spec: bool
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One option. ``path`` leads to it through nested Structs."""

    path: tuple[str, ...]
    kind: Any
    info: OptionInfo
    rules: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """A nested Struct. ``default`` is its value as plain JSON, where it has one."""

    path: tuple[str, ...]
    kind: Any
    default: Any
    in_spec: bool


@dataclass(slots=True)
class OptionTable:
    """All options of one spec by name, those of both Structs."""

    leaves: dict[str, Leaf] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def add(self, struct: type[msgspec.Struct], *, in_spec: bool) -> None:
        """Take in a Struct.

        Raises:
            ContractError: a name is there already, has no help, or is ``since`` with no default.
        """
        taken = {name.partition(".")[0] for name in (*self.leaves, *self.groups)}
        both = sorted(taken & {one.name for one in msgspec.structs.fields(struct)})
        if both:
            raise ContractError(
                f"{_where(struct)}: {both[0]!r} is declared both as an option and as a run option;"
                " the plugin must keep it in one of the two"
            )
        for one in _walk(struct, in_spec=in_spec):
            name = ".".join(one.path)
            if isinstance(one, Leaf):
                self.leaves[name] = one
            else:
                self.groups[name] = one


def builtins(value: Any) -> Any:
    """A value as plain JSON types: tuples and sets become lists, sets in a fixed order."""
    return _lists(msgspec.to_builtins(value, order="deterministic"))


def in_words(value: Any) -> str:
    """A plain JSON value as one would write it after ``-o key=``."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value or "empty"
    if isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value):
        return ",".join(in_words(one) for one in value) or "empty"
    return json.dumps(value, ensure_ascii=False)


def default_of(one: msgspec.structs.FieldInfo) -> Any:
    """The default of a field that is not required."""
    if one.default is not msgspec.NODEFAULT:
        return one.default
    return one.default_factory()


def annotation(kind: Any) -> tuple[str, dict[str, Any]]:
    """Help and rules of an annotated type, also where they stand inside a union."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        text, rules = annotation(inner)
        for note in notes:
            if isinstance(note, msgspec.Meta):
                text = note.description or text
                rules.update((note.extra or {}).get(EXTRA, {}))
        return text, rules
    if len(members(kind)) > 1:
        for part in get_args(kind):
            text, rules = annotation(part)
            if text:
                return text, rules
    return "", {}


def check_rules(value: Any, rules: Mapping[str, Any]) -> None:
    """Hold a value against its bounds.

    Raises:
        ValueError: it breaks one; says which.
    """
    for number in _numbers(value):
        if not math.isfinite(number):
            raise ValueError("expected a finite number")
        for rule, sign in _SIGNS.items():
            if rule in rules and not _holds(number, rule, rules[rule]):
                raise ValueError(f"{number!r} is not {sign} {rules[rule]:g}")
    if isinstance(value, (str, list, tuple, dict)):
        few = rules.get("min_length", 0)
        many = rules.get("max_length", math.inf)
        if not few <= len(value) <= many:
            raise ValueError(f"its length, {len(value)}, is not {_lengths(rules)}")


def _walk(
    struct: type[msgspec.Struct],
    *,
    in_spec: bool,
    above: tuple[str, ...] = (),
    base: Any = None,
    optional: bool = False,
    since: str | None = None,
    inputs: tuple[str, ...] = (),
) -> Iterator[Leaf | Group]:
    for one in msgspec.structs.fields(struct):
        path = (*above, one.name)
        text, rules = annotation(one.type)
        if rules.get("since") and one.required:
            raise ContractError(
                f"{_where(struct)}: option {'.'.join(path)!r} is marked since {rules['since']} and"
                " has no default; an option that is added needs one"
            )
        inherited = rules.get("since", since)
        about = tuple(rules.get("inputs", inputs))
        required = one.required and not optional
        default = None
        if base is not None:
            default = getattr(base, one.name)
        elif not one.required:
            default = default_of(one)
        nested = struct_of(one.type)
        if nested is not None:
            yield Group(path, one.type, builtins(default), in_spec)
            yield from _walk(
                nested,
                in_spec=in_spec,
                above=path,
                base=default,
                optional=optional or not one.required,
                since=inherited,
                inputs=about,
            )
            continue
        if not text:
            raise ContractError(
                f"{_where(struct)}: option {'.'.join(path)!r} has no help; declare it as"
                f" {one.name}: Annotated[..., option(help=...)]"
            )
        info = OptionInfo(
            name=".".join(path),
            type=describe_type(one.type),
            required=required,
            default=builtins(default),
            help=text,
            bounds=_bounds(rules),
            choices=choices_of(one.type),
            since=inherited,
            in_spec=in_spec,
            inputs=about,
        )
        yield Leaf(path, one.type, info, rules)


def _lists(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_lists(one) for one in value]
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items()}
    return value


def _where(struct: type) -> str:
    return f"{struct.__module__}:{struct.__qualname__}"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _numbers(one)


def _holds(number: float, rule: str, bound: float) -> bool:
    if rule == "ge":
        return number >= bound
    if rule == "gt":
        return number > bound
    return number <= bound if rule == "le" else number < bound


def _lengths(rules: Mapping[str, Any]) -> str:
    return " and ".join(
        f"{sign} {rules[rule]}" for rule, sign in _LENGTHS.items() if rule in rules
    )


def _bounds(rules: Mapping[str, Any]) -> str:
    words = [f"{sign} {rules[rule]:g}" for rule, sign in _SIGNS.items() if rule in rules]
    lengths = _lengths(rules)
    return ", ".join([*words, f"length {lengths}"] if lengths else words)
