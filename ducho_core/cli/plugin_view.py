"""What ``ducho plugins show`` says of a spec."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ducho_core.errors import PluginError
from ducho_core.hooks import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import msgspec

    from ducho_core.found import Found
    from ducho_core.hooks import Problem
    from ducho_core.registry import Registry
    from ducho_core.specs import PluginSpec

_WIDTH = 96
_HEADINGS = {
    "extractor": "options, which change the numbers (-o key=value):",
    "loader": "options (--loader-option key=value):",
}


def select(registry: Registry, name: str) -> tuple[list[Found[PluginSpec]], list[Problem]]:
    """The specs of a plugin, or those called PLUGIN/NAME, and what is wrong with others.

    Raises:
        PluginError: there is no such plugin or spec, or it cannot be used.
    """
    plugin, slash, spec_name = name.partition("/")
    every = registry.specs(plugin)
    problems = list(registry.load_sound(plugin).problems)
    if not slash:
        return every, problems
    chosen = [one for one in every if one.spec.name == spec_name]
    if chosen:
        return chosen, []
    for problem in problems:
        if problem.name in (None, spec_name):
            raise problem.error
    raise registry.missing_spec(plugin, spec_name)


def view(found: Found[PluginSpec], *, alone: bool) -> dict[str, Any]:
    """All there is to say of a spec, as plain JSON.

    Args:
        found: the spec.
        alone: raise where its options cannot be imported, rather than say so under ``error``.
    """
    kind = next(kind for kind, wanted in KINDS.items() if isinstance(found.spec, wanted))
    fields = {key: value for key, value in asdict(found.spec).items() if key != "name"}
    fields |= {"options": [], "run_options": [], "error": None}
    try:
        fields["options"] = _described(found.options_type(), in_spec=True)
        fields["run_options"] = _described(found.run_options_type(), in_spec=False)
    except PluginError as error:
        if alone:
            raise
        fields["error"] = str(error)
    return {
        "name": found.canonical,
        "kind": kind,
        "distribution": found.distribution,
        "version": found.version,
        **fields,
    }


def as_text(one: Mapping[str, Any]) -> str:
    """A view for a person."""
    lines = [f"{one['name']}  {one['kind']}, {one['distribution']} {one['version']}"]
    lines.append(f"  {one['summary']}")
    lines += [f"  {label:<12}{value}" for label, value in _facts(one)]
    if one["error"]:
        lines.append(f"  {one['error']}")
    if one["options"]:
        lines.append(f"  {_HEADINGS.get(one['kind'], 'options:')}")
        lines += _option_lines(one["options"])
    if one["run_options"]:
        lines.append("  run options, which do not (-o key=value):")
        lines += _option_lines(one["run_options"])
    return "\n".join(lines)


def _described(struct: type[msgspec.Struct] | None, *, in_spec: bool) -> list[dict[str, Any]]:
    from ducho_core.options import describe

    return [] if struct is None else [asdict(one) for one in describe(struct, in_spec=in_spec)]


def _facts(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    if one["kind"] == "loader":
        reads = [f"{scheme}:" for scheme in one["schemes"]] + list(one["suffixes"])
        if one["directories"]:
            reads.append("folders")
        return [("reads", ", ".join(reads) or "only where it is named")]
    if one["kind"] != "extractor":
        return []
    takes = ", ".join(one["inputs"]) + (" (several texts)" if one["multiple_texts"] else "")
    takes += ", all of an item's slots at once if wanted" if one["joint"] else ""
    plugin = one["name"].partition("/")[0]
    budget = f", of cost up to {one['batch_budget']}" if one["batch_budget"] else ""
    facts = [
        ("takes", takes),
        ("precision", f"{one['default_precision']} where --precision does not say"),
        (
            "batches",
            f"up to {one['batch_size']} items{budget}; chunks of {one['chunk_size']} rows",
        ),
    ]
    if one["models"]:
        facts.append(("models", f"`ducho plugins models {one['name']}` lists them"))
    return [("short name", f"--plugin {plugin}"), *facts] if one["default"] else facts


def _option_lines(options: Sequence[Mapping[str, Any]]) -> list[str]:
    from ducho_core.option_fields import in_words

    width = max(len(one["name"]) for one in options)
    lines: list[str] = []
    for one in options:
        facts = [one["type"]]
        if one["bounds"]:
            facts.append(one["bounds"])
        facts.append("required" if one["required"] else f"default {in_words(one['default'])}")
        if one["inputs"]:
            facts.append(f"about {' and '.join(one['inputs'])} only")
        if one["since"]:
            facts.append(f"since {one['since']}")
        wrapped = textwrap.wrap(one["help"], max(_WIDTH - width - 6, 40))
        for number, text in enumerate([*wrapped, "; ".join(facts)]):
            lines.append(f"    {one['name'] if number == 0 else '':<{width}}  {text}")
    return lines
