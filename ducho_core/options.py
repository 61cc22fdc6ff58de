"""Typed options: declare, parse, check, explain.

An options Struct declares each field with a help text and bounds::

    class TimmOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        model: Annotated[str, option(help="timm model name")]
        layers: Annotated[tuple[str, ...], option(help="layers to take", since="3.1")] = ()
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ducho_core.errors import OptionError
from ducho_core.option_fields import (
    EXTRA,
    Group,
    Leaf,
    OptionInfo,
    OptionTable,
    annotation,
    builtins,
    check_rules,
    default_of,
    in_words,
)
from ducho_core.option_text import members, parse_text, readable

__all__ = [
    "OptionInfo",
    "build_options",
    "describe",
    "option",
    "parse_options",
    "restore_options",
    "spec_options",
]

S = TypeVar("S", bound=msgspec.Struct)

_CORE_FLAGS = {
    "batch_budget": "--batch-budget",
    "batch_size": "--batch-size",
    "chunk_size": "--chunk-size",
    "engine": "--engine",
    "precision": "--precision",
    "workers": "--workers",
}


def option(
    *,
    help: str,  # noqa: A002 - reads as it does in click
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    since: str | None = None,
    inputs: Sequence[str] = (),
    path: bool = False,
) -> msgspec.Meta:
    """Describe one field of an options Struct: ``Annotated[T, option(help="...")]``.

    Args:
        help: what the option does, for ``ducho plugins show``.
        ge: the number, or each number of a list, must be at least this.
        gt: must be more than this.
        le: must be at most this.
        lt: must be less than this.
        min_length: fewest characters of a text or values of a list.
        max_length: most characters of a text or values of a list.
        since: version of the plugin that added the option. At its default it is left out of
            the SPEC, so that feature sets made before keep their fingerprint. Needs a default.
        inputs: the inputs that the option is about (``image``, ``text``, ``audio``; texts of
            every name are ``text``), where it is not about all: it is left out of the SPECs of
            sets that require none of them. For extractors whose outputs require different
            inputs.
        path: whether it is a path: relative to the folder of a recipe that gives it, for
            fusers and exporters; what is recorded of it is its last part alone.
    """
    rules = {
        "ge": ge,
        "gt": gt,
        "le": le,
        "lt": lt,
        "min_length": min_length,
        "max_length": max_length,
        "since": since,
        "inputs": tuple(inputs) or None,
        "path": path or None,
    }
    given = {name: value for name, value in rules.items() if value is not None}
    return msgspec.Meta(description=help, extra={EXTRA: given})


def describe(struct: type[msgspec.Struct], *, in_spec: bool = True) -> list[OptionInfo]:
    """All options of a Struct, nested ones under dotted names, in order of declaration.

    Args:
        struct: the options Struct.
        in_spec: False for a RunOptions Struct.

    Raises:
        ContractError: a field has no help text, or ``since`` without a default.
    """
    table = OptionTable()
    table.add(struct, in_spec=in_spec)
    return [leaf.info for leaf in table.leaves.values()]


def parse_options(
    spec_name: str,
    options_type: type[msgspec.Struct] | None,
    run_options_type: type[msgspec.Struct] | None,
    pairs: Sequence[str],
) -> tuple[Any, Any]:
    """Turn the ``key=value`` texts of a command line into both option structs.

    Args:
        spec_name: canonical name of the plugin's spec, for messages.
        options_type: the Struct that enters the SPEC, or None where there is none.
        run_options_type: the RunOptions Struct; None accepts no run option.
        pairs: ``key=value`` texts in the order given.

    Returns:
        The options (None where ``options_type`` is None) and the run options (the base
        ``RunOptions`` at its defaults where ``run_options_type`` is None).

    Raises:
        OptionError: an unknown or repeated key, or a wrong value.
        ContractError: a key is declared in both structs.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise OptionError(f"{spec_name}: an option is written -o key=value, not {pair!r}")
        if key in given:
            raise OptionError(
                f"{spec_name}: option {key!r} is given twice, as {key}={_short(given[key])} and as"
                f" {key}={_short(text)}; give it once (a list is written {key}=A,B)"
            )
        given[key] = text
    return build_options(spec_name, options_type, run_options_type, given)


def build_options(
    spec_name: str,
    options_type: type[msgspec.Struct] | None,
    run_options_type: type[msgspec.Struct] | None,
    mapping: Mapping[str, Any],
) -> tuple[Any, Any]:
    """Make both option structs from a mapping, as a recipe has it.

    A text is read as it would be on the command line; other values must have the option's
    type. Nested structs may be mappings or dotted keys. See ``parse_options`` for the rest.
    """
    table = OptionTable()
    if options_type is not None:
        table.add(options_type, in_spec=True)
    if run_options_type is not None:
        table.add(run_options_type, in_spec=False)
    trees: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    seen: set[str] = set()
    for key, value in _flatten(spec_name, mapping, table):
        clash = [
            one for one in seen if f"{one}.".startswith(f"{key}.") or key.startswith(f"{one}.")
        ]
        if clash:
            raise OptionError(
                f"{spec_name}: option {key!r} is given twice, by itself and within another"
                f" ({', '.join({key, clash[0]} - {key}) or key.rpartition('.')[0]}); give it once"
            )
        seen.add(key)
        target: Leaf | Group = table.leaves.get(key) or table.groups[key]
        tree = trees[target.info.in_spec if isinstance(target, Leaf) else target.in_spec]
        for depth in range(1, len(target.path)):
            default = table.groups[".".join(target.path[:depth])].default
            tree = tree.setdefault(target.path[depth - 1], dict(default or {}))
        tree[target.path[-1]] = value
    for name, leaf in table.leaves.items():
        if leaf.info.required and name not in seen:
            raise OptionError(
                f"{spec_name} needs the option {name!r}: {leaf.info.help}; give -o {name}=..."
            )
    options = None if options_type is None else _struct(spec_name, options_type, trees[True])
    return options, _struct(spec_name, run_options_type or _run_options(), trees[False])


def spec_options(
    options: msgspec.Struct | None, requires: Collection[str] | None = None
) -> dict[str, Any]:
    """What a SPEC holds of the options: plain JSON with every default expanded.

    Options marked ``since`` are left out at their default.

    Args:
        options: the options.
        requires: the inputs that the set requires, by name and modality: options about other
            inputs are left out. None leaves none out.
    """
    if options is None:
        return {}
    # A default written 1 for a float must give the same SPEC as the value 1.0.
    return _spec_tree(msgspec.convert(builtins(options), type(options)), requires)


def place_paths(options: S | None, folder: str | None) -> S | None:
    """The options with those that are paths taken to be relative to a folder."""
    if options is None or folder is None:
        return options
    placed = {
        one.name: os.path.join(folder, value)
        for one in msgspec.structs.fields(type(options))
        if annotation(one.type)[1].get("path")
        and isinstance(value := getattr(options, one.name), str)
    }
    return msgspec.structs.replace(options, **placed) if placed else options


def restore_options(options_type: type[S], mapping: Mapping[str, Any]) -> S:
    """The options that ``spec_options`` made a mapping from; texts are taken verbatim.

    Raises:
        OptionError: the mapping does not fit the Struct.
    """
    return _struct(options_type.__name__, options_type, dict(mapping))


def _run_options() -> type[msgspec.Struct]:
    from ducho_core.extractor import RunOptions

    return RunOptions


def _flatten(
    spec_name: str, mapping: Mapping[str, Any], table: OptionTable, above: str = ""
) -> Iterator[tuple[str, Any]]:
    for part, value in mapping.items():
        key = f"{above}{part}"
        group = table.groups.get(key)
        if group is not None:
            inner = _group_value(spec_name, key, group, value)
            if inner is None:
                yield key, None
            else:
                yield from _flatten(spec_name, inner, table, f"{key}.")
        elif key in table.leaves:
            yield key, _leaf_value(spec_name, table.leaves[key], value)
        else:
            raise OptionError(_unknown(spec_name, key, list(table.leaves)))


def _group_value(spec_name: str, key: str, group: Group, value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value != "none":
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        return value
    if value in (None, "none") and type(None) in members(group.kind):
        return None
    raise OptionError(
        f"{spec_name}: option {key!r} holds several values, not {_short(value)!r};"
        f" give them one by one, as in -o {key}.NAME=VALUE"
    )


def _leaf_value(spec_name: str, leaf: Leaf, value: Any) -> Any:
    try:
        if isinstance(value, str):
            settled = builtins(parse_text(value, leaf.kind))
        else:
            settled = builtins(msgspec.convert(value, leaf.kind))
        check_rules(settled, leaf.rules)
    except msgspec.ValidationError as error:
        problem = readable(error)
    except OSError as error:
        problem = (
            f"the file {error.filename!r} cannot be read ({error.strerror}); a text that begins"
            " with @ is written @@"
        )
    except ValueError as error:
        problem = str(error)
    else:
        return settled
    info = leaf.info
    facts = [info.type]
    if info.bounds:
        facts.append(info.bounds)
    facts.append("required" if info.required else f"default {in_words(info.default)}")
    raise OptionError(
        f"{spec_name}: wrong value for option {info.name!r}, {_short(value)!r}: {problem}\n"
        f"  {info.name} ({', '.join(facts)}): {info.help}"
    )


def _unknown(spec_name: str, key: str, names: Sequence[str]) -> str:
    flag = _CORE_FLAGS.get(key.replace("-", "_"))
    near = difflib.get_close_matches(key, names, n=1)
    if flag is not None:
        hint = f"; that is a flag of the command: {flag}"
    else:
        hint = f"; did you mean {near[0]!r}?" if near else ""
    known = f"its options: {', '.join(names)}" if names else "it has none"
    return (
        f"{spec_name} has no option {key!r}{hint}\n"
        f"  {known} (ducho plugins show {spec_name} explains them)"
    )


def _struct(spec_name: str, kind: type[S], tree: dict[str, Any]) -> S:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise OptionError(
            f"{spec_name}: the options do not fit together: {readable(error)}"
        ) from error


def _spec_tree(options: msgspec.Struct, requires: Collection[str] | None) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for one in msgspec.structs.fields(type(options)):
        value = getattr(options, one.name)
        plain = builtins(value)
        rules = annotation(one.type)[1]
        if rules.get("since") and not one.required and plain == builtins(default_of(one)):
            continue
        about = rules.get("inputs")
        if about and requires is not None and not set(about) & set(requires):
            continue
        if rules.get("path") and isinstance(plain, str):
            plain = os.path.basename(os.path.normpath(plain))
        nested = isinstance(value, msgspec.Struct)
        tree[one.name] = _spec_tree(value, requires) if nested else plain
    return tree


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
