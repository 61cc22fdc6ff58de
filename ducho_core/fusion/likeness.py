"""Whether a fit that was made of some sets can be taken over for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core.errors import SetNotFoundError, UsageError
from ducho_core.store.spec import maker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.fusion.inputs import SetInput
    from ducho_core.store import FeatureSet, Store


def check_alike(store: Store, features: FeatureSet, inputs: Sequence[SetInput]) -> None:
    """See that a fitted set was fitted of sets like these, in this order.

    Alike are sets that the same extractor made with the same options of the same kinds of inputs,
    whatever the catalogue, and sets that were fused alike of such. What a set is like that the
    store does not hold any more is not known, and nothing is said of it.

    Raises:
        UsageError: it was fitted of others.
    """
    theirs = features.spec["derived"]["inputs"]
    mine = [one.features.fingerprint for one in inputs]
    if len(mine) != len(theirs):
        raise UsageError(f"{features.name} was fitted of {len(theirs)} sets, not of {len(mine)}")
    for at, (one, other) in enumerate(zip(inputs, theirs, strict=True)):
        fitted = other.get("fingerprint")
        same = (fitted, other["output"]) == (mine[at], one.output)
        if fitted != mine[at] and fitted in mine:
            raise UsageError(
                f"{features.name} was fitted of the same sets in another order: name them in that"
                " order"
            )
        source = None if same else _find(store, other)
        if source is None:
            continue
        if other["output"] != one.output or not _alike(store, one.features.spec, source.spec):
            raise UsageError(
                f"{features.name} was fitted of {source.slug}, and {one.name} is not like it: it"
                " was made by another extractor, with other options or of other inputs; fit anew"
            )


def _alike(store: Store, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if _made(mine) != _made(theirs):
        return False
    if "derived" not in mine or "derived" not in theirs:
        return "derived" not in mine and "derived" not in theirs
    pairs = (mine["derived"]["inputs"], theirs["derived"]["inputs"])
    if len(pairs[0]) != len(pairs[1]):
        return False
    for one, other in zip(*pairs, strict=True):
        found = _find(store, one), _find(store, other)
        if one["output"] != other["output"]:
            return False
        if found[0] is None or found[1] is None:
            continue
        if not _alike(store, found[0].spec, found[1].spec):
            return False
    return True


def _made(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    made = maker(spec)
    outputs = [(one["name"], one["kind"], one["dim"], one["requires"]) for one in spec["outputs"]]
    return made["name"], made["numerics"], spec["options"], spec["identity"], outputs


def _find(store: Store, recorded: Mapping[str, Any]) -> FeatureSet | None:
    try:
        return store.open(recorded["fingerprint"])
    except (KeyError, SetNotFoundError):
        return None


__all__ = ["check_alike"]
