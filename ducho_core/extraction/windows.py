"""The source in windows, each row with its key's digest and its inputs' validators."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ducho_core.extraction.digest_index import Digests, digest_keys
from ducho_core.extraction.inputs import validator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ducho_core.catalogue import InputField
    from ducho_core.loader import Loader

WINDOW_ROWS = 16_384
WINDOW_BYTES = 32 * 2**20


@dataclass(slots=True)
class Window:
    """Some rows of the source.

    Attributes:
        rows: keys and the references of the inputs.
        digests: the keys' digests, shape (n, 2).
        validators: input name to one validator a row, None where absent.
        content: a 64-bit digest of all validators (and paths); equal content has equal ones.
        present: whether every input is there, shape (n,).
    """

    rows: pa.RecordBatch
    digests: Digests
    validators: dict[str, list[bytes | None]]
    content: npt.NDArray[np.uint64]
    present: npt.NDArray[np.bool_]

    def take(self, at: npt.NDArray[np.int64]) -> Window:
        """The rows at some positions, in that order."""
        places = at.tolist()
        return Window(
            rows=self.rows.take(pa.array(at)),
            digests=self.digests[at],
            validators={
                name: [values[place] for place in places]
                for name, values in self.validators.items()
            },
            content=self.content[at],
            present=self.present[at],
        )


def windows(
    loader: Loader, keys: tuple[str, ...], fields: Sequence[InputField], least_rows: int = 0
) -> Iterator[Window]:
    """Read the source in windows of bounded rows and bytes.

    Args:
        loader: the opened source.
        keys: the key columns.
        fields: the inputs wanted.
        least_rows: raises the bound on rows, for chunks larger than a window.
    """
    wanted = [*keys, *(field.name for field in fields)]
    limit = max(WINDOW_ROWS, least_rows)
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in loader.batches():
        start = 0
        while start < batch.num_rows:
            piece = batch.select(wanted).slice(start, limit - rows)
            start += piece.num_rows
            held.append(piece)
            rows += piece.num_rows
            size += piece.nbytes
            if rows >= limit or size >= WINDOW_BYTES:
                yield _window(held, keys, fields)
                held, rows, size = [], 0, 0
    if rows:
        yield _window(held, keys, fields)


def _window(
    batches: list[pa.RecordBatch], keys: tuple[str, ...], fields: Sequence[InputField]
) -> Window:
    (rows,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    references = {field.name: rows.column(field.name).to_pylist() for field in fields}
    validators = {
        field.name: [validator(field, one) for one in references[field.name]] for field in fields
    }
    present = np.ones(rows.num_rows, dtype=bool)
    for values in validators.values():
        if None in values:
            present &= np.array([value is not None for value in values], dtype=bool)
    return Window(
        rows=rows,
        digests=digest_keys(rows, keys),
        validators=validators,
        content=_content(fields, references, validators),
        present=present,
    )


def _content(
    fields: Sequence[InputField],
    references: dict[str, list[str | bytes | None]],
    validators: dict[str, list[bytes | None]],
) -> npt.NDArray[np.uint64]:
    if len(fields) == 1 and fields[0].storage != "path":
        # A validator is already a digest; an absent input counts as content of its own.
        return np.frombuffer(
            b"".join([(value or b"absent..")[:8] for value in validators[fields[0].name]]), "<u8"
        )
    parts = []
    columns = [
        (references[field.name] if field.storage == "path" else None, validators[field.name])
        for field in fields
    ]
    for at in range(len(validators[fields[0].name])):
        whole = blake2b(digest_size=8)
        for paths, values in columns:
            value = values[at]
            whole.update(b"\0" if value is None else b"\1" + value)
            if paths is not None and value is not None:
                whole.update(str(paths[at]).encode() + b"\0")
        parts.append(whole.digest())
    return np.frombuffer(b"".join(parts), "<u8")
