"""The three kinds of fuser: the layout of each, and what each may return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.catalogue import is_key
from ducho_core.errors import ContractError
from ducho_core.fuser import GroupFuser, RelabelFuser, RowFuser
from ducho_core.fusion.groups import GroupLayout
from ducho_core.fusion.joined import JoinedRows
from ducho_core.fusion.layouts import RelabelLayout, RowLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.fuser import Fuser
    from ducho_core.fusion.join import Join
    from ducho_core.fusion.layouts import Layout


def make_layout(fuser: Fuser, join: Join, scratch: Callable[[], Path], who: str) -> Layout:
    """The layout that a fuser's kind asks for.

    Raises:
        ContractError: it is of no kind, or its outputs are not what they must be.
    """
    rows = JoinedRows(join, scratch, _check_outputs(fuser, who))
    if isinstance(fuser, RowFuser):
        return RowLayout(fuser, rows)
    if not isinstance(fuser, RelabelFuser | GroupFuser):
        raise ContractError(f"{who} is neither a RowFuser nor a RelabelFuser nor a GroupFuser")
    if join.inputs[0].kind != "embedding":
        raise ContractError(f"{who} takes texts, so it must be a RowFuser")
    if len(join.inputs) != 1:
        raise ContractError(f"{who} takes one input; its spec must say most=1")
    if isinstance(fuser, GroupFuser):
        left = set(fuser.keeps) - set(join.keys)
        if left or not is_key(fuser.keeps):
            raise ContractError(
                f"{who} keeps {', '.join(fuser.keeps)}: it must keep item_id or user_id and other"
                f" key columns of {', '.join(join.keys)}"
            )
        return GroupLayout(fuser, rows)
    if [one.dim for one in fuser.outputs] != [join.inputs[0].dim]:
        raise ContractError(
            f"{who} relabels, so it has one output, as long as its input's vectors"
        )
    return RelabelLayout(fuser, rows, who)


def check_made(
    made: Mapping[str, Any], outputs: Mapping[str, int], count: int, who: str
) -> npt.NDArray[np.bool_]:
    """Hold what a fuser returned against the contract.

    Returns:
        Which rows are finite, (n,).

    Raises:
        ContractError: an output is missing, unknown, or of another shape or type.
    """
    if set(made) != set(outputs):
        raise ContractError(f"{who} made {sorted(made)}, its outputs are {sorted(outputs)}")
    good = np.ones(count, np.bool_)
    for name, dim in outputs.items():
        array = made[name]
        if not isinstance(array, np.ndarray) or array.shape != (count, dim):
            shape = getattr(array, "shape", type(array).__name__)
            raise ContractError(f"{who}: output {name!r} is {shape}, must be {(count, dim)}")
        if array.dtype != np.float32:
            raise ContractError(f"{who}: output {name!r} is {array.dtype}, must be float32")
        good &= np.isfinite(array).all(axis=1)
    return good


def _check_outputs(fuser: Fuser, who: str) -> int:
    outputs: Sequence[Any] = fuser.outputs
    names = [one.name for one in outputs]
    if not names or len(set(names)) != len(names):
        raise ContractError(f"{who}: its outputs must have different names, got {names or 'none'}")
    later = isinstance(fuser, RowFuser) and fuser.fitted
    for one in outputs:
        dim = int(later) if one.dim is None else one.dim
        if one.kind != "embedding" or dim < 1:
            raise ContractError(f"{who}: output {one.name!r} must be an embedding of known length")
    return sum(one.dim or 0 for one in outputs)
