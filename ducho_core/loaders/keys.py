"""Which columns are the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ducho_core.catalogue import KEY_COLUMNS
from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import closest

if TYPE_CHECKING:
    from ducho_core.loaders.header import Header
    from ducho_core.loaders.reading import TableColumn

_FLOATS = ("halffloat", "float", "double")


def settle_keys(header: Header) -> tuple[tuple[str, str], ...]:
    """Settle the key columns.

    A ``--key`` may say which it is (``user_id=reviewer``) or be called so already; of the
    others, one is item_id and two are user_id and item_id. Without any, it is the column
    item_id, else the first.

    Returns:
        (key column's name, source column) pairs in the order of ``KEY_COLUMNS``.

    Raises:
        UsageError: a column does not exist or cannot be a key.
    """
    given = header.binding.keys
    found = _given(header, given) if given else _default(header)
    if "slot" in found and header.binding.slots == "first":
        raise UsageError(
            "--slots first keeps the first of a list or glob; it cannot be had where the slot is"
            f" a column: leave out --key {found['slot']}"
        )
    for name, column in found.items():
        _check(header, name, header.columns[column])
    return tuple((name, found[name]) for name in KEY_COLUMNS if name in found)


def _default(header: Header) -> dict[str, str]:
    if "item_id" not in header.columns:
        first = next(iter(header.columns))
        header.remarks.append(
            f"key: the first column, {first!r}, is item_id; another one: --key COLUMN"
        )
        return {"item_id": first}
    others = [name for name in ("user_id", "slot") if name in header.columns]
    if others:
        flags = " ".join(f"--key {name}" for name in (*others, "item_id"))
        header.remarks.append(
            f"key: column item_id alone; for one row per {' and '.join(others)} too: {flags}"
        )
    return {"item_id": "item_id"}


def _given(header: Header, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    unnamed: list[str] = []
    for flag in given:
        name, equals, column = flag.partition("=")
        if flag in header.columns or not equals or name not in KEY_COLUMNS:
            name, column = (flag if flag in KEY_COLUMNS else ""), flag
        if column not in header.columns:
            fixed = flag.removesuffix(column) + (closest(column, header.columns) or "COLUMN")
            keys = tuple(fixed if key == flag else key for key in given)
            header.no_column("--key", column, keys=keys)
        if not name:
            unnamed.append(column)
        elif name in found:
            raise UsageError(f"--key gives {name} twice: {found[name]!r} and {column!r}")
        else:
            found[name] = column
    order = ("item_id",) if len(unnamed) == 1 and "item_id" not in found else KEY_COLUMNS
    free = [name for name in order if name not in found]
    if len(unnamed) > len(free):
        raise UsageError(f"--key is given {len(given)} times; there are {', '.join(KEY_COLUMNS)}")
    found.update(zip(free, unnamed, strict=False))
    if "item_id" not in found:
        raise UsageError(
            f"no --key names the item: add --key item_id=COLUMN; {header.columns_line}"
        )
    return found


def _check(header: Header, name: str, column: TableColumn) -> None:
    if column.kind in ("texts", "many_bytes", "other") or not column.key:
        raise UsageError(
            f"{header.name}: the key {name} cannot be column {column.name!r}, which holds"
            f" {column.type or 'lists'}; a key is a text or an integer"
            + (", and 7 would become 7.0" if column.type in _FLOATS else "")
        )
    if column.type:
        header.remarks.append(
            f"key: column {column.name!r} holds {column.type}; {name} is its text"
        )
