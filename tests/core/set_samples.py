"""Feature sets with given keys and vectors, for the tests of fusing and exporting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ducho_core.store import FeatureSet, SetWriter, Store
from ducho_core.store.schema import embedding_array, scale_name, to_stored
from tests.core.store_samples import RUN, digests, make_spec, plan_of

Key = str | tuple[str, ...]


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is flushed to the disk, which no test here could notice."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


HOSTILE = [
    *("../../x", "/etc/x", "..", ".", ".hidden", "a/b", "a\\b", "C:x", "a\0b", "line\nbreak"),
    *("tab\tbed", '"quoted"', "'", ",", ";", "=cmd()", "+1", "-1", "@x", "CON", "nul.txt", "con"),
    *("é", "e\u0301", "É", "ß", "ss", "ﬁ", "fi", "\u212a", "k", "K", "日本", "😀", "\u202eevil"),
    *("", " ", " lead", "trail ", "dot.", "%2F", "%", "%empty", "a__b", "a.1", "a.2", "A.1"),
    *("x" * 100_000, "x" * 99_999, "ids.tsv", "export.json", "*?<>|", "\r", "\x7f", "007", "7"),
]
"""Ids that something, somewhere, takes for something else."""


def vectors_for(keys: Sequence[Key], dim: int, seed: int = 0) -> np.ndarray:
    """A random vector for each key, whatever the order: (n, dim) float32."""
    rows = []
    for key in keys:
        text = "\x1f".join(key) if isinstance(key, tuple) else key
        number = int.from_bytes(text.encode()[:64] + bytes([seed]), "little") + len(text)
        rows.append(np.random.default_rng(number).standard_normal(dim))
    return np.array(rows, np.float32).reshape(len(keys), dim)


def put_set(
    folder: Path,
    name: str,
    keys: Sequence[Key],
    values: np.ndarray,
    *,
    chunk: int = 7,
    columns: Sequence[str] = ("item_id",),
    stored_dtype: str = "float32",
    catalogue: str = "main",
    plan: int = 0,
    label: str | None = None,
) -> SetWriter:
    """A complete set, or one more plan of it."""
    store = Store(folder, create=True)
    spec = make_spec(
        label=label or name,
        dim=values.shape[1],
        keys=columns,
        stored_dtype=stored_dtype,
        catalogue=catalogue,
    )
    writer = store.create_set(spec, name=name)
    parts = [list(range(at, min(at + chunk, len(keys)))) for at in range(0, len(keys), chunk)]
    assert writer.commit_plan(plan, plan_of(writer, [[keys[at] for at in part] for part in parts]))
    for number, part in enumerate(parts):
        tuples = [key if isinstance(key, tuple) else (key,) for key in (keys[at] for at in part)]
        stored, scale, _unfit = to_stored(np.ascontiguousarray(values[part]), stored_dtype)
        table = {
            column: pa.array([key[at] for key in tuples], pa.string())
            for at, column in enumerate(columns)
        }
        table["embedding"] = embedding_array(stored)
        if scale is not None:
            table[scale_name("embedding")] = pa.array(scale)
        table["input_sha256"] = digests(["\x1f".join(key) for key in tuples])
        assert writer.commit_chunk(plan, number, pa.table(table), None, RUN)
    return writer


def content(features: FeatureSet) -> dict[Key, np.ndarray]:
    """Every key and its vector."""
    keys, values = features.to_numpy()
    columns = [keys[name].to_pylist() for name in features.keys]
    if len(columns) == 1:
        return dict(zip(columns[0], values, strict=True))
    return dict(zip(zip(*columns, strict=True), values, strict=True))


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: files with their content, folders with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
