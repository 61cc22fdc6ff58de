"""Croissant 1.0 metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {".parquet": "application/x-parquet", ".md": "text/markdown"}


def croissant(
    *,
    title: str,
    description: str,
    license: str,  # noqa: A002 - the word of the vocabulary
    files: Mapping[str, tuple[str, int]],
    data: str,
    columns: Sequence[tuple[str, tuple[str, int | None], str]],
    keys: Sequence[str],
) -> dict[str, Any]:
    """The metadata of one table and what lies beside it.

    Args:
        title: what the dataset is called.
        description: what it is.
        license: its licence, or nothing.
        files: sha256 and size of each file, by its path from the metadata.
        data: which of them is the table, a Parquet file.
        columns: name, type, length of a list, and meaning of each column.
        keys: columns that together are different in each row.
    """
    fields = []
    for name, (kind, length), meaning in columns:
        one: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"rows/{name}",
            "name": name,
            "description": meaning,
            "dataType": kind,
            "source": {"fileObject": {"@id": data}, "extract": {"column": name}},
        }
        if length is not None:
            one["repeated"] = True
        fields.append(one)
    key = [{"@id": f"rows/{name}"} for name in keys]
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": title,
        "description": description,
    }
    if license:
        found["license"] = license
    found["distribution"] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{size} B",
            "encodingFormat": _FORMATS[name[name.rindex(".") :]],
            "sha256": sha256,
        }
        for name, (sha256, size) in files.items()
    ]
    found["recordSet"] = [
        {
            "@type": "cr:RecordSet",
            "@id": "rows",
            "name": "rows",
            "description": description,
            "key": key[0] if len(key) == 1 else key,
            "field": fields,
        }
    ]
    return found
