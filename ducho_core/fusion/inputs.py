"""The feature sets that are fused or exported, opened and held against each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import UsageError
from ducho_core.store.spec import maker

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from ducho_core.fuser import Vectors
    from ducho_core.store import FeatureSet, Store


@dataclass(frozen=True, slots=True)
class SetInput:
    """One output of an opened set.

    Attributes:
        features: the set.
        output: which output.
        dim: length of its vectors; 0 of a text.
        name: how the user calls it.
        label: a word for columns and files, different for each input.
        kind: ``embedding`` or ``text``.
    """

    features: FeatureSet
    output: str
    dim: int
    name: str
    label: str
    kind: str = "embedding"

    @property
    def made_by(self) -> str:
        """Short name of what made it: the model, else the plugin's part."""
        made = maker(self.features.spec)
        return str(made.get("label") or made["name"].rpartition("/")[2])

    def values(self, batch: pa.RecordBatch) -> Vectors:
        """The vectors in a batch of its columns, (n, dim) float32."""
        values: Vectors = self.features.values(batch, self.output).astype(np.float32, copy=False)
        return values


def open_inputs(
    store: Store, names: Sequence[str], kind: str = "embedding"
) -> tuple[SetInput, ...]:
    """Open the outputs of a kind, ``embedding`` or ``text``, that ``NAME[:OUTPUT]`` mean.

    Raises:
        UsageError: none is given, one has no rows or several such outputs, or they have other
            key columns or belong to other catalogues.
        SetNotFoundError: there is no such set.
    """
    if not names:
        raise UsageError("name at least one feature set; `ducho store ls` lists them")
    bound = store.names()
    inputs: list[SetInput] = []
    for name in names:
        features = store.open(name)
        output = features.embedding() if kind == "embedding" else _text(features)
        if not len(features):
            raise UsageError(f"{name} has no rows yet; extract it first")
        word = features.name if features.name in bound else features.slug
        several = sum(one["kind"] == kind for one in features.spec["outputs"]) > 1
        label = _label(f"{word}-{output}" if several else word, [one.label for one in inputs])
        inputs.append(SetInput(features, output, features.dims.get(output, 0), name, label, kind))
    _agree(inputs)
    return tuple(inputs)


def incomplete(inputs: Sequence[SetInput]) -> tuple[str, ...]:
    """A line for each set some of whose chunks are still to be stored."""
    lines = []
    for one in {one.features.fingerprint: one for one in inputs}.values():
        _planned, missing = one.features.plan_progress()
        if missing:
            count = f"{len(missing)} chunk{'s' * (len(missing) > 1)}"
            lines.append(
                f"{one.name} is not complete, {count} to go: only the"
                f" {len(one.features)} rows that are stored take part; the command that made it"
                " goes on with it"
            )
    return tuple(lines)


def _text(features: FeatureSet) -> str:
    texts = [one["name"] for one in features.spec["outputs"] if one["kind"] == "text"]
    name = features.output or (texts[0] if len(texts) == 1 else None)
    if name is None:
        raise UsageError(
            f"{features.name} has the texts {', '.join(texts) or 'none'}: say which,"
            f" {features.name}:OUTPUT"
        )
    if name not in texts:
        raise UsageError(
            f"output {name!r} of {features.name} is no text; its texts:"
            f" {', '.join(texts) or 'none'}"
        )
    return name


def _label(word: str, taken: Sequence[str]) -> str:
    label = re.sub(r"[^a-z0-9_-]+", "-", word.lower()).strip("-") or "set"
    number, unique = 2, label
    while unique in taken:
        unique, number = f"{label}-{number}", number + 1
    return unique


def _agree(inputs: Sequence[SetInput]) -> None:
    first = inputs[0]
    for one in inputs[1:]:
        if one.features.keys != first.features.keys:
            slotted = next((i.name for i in inputs if "slot" in i.features.keys), None)
            advice = (
                f"; pool the slots first: ducho fuse {slotted} --how pool"
                if slotted is not None
                else ""
            )
            raise UsageError(
                f"{one.name} has the key columns {', '.join(one.features.keys)}, {first.name} has"
                f" {', '.join(first.features.keys)}: their rows are not about the same"
                f" things{advice}"
            )
        mine, theirs = _catalogue(first), _catalogue(one)
        if mine != theirs:
            raise UsageError(
                f"{first.name} belongs to the catalogue {mine!r}, {one.name} to {theirs!r}: equal"
                " ids of two catalogues need not mean the same item"
            )


def _catalogue(one: SetInput) -> Any:
    return one.features.spec["catalogue"]["name"]
