"""A translated configuration as a recipe, with comments."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ducho_core.ducho2.plan import Fused
from ducho_core.ducho2.tree import EXPORTER, FUSERS, export_options, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ducho_core.ducho2.plan import Branch, Extraction, Plan, Vectors
    from ducho_core.ducho2.remarks import Remark, Remarks

_WIDTH = 96


def recipe_text(plan: Plan, remarks: Remarks, *, name: str, folder: str, store: str | None) -> str:
    """The recipe's text.

    Args:
        plan: the translated configuration.
        remarks: become comments.
        name: file name of the configuration.
        folder: the folder that the recipe is for, to which its paths become relative.
        store: the store's folder, or None for a recipe's own default.
    """
    paths = [one.path for one in plan.extractions]
    general = [str(one) for one in remarks.lines if not _about(one, paths)]
    if folder and any(one.request.plugin == "custom/model" for one in plan.extractions):
        general.append("Files that options name are found from the folder that ducho starts in.")
    lines = [
        *_comment(f"Made from {name}, a configuration of Ducho 2.0, by ducho convert-config."),
        *(line for one in general for line in _comment(one)),
        *_yaml(
            {"store": _relative(store, folder) if store else "features"}, flow=False
        ).splitlines(),
        "extractions:",
    ]
    for extraction in plan.extractions:
        said = [one for one in remarks.lines if _about(one, [extraction.path])]
        lines += [
            "",
            *(line for one in said for line in _comment(str(one), "  ")),
            *_entry(_fields(extraction, folder)),
        ]
    lines += _section("fusions", _fusions(plan))
    lines += _section("exports", _exports(plan, folder))
    return "\n".join(lines) + "\n"


def _fields(extraction: Extraction, folder: str) -> dict[str, Any]:
    """What of a request is not the default, its paths from the recipe's folder."""
    request = extraction.request
    fields: dict[str, Any] = {"name": extraction.name}
    for field in msgspec.structs.fields(type(request)):
        value = getattr(request, field.name)
        if value != field.default:
            fields[field.name] = list(value) if isinstance(value, tuple) else value
    for key in ("source", "root"):
        if key in fields:
            fields[key] = _relative(fields[key], folder)
    return fields


def set_names(plan: Plan) -> dict[Vectors, str]:
    """What a recipe calls each embedding, ``NAME:OUTPUT``."""
    return {one: one.of(_set_name(plan, one)) for one in _vectors(plan)}


def _set_name(plan: Plan, vectors: Vectors) -> str:
    extraction = plan.extractions[vectors.extraction]
    both = extraction.request.image is not None and bool(extraction.request.text)
    return f"{extraction.name}-{'-'.join(vectors.requires)}" if both else extraction.name


def _vectors(plan: Plan) -> list[Vectors]:
    found: list[Vectors] = []
    for branch in plan.branches:
        one = branch.vectors
        found += [one.picture, one.text] if isinstance(one, Fused) else [one]
    return list(dict.fromkeys(found))


def _fused_name(plan: Plan, fused: Fused) -> str:
    return f"{plan.extractions[fused.picture.extraction].name}-{fused.how}"


def _fusions(plan: Plan) -> list[dict[str, Any]]:
    names = set_names(plan)
    found = {}
    for branch in plan.branches:
        fused = branch.vectors
        if isinstance(fused, Fused):
            found[_fused_name(plan, fused)] = {
                "name": _fused_name(plan, fused),
                "sets": [names[fused.picture], names[fused.text]],
                "how": FUSERS[fused.how],
                "missing": "drop",
            }
    return list(found.values())


def _exports(plan: Plan, folder: str) -> list[dict[str, Any]]:
    names = set_names(plan)
    return [
        {
            "sets": [_called(plan, one, names) for one in branches],
            "to": EXPORTER,
            "out": _relative(out, folder),
            "options": export_options([one.parts for one in branches]),
        }
        for out, branches in grouped(plan.branches).items()
    ]


def _called(plan: Plan, branch: Branch, names: dict[Vectors, str]) -> str:
    vectors = branch.vectors
    return _fused_name(plan, vectors) if isinstance(vectors, Fused) else names[vectors]


def _section(title: str, entries: Sequence[dict[str, Any]]) -> list[str]:
    if not entries:
        return []
    return ["", f"{title}:", *(line for entry in entries for line in _entry(entry))]


def _entry(fields: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for key, value in fields.items():
        text = _yaml({key: value}, flow=None if isinstance(value, dict | list) else False)
        if any(len(line) > _WIDTH - 4 for line in text.splitlines()):
            text = _yaml({key: value}, flow=False)
        lines += text.splitlines()
    return [f"  {'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines)]


def _yaml(value: dict[str, Any], *, flow: bool | None) -> str:
    text: str = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=flow
    )
    return text


def _comment(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _about(remark: Remark, paths: Iterable[str]) -> bool:
    return any(remark.path == path or remark.path.startswith(f"{path}.") for path in paths)


def _relative(path: str, folder: str) -> str:
    return path if os.path.isabs(path) else os.path.relpath(path, folder or ".")
