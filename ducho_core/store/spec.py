"""The SPEC of a feature set: its canonical form, its digests and what is derived from it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ducho_core.catalogue import SUBJECTS, is_key
from ducho_core.errors import StoreError
from ducho_core.store.layout import check_name

if TYPE_CHECKING:
    from ducho_core.extractor import JSON

STORED_DTYPES = ("float32", "float16", "int8")
"""Element types that embeddings can be stored in; int8 comes with a float32 scale a row."""

INPUT_DIGEST = "input_sha256"
"""Column of every data file: sha256 over what ``prepare`` received for the row."""

_SLUG_LENGTH = 48
_REQUIRED = ("outputs", "keys", "inputs", "stored_dtype", "catalogue")


def canonical_json(value: Any) -> bytes:
    """The one form in which a SPEC is hashed and stored.

    UTF-8, keys sorted by code point, no white space, integers and floats told apart (``1``,
    ``1.0``), no NaN or infinity, nothing escaped that need not be.

    Raises:
        StoreError: the value holds something that JSON cannot, and where.
    """
    plain = _plain(value, "$")
    text = json.dumps(
        plain, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"a SPEC holds text that is not valid Unicode: {error}") from error


def fingerprint(spec: Mapping[str, JSON]) -> str:
    """Sha256 of the canonical SPEC, 64 hex digits."""
    return hashlib.sha256(canonical_json(spec)).hexdigest()


def settings_sha256(spec: Mapping[str, JSON]) -> str:
    """Sha256 of the SPEC without catalogue and variant: compares work across labs."""
    rest = {name: value for name, value in spec.items() if name not in ("catalogue", "variant")}
    return fingerprint(rest)


def without_revision(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The SPEC without the catalogue's revision, which chunks shared by revisions carry."""
    catalogue = {name: value for name, value in spec["catalogue"].items() if name != "revision"}
    return {**spec, "catalogue": catalogue}


def spec_sha256(spec: Mapping[str, Any]) -> str:
    """Sha256 of the SPEC without the catalogue's revision: the same in all revisions."""
    return fingerprint(without_revision(spec))


def maker(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """What made the set: the ``extractor`` of a SPEC, or the ``fuser`` of a derived one."""
    made: Mapping[str, Any] = spec["fuser"] if "fuser" in spec else spec["extractor"]
    return made


def slug(spec: Mapping[str, Any]) -> str:
    """The readable half of a set's folder: what made it and how, ``[a-z0-9-]{1,48}``."""
    made = maker(spec)
    words = f"{made['name']}-{made.get('label') or ''}".lower()
    cut = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:_SLUG_LENGTH].strip("-")
    return cut or "set"


def folder_name(spec: Mapping[str, Any]) -> str:
    """Name of the set's folder, SLUG-FP12."""
    return f"{slug(spec)}-{fingerprint(spec)[:12]}"


def inputs_name(spec: Mapping[str, Any]) -> str:
    """Name of the folder above it: the modalities that its rows require.

    ``image``, ``text``, ``image-text``, …; ``fused`` for a set without inputs of its own; with
    ``-interactions`` where rows are about a user and an item, ``-users`` where about a user.
    """
    required: set[str] = set()
    for output in spec["outputs"]:
        required.update(output.get("requires") or ())
    modalities = {
        str(one["modality"]) for one in spec["inputs"] if not required or one["name"] in required
    }
    name = "-".join(sorted(modalities)) or "fused"
    about = [one for one in SUBJECTS if one in spec["keys"]]
    if about == ["item_id"]:
        return name
    return f"{name}-interactions" if len(about) > 1 else f"{name}-users"


def check_spec(spec: Mapping[str, Any]) -> None:
    """Check what the store itself relies on.

    Raises:
        StoreError: a field is missing or columns would collide.
    """
    missing = [name for name in _REQUIRED if name not in spec]
    if "fuser" not in spec and "extractor" not in spec:
        missing.insert(0, "extractor")
    if missing:
        raise StoreError(f"a SPEC lacks the fields {', '.join(missing)}")
    keys = list(spec["keys"])
    if not is_key(keys):
        raise StoreError(
            f"a SPEC has the key columns {keys}; allowed are user_id, item_id or both, in this"
            " order, and then slot"
        )
    if spec["stored_dtype"] not in STORED_DTYPES:
        raise StoreError(
            f"stored dtype {spec['stored_dtype']!r} is unknown; choose {', '.join(STORED_DTYPES)}"
        )
    if not spec["outputs"]:
        raise StoreError("a SPEC has no outputs")
    check_name(str(spec["catalogue"]["name"]), "catalogue")
    columns = [*keys, INPUT_DIGEST]
    for output in spec["outputs"]:
        columns.append(output["name"])
        if output["kind"] == "embedding" and spec["stored_dtype"] == "int8":
            columns.append(f"{output['name']}_scale")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise StoreError(f"outputs and keys would share the columns {', '.join(twice)}")
    unfit = [one["name"] for one in spec["outputs"] if not one["name"] or ":" in one["name"]]
    if unfit:
        raise StoreError(f"output names must not be empty or hold a colon: {unfit}")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields in which two SPECs differ, one ``field: old → new`` each."""
    before, after = dict(_leaves(old, "")), dict(_leaves(new, ""))
    return [
        f"{name}: {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        for position, inner in enumerate(value):
            label = inner.get("name", position) if isinstance(inner, Mapping) else position
            yield from _leaves(inner, f"{path}[{label}]")
    else:
        yield path, canonical_json(value).decode()


def _plain(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StoreError(f"a SPEC cannot hold {value} (at {path})")
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise StoreError(f"a SPEC's field names are text, not {name!r} (at {path})")
        return {name: _plain(inner, f"{path}.{name}") for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(inner, f"{path}[{at}]") for at, inner in enumerate(value)]
    raise StoreError(f"a SPEC cannot hold a {type(value).__name__} (at {path})")
