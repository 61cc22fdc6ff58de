"""``recsys/recbole``: atomic files of RecBole."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ducho_core import ExportNotes, UsageError
from ducho_recsys.exporters.base import SplitExporter
from ducho_recsys.exporters.numbering import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ducho_core import ExportFolder, ExportInput, ExportRows
    from ducho_recsys.exporters.numbering import Numbered, Part

_FILES = {"train": "train", "validation": "valid", "test": "test"}
# pandas takes these for nothing (pandas.read_csv, na_values), RecBole calls its row 0 so.
_TAKEN = {
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "[PAD]"),
}
_FIELD_LIMIT = 131_072
"""Characters that Python's csv reads in one field, and so RecBole."""
_BLOCK = 65_536


class RecboleExporter(SplitExporter):
    """``NAME/`` with the interactions and a file of vectors for each set; ``NAME.yaml``.

    ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter`` hold the split, which
    ``benchmark_filename`` makes RecBole keep. Vectors lie in ``NAME.itememb`` (several sets:
    ``NAME.LABEL_itememb``) and come from ``dataset.get_preload_weight('iid')`` (``'iid_LABEL'``),
    by token, row 0 for padding. Items whose vector a policy filled in have that one.

    The files' form is that of RecBole's documentation (https://recbole.io/docs/user_guide/data/).
    """

    framework: ClassVar[str] = "RecBole"

    def write_numbered(
        self, rows: ExportRows, numbered: Numbered, folder: ExportFolder
    ) -> ExportNotes:
        """See ``SplitExporter.write_numbered``."""
        name = self._options.name
        by_number = self._options.ids == "numbers"
        if by_number:
            items, users = (_numbers(ids) for ids in (numbered.items, numbered.users))
        else:
            items, users = numbered.items, numbered.users
            _check_ids(items, "item")
            _check_ids(users, "user")
        for part in PARTS:
            with folder.open(f"{name}/{name}.{_FILES[part]}.inter") as file:
                file.write(_header(numbered.parts[part]))
                file.writelines(_interactions(numbered.parts[part], users, items))
        fields = _fields(rows.inputs)
        with ExitStack() as stack:
            files = [
                stack.enter_context(folder.open(f"{name}/{name}.{suffix}"))
                for suffix, _, _ in fields
            ]
            for file, (_, token, vector) in zip(files, fields, strict=True):
                file.write(f"{token}:token\t{vector}:float_seq\n".encode())
            for batch in rows.batches():
                tokens = items.slice(batch.start, len(batch))
                for file, one, values in zip(files, rows.inputs, batch.values, strict=True):
                    file.write(_vectors(tokens, values, one))
        with folder.open(f"{name}.yaml") as file:
            file.write(_settings(name, fields, numbered).encode())
        remarks = [*numbered.remarks()]
        if by_number:
            remarks.append(
                "items and users are called by their numbers, which ids.parquet and users.parquet"
                " tell"
            )
        seen = np.unique(np.concatenate([part.items for part in numbered.parts.values()]))
        if len(seen) < len(rows):
            remarks.append(
                f"{len(rows) - len(seen)} items are in no interaction; RecBole counts them, for"
                " they have vectors"
            )
        return ExportNotes(
            remarks=tuple(remarks),
            next_step='python -c "from recbole.quick_start import run_recbole;'
            f" run_recbole('BPR', '{name}', config_file_list=['{name}.yaml'])\"",
        )


def _check_ids(ids: pa.Array, what: str) -> None:
    """Refuse ids that RecBole would read as something else.

    Raises:
        UsageError: names the first one.
    """
    for one in ids.to_pylist():
        if one in _TAKEN:
            reason = "is a word for nothing there"
        elif any(mark in one for mark in "\t\n\r\0"):
            reason = "has a tab, a line's end or a NUL in it"
        elif one.startswith('"'):
            reason = "begins with a quote"
        elif len(one) >= _FIELD_LIMIT:
            reason = f"has {len(one)} characters"
        else:
            continue
        raise UsageError(
            f"RecBole would not read the {what} id {one[:80]!r} as it is: it {reason}; -o"
            " ids=numbers calls items and users by their numbers"
        )


def _numbers(ids: pa.Array) -> pa.Array:
    return pa.array(np.arange(len(ids)).astype(str), pa.string())


def _fields(inputs: Sequence[ExportInput]) -> list[tuple[str, str, str]]:
    """The suffix, token field and vector field of each input."""
    if len(inputs) == 1:
        return [("itememb", "iid", "item_emb")]
    return [(f"{one.label}_itememb", f"iid_{one.label}", f"emb_{one.label}") for one in inputs]


def _columns(part: Part) -> list[str]:
    timed = ["timestamp"] if part.times is not None else []
    rated = ["rating"] if part.ratings is not None else []
    return ["user_id", "item_id", *rated, *timed]


def _header(part: Part) -> bytes:
    kinds = {"user_id": "token", "item_id": "token"}
    names = [f"{name}:{kinds.get(name, 'float')}" for name in _columns(part)]
    return ("\t".join(names) + "\n").encode()


def _interactions(part: Part, users: pa.Array, items: pa.Array) -> Iterator[bytes]:
    for start in range(0, len(part), _BLOCK):
        some = slice(start, start + _BLOCK)
        columns = [users.take(pa.array(part.users[some])), items.take(pa.array(part.items[some]))]
        numbers = [one[some] for one in (part.ratings, part.times) if one is not None]
        yield _lines([*columns, *(pa.array(one.astype(str)) for one in numbers)])


def _vectors(tokens: pa.Array, values: np.ndarray, one: ExportInput) -> bytes:
    numbers = pa.array(np.ascontiguousarray(values, np.float32).ravel()).cast(pa.string())
    lists = pa.FixedSizeListArray.from_arrays(numbers, values.shape[1])
    texts = pc.binary_join(lists.cast(pa.list_(pa.string())), " ")
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    if longest >= _FIELD_LIMIT:
        raise UsageError(
            f"the vectors of {one.name} are too long for RecBole: {longest} characters, and it"
            f" reads {_FIELD_LIMIT} of one field; make them shorter first: ducho fuse {one.name}"
            " --how pca"
        )
    return _lines([tokens, texts])


def _lines(columns: Sequence[pa.Array]) -> bytes:
    joined = pc.binary_join_element_wise(*columns, "\t")
    return "".join(f"{line}\n" for line in joined.to_pylist()).encode()


def _settings(name: str, fields: Sequence[tuple[str, str, str]], numbered: Numbered) -> str:
    loaded = [f"  inter: [{', '.join(_columns(numbered.parts['train']))}]"]
    loaded += [f"  {suffix}: [{token}, {vector}]" for suffix, token, vector in fields]
    weights = [f"  {token}: {vector}" for _, token, vector in fields]
    lines = [
        "# Made by Ducho.",
        "data_path: ./",
        f"dataset: '{name}'",
        f"benchmark_filename: [{', '.join(_FILES[part] for part in PARTS)}]",
        "USER_ID_FIELD: user_id",
        "ITEM_ID_FIELD: item_id",
        f"additional_feat_suffix: [{', '.join(suffix for suffix, _, _ in fields)}]",
        "load_col:",
        *loaded,
        f"alias_of_item_id: [{', '.join(token for _, token, _ in fields)}]",
        "preload_weight:",
        *weights,
    ]
    return "\n".join(lines) + "\n"


__all__ = ["RecboleExporter"]
