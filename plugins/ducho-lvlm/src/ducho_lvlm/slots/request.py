"""What ``ducho lvlm slots`` asks of the fuser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core import FeatureSet

FUSER = "lvlm/slots"


def outputs_of(
    features: FeatureSet, chosen: Sequence[str], frozen: FeatureSet | None
) -> list[str]:
    """The text outputs to take: those chosen, those of a frozen mapping, or every slot.

    Raises:
        UsageError: there is none, or one that is chosen is no text of the set.
    """
    texts = [one["name"] for one in features.spec["outputs"] if one["kind"] == "text"]
    listed = ", ".join(texts) or "none"
    wanted = list(dict.fromkeys(chosen))
    if not wanted and frozen is not None:
        wanted = [one["output"] for one in frozen.spec.get("derived", {}).get("inputs", [])]
    if not wanted:
        wanted = [one for one in texts if one.rpartition(".")[2].startswith("slot_")]
        if not wanted:
            todo = f"name its texts with --slot: {listed}" if texts else "it has no texts at all"
            raise UsageError(f"{features.name} has no output called slot_…; {todo}")
    for one in wanted:
        if one not in texts:
            raise UsageError(f"{features.name} has no text output {one!r}; its texts: {listed}")
    return wanted


def settled_options(given: Mapping[str, str], frozen: FeatureSet | None) -> dict[str, Any]:
    """The options: those of the frozen mapping where there is one, and what is given.

    Raises:
        UsageError: the frozen set was not made by ``lvlm/slots``.
    """
    if frozen is None:
        return dict(given)
    if frozen.spec.get("fuser", {}).get("name") != FUSER:
        raise UsageError(f"--mapping {frozen.name}: it was not made by `ducho lvlm slots`")
    kept = {
        key: value
        for key, value in frozen.spec["options"].items()
        if key != "text_options"  # not recorded; what they resolve to is held against the mapping
    }
    return {**kept, **given}
