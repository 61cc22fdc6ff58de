"""Ducho 2.0's output tree in terms of fusers and of the exporter ``ducho2``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ducho_core.ducho2.plan import Branch

FUSERS = {"sum": "core/sum", "concat": "core/concat", "mul": "core/mul", "mean": "core/mean"}
"""Fusion as Ducho 2.0 calls it to the fuser."""

EXPORTER = "core/ducho2"
REPORT = "export.json"

Parts = tuple[str, str, str]
"""Backend, model and layer."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A branch that an earlier export wrote.

    Attributes:
        name: the embedding, ``FINGERPRINT:OUTPUT``.
        parts: where it lies.
    """

    name: str
    parts: Parts


def grouped(branches: Iterable[Branch]) -> dict[str, list[Branch]]:
    """Branches by the folder that they are written below."""
    found: dict[str, list[Branch]] = {}
    for branch in branches:
        found.setdefault(branch.folder, []).append(branch)
    return found


def export_options(places: Sequence[Parts]) -> dict[str, list[str]]:
    """Options of the exporter for embeddings that go to these places, in their order."""
    columns = [list(column) for column in zip(*places, strict=True)]
    return dict(zip(("backend", "model", "layer"), columns, strict=True))


def earlier_branches(folder: str) -> list[Earlier]:
    """What lies in a folder out of an earlier export, none where there is no such export."""
    try:
        with open(os.path.join(folder, REPORT), encoding="utf-8") as file:
            report: Any = json.load(file)
        if report["exporter"] != EXPORTER:
            return []
        options, sets = report["options"], report["sets"]
        columns = [
            list(options[name]) * len(sets) if len(options[name]) == 1 else options[name]
            for name in ("backend", "model", "layer")
        ]
        return [
            Earlier(f"{one['fingerprint']}:{one['output']}", (backend, model, layer))
            for one, backend, model, layer in zip(sets, *columns, strict=True)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
