"""Fusers that take some of the rows, told by their keys, as if there were no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import ContractError, SetNotFoundError, UsageError
from ducho_core.fusion.join import ABSENT
from ducho_core.store.spec import spec_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ducho_core.fuser import Fuser
    from ducho_core.fusion.inputs import SetInput
    from ducho_core.fusion.join import Join
    from ducho_core.store import FeatureSet, Store

_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Taken:
    """Which rows a fuser takes.

    Attributes:
        rows: for each input which of its rows, (n,) bool.
        left: joined keys that it does not take.
    """

    rows: tuple[npt.NDArray[np.bool_], ...]
    left: int


def take(fuser: Fuser, join: Join, who: str) -> Taken | None:
    """Let the keys that a fuser does not take have no part in the join; None where it takes all.

    Raises:
        UsageError: it takes none.
        ContractError: it does not say of each key whether it takes it.
    """
    if fuser.takes_only is None:
        return None
    before = join.count
    for start in range(0, len(join), _BLOCK):
        numbers = np.arange(start, min(start + _BLOCK, len(join)))
        mask: Any = fuser.takes(join.key_batch(numbers))
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != np.bool_
            or mask.shape != numbers.shape
        ):
            raise ContractError(f"{who}: takes must give a bool for each of {len(numbers)} keys")
        join.kept[numbers] &= mask
    if not join.count:
        names = " and ".join(one.name for one in join.inputs)
        raise UsageError(
            f"{who} takes {fuser.takes_only} alone, and none of the {before} rows of {names} is"
            f" one, such as {', '.join(join.named(np.arange(min(3, len(join)))))}"
        )
    rows = []
    for one, places in zip(join.inputs, join.rows, strict=True):
        taken = np.zeros(len(one.features), np.bool_)
        here = places[join.kept]
        taken[here[here != ABSENT]] = True
        rows.append(taken)
    return Taken(tuple(rows), before - join.count)


def refuse_fitted(store: Store, inputs: Sequence[SetInput], fuser: Fuser, who: str) -> None:
    """Say no to sets each of whose rows depends on others, which may not be taken.

    Raises:
        UsageError: names the set, and what to do.
    """
    for one in inputs:
        found = _depends(store, one.features)
        if found is not None:
            raise UsageError(
                f"the rows of {one.name} depend on all rows of {found}, and {who} takes"
                f" {fuser.takes_only} alone: what the others hold would get into the result."
                " Use it before the fit, the shuffling or the filling in, not after"
            )


def provenance(one: SetInput, digest: str | None, *, whole: bool) -> dict[str, Any]:
    """What the SPEC of a derived set holds of an input.

    Args:
        one: the input.
        digest: of its rows, or of those that are taken, where they matter.
        whole: whether all rows are taken. If not, the catalogue's revision is no part of it,
            since it changes with rows that are not taken, too.
    """
    spec = one.features.spec
    name, value = ("fingerprint", one.features.fingerprint) if whole else (
        "spec_sha256", spec_sha256(spec)
    )  # fmt: skip
    return {name: value, "output": one.output, "snapshot": digest}


def _depends(store: Store, features: FeatureSet) -> str | None:
    """Name of what all rows of a set depend on; None where each follows from its own."""
    for one in features.spec.get("derived", {}).get("inputs", ()):
        if "fingerprint" not in one:
            continue  # it took some rows alone itself
        try:
            source = store.open(one["fingerprint"])
        except SetNotFoundError:
            source = None
        if one["snapshot"] is not None:
            return str(one["fingerprint"][:12] if source is None else source.slug)
        found = None if source is None else _depends(store, source)
        if found is not None:
            return found
    return None
