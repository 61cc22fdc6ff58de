"""What ``ducho plugins models`` says: the models that extractors know by name."""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ducho_core.cli.output import emit, emit_json, say, table
from ducho_core.cli.plugin_view import select
from ducho_core.errors import UsageError
from ducho_core.specs import ExtractorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.registry import Registry
    from ducho_core.specs import KnownModel

Known = tuple[str, "KnownModel"]


def print_models(registry: Registry, name: str, pattern: str | None, *, as_json: bool) -> None:
    """Print the models of a plugin, or of one of its extractors (PLUGIN/NAME).

    Args:
        registry: the plugins at hand.
        name: plugin or canonical name.
        pattern: keep names that match it as a glob, or hold it as they are; None for all.
        as_json: print JSON.

    Raises:
        PluginError: there is no such plugin, or its list of models is broken.
        UsageError: what is named is no extractor.
    """
    found, problems = select(registry, name)
    for problem in problems:
        say(str(problem.error))
    extractors = [one for one in found if isinstance(one.spec, ExtractorSpec)]
    if not extractors:
        raise UsageError(f"{name} has no extractor, and only extractors know models")
    known: list[Known] = []
    for one in extractors:
        models = one.known_models()
        if models is None:
            say(
                f"{one.canonical} lists no models by name;"
                f" `ducho plugins show {one.canonical}` explains its options"
            )
        known += [(one.canonical, model) for model in models or ()]
    kept = [one for one in known if pattern is None or matches(one[1].name, pattern)]
    if as_json:
        emit_json([{"extractor": extractor, **asdict(model)} for extractor, model in kept])
    elif kept:
        emit(_as_text(kept))
    if known and not kept:
        near = difflib.get_close_matches(pattern or "", [model.name for _, model in known], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        say(f"none of the {len(known)} models of {name} matches {pattern!r}{hint}")


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches a glob, or holds a text without wildcards; case is ignored."""
    name, pattern = name.lower(), pattern.lower()
    if any(sign in pattern for sign in "*?["):
        return fnmatch.fnmatchcase(name, pattern)
    return pattern in name


def _as_text(known: Sequence[Known]) -> str:
    cells: dict[str, list[str]] = {
        "extractor": [extractor for extractor, _ in known],
        "model": [model.name for _, model in known],
        "dim": [str(model.dim or "") for _, model in known],
        "MB": [_size(model.megabytes) for _, model in known],
        "licence": [model.licence or "" for _, model in known],
        "as of": [model.as_of for _, model in known],
        "remark": [model.remark for _, model in known],
    }
    if len(set(cells["extractor"])) == 1:
        del cells["extractor"]
    shown: dict[str, list[Any]] = {head: column for head, column in cells.items() if any(column)}
    return table(list(shown), list(zip(*shown.values(), strict=True)))


def _size(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}"
