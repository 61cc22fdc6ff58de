"""What Cornac takes, of a folder that ``ducho export --to cornac`` wrote.

    from cornac.eval_methods import BaseMethod
    from ducho_recsys import cornac

    method = BaseMethod.from_splits(
        **cornac.splits("out"),
        item_image=cornac.modality("out", "covers"),
        exclude_unknowns=True,
    )

Without ``exclude_unknowns`` Cornac 3.0.1 stops at an item that is validated on and neither trained
nor tested on. Every call reads the files anew: Cornac sorts the rows of a modality in place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq

from ducho_core import UsageError

if TYPE_CHECKING:
    import os

_PARTS = {"train_data": "train", "val_data": "validation", "test_data": "test"}


def modality(
    folder: str | os.PathLike[str],
    label: str | None = None,
    *,
    kind: Literal["image", "text", "feature"] = "image",
    normalized: bool = False,
) -> Any:
    """A modality with a row for each item of the split.

    Args:
        folder: the export.
        label: which set, as its file is called; may be left out where there is one.
        kind: the class: ``cornac.data.ImageModality``, ``TextModality`` or ``FeatureModality``.
            VBPR takes an image modality alone, whatever its vectors are of.
        normalized: Cornac scales all numbers together to 0 … 1.

    Raises:
        UsageError: there is no such set, or this is no such export.
        ImportError: Cornac is not installed.
    """
    from cornac import data

    where = Path(folder)
    labels = sorted(path.stem for path in where.glob("*.npy"))
    if label is None and len(labels) == 1:
        label = labels[0]
    if label not in labels:
        raise UsageError(
            f"{folder} has the sets {', '.join(labels) or 'none'}: "
            + ("say which" if label is None else f"not {label!r}")
        )
    features = np.load(where / f"{label}.npy", allow_pickle=False)
    ids = _read(where, "items")["item_id"].to_pylist()
    if len(ids) != len(features):
        raise UsageError(
            f"{folder} has {len(ids)} items and {len(features)} rows of {label}: it was changed"
            " after the export; export anew"
        )
    made = {
        "image": data.ImageModality,
        "text": data.TextModality,
        "feature": data.FeatureModality,
    }[kind]
    return made(features=features, ids=ids, normalized=normalized)


def splits(folder: str | os.PathLike[str], *, ratings: bool = False) -> dict[str, Any]:
    """The interactions, as ``BaseMethod.from_splits`` takes them.

    Args:
        folder: the export.
        ratings: give the ratings; otherwise all are 1, as ranking what was consumed wants it.
            Cornac counts what is rated below ``rating_threshold`` (1) as not liked.

    Returns:
        ``train_data``, ``val_data`` and ``test_data``: (user id, item id, rating) each; without
        ``val_data`` where the split has no such part.

    Raises:
        UsageError: this is no such export, or its interactions have no ratings.
    """
    found: dict[str, Any] = {}
    for name, part in _PARTS.items():
        table = _read(Path(folder), part)
        if ratings and table["rating"].null_count:
            raise UsageError(f"the interactions in {folder} have no ratings")
        values = table["rating"].to_pylist() if ratings else [1.0] * len(table)
        rows = zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), values, strict=True)
        if len(table) or part != "validation":
            found[name] = list(rows)
    return found


def _read(folder: Path, name: str) -> Any:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise UsageError(f"{folder} is no export for Cornac: it has no {path.name}")
    return pq.read_table(path)


__all__ = ["modality", "splits"]
