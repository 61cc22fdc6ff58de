"""``core/huggingface``: a dataset as the Hugging Face hub has it, and Croissant metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import yaml

from ducho_core.exporter import Exporter, ExportNotes
from ducho_core.exporters.croissant import croissant
from ducho_core.exporters.hashing import HashingFile
from ducho_core.exporters.parquet import row_schema, write_rows

if TYPE_CHECKING:
    from ducho_core.exporter import ExportContext, ExportFolder, ExportInput, ExportRows
    from ducho_core.exporters.options import HuggingFaceOptions

_DATA = "data/train-00000-of-00001.parquet"
_CARD = "README.md"
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
_TAGS = ("recommendation", "multimodal", "embeddings", "ducho")


class HuggingFaceExporter(Exporter):
    """``data/train-….parquet``, ``README.md`` (the card) and ``croissant.json``.

    The columns are those of ``core/parquet``. The folder can be loaded and uploaded as it is. The
    card has the hub's YAML and says how the vectors were made: the SPEC of every set.
    ``croissant.json`` is Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html).
    """

    def __init__(self, options: HuggingFaceOptions) -> None:
        self._options = options
        self._title = " ".join(options.title.split())

    @classmethod
    def open(cls, options: Any, context: ExportContext) -> Self:  # noqa: ARG003
        """See ``Exporter.open``."""
        return cls(options)

    def write(self, rows: ExportRows, folder: ExportFolder) -> ExportNotes:
        """See ``Exporter.write``."""
        schema = row_schema(rows)
        with folder.open(_DATA) as file:
            data = HashingFile(file)
            write_rows(rows, data)
        card = self._card(rows, schema, data.size).encode()
        with folder.open(_CARD) as file:
            text = HashingFile(file)
            text.write(card)
        files = {_DATA: (data.sha256, data.size), _CARD: (text.sha256, text.size)}
        found = croissant(
            title=self._title,
            description=self._description(rows),
            license=self._options.license,
            files=files,
            data=_DATA,
            columns=[(one.name, _kind(one.type), _meaning(one.name, rows)) for one in schema],
            keys=rows.keys,
        )
        with folder.open("croissant.json") as file:
            file.write(json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n")
        remarks: tuple[str, ...] = ()
        if not self._options.license:
            remarks = ("the card says no licence; give one with -o license= before publishing",)
        return ExportNotes(
            remarks=remarks,
            next_step="datasets.load_dataset('.'); hf upload NAME . --repo-type dataset",
        )

    def _description(self, rows: ExportRows) -> str:
        what = ", ".join(f"{one.label} ({one.dim} numbers)" for one in rows.inputs)
        made = f"{len(rows)} rows with the vectors {what}, made by Ducho."
        return f"{self._options.description} {made}".strip()

    def _card(self, rows: ExportRows, schema: pa.Schema, size: int) -> str:
        options = self._options
        head: dict[str, Any] = {"license": options.license} if options.license else {}
        head |= {
            "pretty_name": self._title,
            "tags": list(dict.fromkeys([*_TAGS, *options.tags])),
            "size_categories": [_size(len(rows))],
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
                }
            ],
            "dataset_info": {
                "features": [_feature(one) for one in schema],
                "splits": [{"name": "train", "num_bytes": size, "num_examples": len(rows)}],
                "download_size": size,
                "dataset_size": size,
            },
        }
        front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=99)
        columns = "\n".join(
            f"| `{one.name}` | {one.type} | {_meaning(one.name, rows)} |" for one in schema
        )
        sets = "\n".join(_made(one, rows.filled[at]) for at, one in enumerate(rows.inputs))
        names = " ".join(one.name for one in rows.inputs)
        return (
            f"---\n{front}---\n\n# {self._title}\n\n{self._description(rows)}\n\n"
            f"## Columns\n\n| column | type | what it is |\n|---|---|---|\n{columns}\n\n"
            "`ids.parquet` has the number and a digest of every row, `export.json` what was filled"
            " in or left out, `croissant.json` the sha256 of the data.\n\n"
            "    import datasets\n\n"
            '    rows = datasets.load_dataset("FOLDER OR NAME", split="train")\n\n'
            "## How the vectors were made\n\n"
            f"    ducho export {names} --to huggingface --out FOLDER\n\n"
            f"Each feature set is wholly described by its SPEC, whose sha256 is its fingerprint."
            f"\n\n{sets}"
        )


def _made(one: ExportInput, filled: int) -> str:
    said = f", {filled} of them filled in (`{one.label}.present` is false)" if filled else ""
    # An indented block, since a fenced one ends where a text in the SPEC has a fence.
    spec = json.dumps(one.spec, indent=1, sort_keys=True).splitlines()
    return (
        f"### {one.label}\n\nOutput `{one.output}` of the set with the fingerprint"
        f" `{one.fingerprint}`; vectors of {one.dim} numbers{said}.\n\n"
        + "".join(f"    {line}\n" for line in spec)
        + "\n"
    )


def _meaning(column: str, rows: ExportRows) -> str:
    for one in rows.inputs:
        if column == f"{one.label}.present":
            return f"whether {one.label} has this row; otherwise it is filled in"
        if column in (one.label, f"{one.label}-vector"):
            return f"{one.output} of {one.label}, {one.dim} numbers"
    return {"item_id": "the item", "user_id": "the user", "slot": "which of the item's"}[column]


def _kind(kind: pa.DataType) -> tuple[str, int | None]:
    if pa.types.is_fixed_size_list(kind):
        return "sc:Float", kind.list_size
    return ("sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"), None


def _feature(column: pa.Field) -> dict[str, Any]:
    if pa.types.is_fixed_size_list(column.type):
        return {"name": column.name, "list": "float32", "length": column.type.list_size}
    kind = "bool" if pa.types.is_boolean(column.type) else "string"
    return {"name": column.name, "dtype": kind}


def _size(rows: int) -> str:
    lower = None
    for at, name in enumerate(_SIZES):
        if rows < 1000 * 10**at:
            return f"n<{name}" if lower is None else f"{lower}<n<{name}"
        lower = name
    return "1B<n<10B"
