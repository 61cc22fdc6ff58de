"""What a fusion learns from all rows before it makes the first: the fit and its file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ducho_core.errors import CorruptionError, UsageError
from ducho_core.store import tensors

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ducho_core.fuser import FuserBatch, RowFuser
    from ducho_core.fusion.layouts import RowLayout

FIT_FILE = "state.safetensors"
_MEAN = "missing."
_FUSER = "fuser."


class Batches:
    """The joined rows, batch by batch, as often as they are wanted."""

    def __init__(self, layout: RowLayout, stop: threading.Event) -> None:
        self._layout = layout
        self._stop = stop
        layout.prepare(layout.chunks(layout.kept))

    def __iter__(self) -> Iterator[FuserBatch]:
        for numbers in self._layout.chunks(self._layout.kept):
            if self._stop.is_set():
                raise KeyboardInterrupt
            yield self._layout.batch(numbers, self._layout.key_batch(numbers))


def needs_fit(fuser: object, layout: object, missing: str) -> bool:
    """Whether rows depend on other rows by a fit or by a mean that is filled in."""
    return bool(getattr(fuser, "fitted", False)) or bool(_averaged(layout, missing))


def fit(fuser: RowFuser, layout: RowLayout, missing: str, stop: threading.Event) -> bytes:
    """Learn from the joined rows; returns the content of the fit's file."""
    batches = Batches(layout, stop)
    state: dict[str, npt.NDArray[Any]] = {}
    averaged = _averaged(layout, missing)
    if averaged:
        totals = {at: np.zeros(layout.join.inputs[at].dim, np.float64) for at in averaged}
        counts = dict.fromkeys(averaged, 0)
        for batch in batches:
            for at in averaged:
                rows = batch.values[at][batch.present[at]]
                # Row after row, so that the sum does not depend on how they are cut up.
                totals[at] = np.add.reduce(np.vstack([totals[at][None], rows]), axis=0)
                counts[at] += len(rows)
        for at in averaged:
            state[f"{_MEAN}{at}"] = (totals[at] / counts[at]).astype(np.float32)
        _take_means(layout, state)
    if fuser.fitted:
        state |= {f"{_FUSER}{name}": array for name, array in fuser.fit(batches).items()}
    return tensors.dump(state)


def restore(content: bytes, fuser: RowFuser, layout: RowLayout, missing: str) -> None:
    """Take over the content of a fit's file.

    Raises:
        UsageError: it was made for other inputs or options.
    """
    state = tensors.load(content)
    for at in _averaged(layout, missing):
        mean = state.get(f"{_MEAN}{at}")
        if mean is None or mean.shape != (layout.join.inputs[at].dim,):
            raise UsageError(
                f"the fit holds no mean for missing rows of {layout.join.inputs[at].name}: it was"
                " made where none were missing; choose another --missing, or fit anew"
            )
    _take_means(layout, state)
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


def _averaged(layout: Any, missing: str) -> list[int]:
    # Also where nothing is missing now, so that the fit can be taken over for rows to come.
    return list(range(len(layout.join.inputs))) if missing == "mean" else []


def _take_means(layout: RowLayout, state: Mapping[str, npt.NDArray[Any]]) -> None:
    for name, mean in state.items():
        if name.startswith(_MEAN):
            layout.means[int(name.removeprefix(_MEAN))] = mean
