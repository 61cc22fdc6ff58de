"""What a fusion learns from all rows before it makes the first: the fit and its file."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import ContractError, CorruptionError, UsageError
from ducho_core.store import tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.extractor import Output
    from ducho_core.fuser import Fuser, FuserBatch, RowFuser
    from ducho_core.fusion.joined import JoinedRows

FIT_FILE = "state.safetensors"
_MEAN = "missing."
_FUSER = "fuser."


class Batches:
    """The joined rows, batch by batch, as often as they are wanted."""

    def __init__(self, rows: JoinedRows, stop: threading.Event) -> None:
        self._rows = rows
        self._stop = stop
        rows.prepare(rows.join.blocks(rows.block))

    def __iter__(self) -> Iterator[FuserBatch]:
        for numbers in self._rows.join.blocks(self._rows.block):
            if self._stop.is_set():
                raise KeyboardInterrupt
            yield self._rows.batch(numbers, self._rows.join.key_batch(numbers))


def settled_dims(fuser: Fuser, declared: Sequence[Output], who: str) -> dict[str, int]:
    """Length of each output, once a fitted fuser has its fit.

    Raises:
        ContractError: it left one open, or changed what it had declared.
    """
    before = {one.name: one.dim for one in declared}
    after = {one.name: one.dim for one in fuser.outputs}
    for name, dim in after.items():
        if not dim or before.get(name, dim) not in (None, dim) or set(before) != set(after):
            raise ContractError(f"{who}: its fit made the outputs {before} to {after}")
    return {name: int(dim) for name, dim in after.items() if dim}


def needs_fit(fuser: object, rows: object, missing: str) -> bool:
    """Whether rows depend on other rows by a fit or by a mean that is filled in."""
    return bool(getattr(fuser, "fitted", False)) or bool(_averaged(rows, missing))


def fit(fuser: RowFuser, rows: JoinedRows, missing: str, stop: threading.Event) -> bytes:
    """Learn from the joined rows; returns the content of the fit's file."""
    batches = Batches(rows, stop)
    state: dict[str, npt.NDArray[Any]] = {}
    if _averaged(rows, missing):
        take_means(rows, batches)
        state = {f"{_MEAN}{at}": mean for at, mean in rows.means.items()}
    if fuser.fitted:
        state |= {f"{_FUSER}{name}": array for name, array in fuser.fit(batches).items()}
    return tensors.dump(state)


def restore(content: bytes, fuser: RowFuser, rows: JoinedRows, missing: str) -> None:
    """Take over the content of a fit's file.

    Raises:
        UsageError: it was made for other inputs or options.
    """
    state = tensors.load(content)
    for at in _averaged(rows, missing):
        mean = state.get(f"{_MEAN}{at}")
        if mean is None or mean.shape != (rows.join.inputs[at].dim,):
            raise UsageError(
                f"the fit holds no mean for missing rows of {rows.join.inputs[at].name}: it was"
                " made where none were missing; choose another --missing, or fit anew"
            )
    for name, mean in state.items():
        if name.startswith(_MEAN):
            rows.means[int(name.removeprefix(_MEAN))] = mean
    if fuser.fitted:
        fuser.restore(
            {
                name.removeprefix(_FUSER): array
                for name, array in state.items()
                if name.startswith(_FUSER)
            }
        )


def read_fit(folder: Path, spec: Mapping[str, Any]) -> bytes | None:
    """The content of a set's fit, None where it is not there.

    Raises:
        CorruptionError: it is not the one that the SPEC names.
    """
    path = folder / "fit" / FIT_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptionError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != spec["derived"]["fit"]:
        raise CorruptionError(f"{path} is damaged: restore it from a copy, or remove it")
    return content


def _averaged(rows: Any, missing: str) -> list[int]:
    # Also where nothing is missing now, so that the fit can be taken over for rows to come.
    return list(range(len(rows.join.inputs))) if missing == "mean" else []


def take_means(rows: JoinedRows, batches: Iterable[FuserBatch] | None = None) -> None:
    """Let the mean of each input's rows that take part stand in for the missing ones."""
    inputs = rows.join.inputs
    totals = [np.zeros(one.dim, np.float64) for one in inputs]
    counts = [0] * len(inputs)
    for batch in batches or Batches(rows, threading.Event()):
        for at, (values, present) in enumerate(zip(batch.values, batch.present, strict=True)):
            vectors = values[present]
            # Row after row, so that the sum does not depend on how they are cut up.
            totals[at] = np.add.reduce(np.vstack([totals[at][None], vectors]), axis=0)
            counts[at] += len(vectors)
    for at, (total, count) in enumerate(zip(totals, counts, strict=True)):
        rows.means[at] = (total / count).astype(np.float32)
