"""Reading single values of a configuration, with the key's path in every message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

NOTHING = ("none", "None", "null", "")


def known_keys(tree: Mapping[Any, Any], known: Collection[str], path: str) -> None:
    """Say no to a key that Ducho 2.0 does not have.

    Raises:
        UsageError: naming its path and the closest that there is.
    """
    for key in tree:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            raise UsageError(
                f"{where}: Ducho 2.0 has no such key{did_you_mean(str(key), known)};"
                f" there are {', '.join(known)}"
            )


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """A mapping.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"{path} must hold keys and values, not {value!r}")
    return value


def word(value: Any, path: str) -> str:
    """A text that is not empty; a number is read as text.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise UsageError(f"{path} must be a text, not {value!r}")
    return str(value)


def optional_word(tree: Mapping[str, Any], key: str, path: str) -> str | None:
    """A text, or None where the key is not there or holds none.

    Raises:
        UsageError: it holds something else.
    """
    value = tree.get(key)
    return None if value is None or value in NOTHING else word(value, f"{path}.{key}")


def whole(value: Any, path: str, least: int) -> int:
    """A whole number; digits in a text count.

    Raises:
        UsageError: it is none, or below the least.
    """
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{path} must be a whole number from {least} up, not {value!r}")
    return value


def truth(value: Any, path: str) -> bool:
    """True or False, also in words.

    Raises:
        UsageError: it is neither.
    """
    words = {"true": True, "false": False}
    spoken = words.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(spoken, bool):
        return spoken
    raise UsageError(f"{path} must be True or False, not {value!r}")


def pair(value: Any, path: str) -> tuple[int, int]:
    """Width and height.

    Raises:
        UsageError: they are not two whole numbers.
    """
    if isinstance(value, str):
        value = [part.strip(" ()[]") for part in value.split(",")]
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UsageError(f"{path} must be [WIDTH, HEIGHT], not {value!r}")
    width, height = (whole(one, path, 1) for one in value)
    return width, height


def three(value: Any, path: str) -> tuple[float, ...]:
    """One number a channel.

    Raises:
        UsageError: they are not three numbers.
    """
    parts = value if isinstance(value, list | tuple) else ()
    if len(parts) != 3 or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in parts
    ):
        raise UsageError(f"{path} must be three numbers, one a channel, not {value!r}")
    return tuple(float(one) for one in parts)


def choice(value: Any, path: str, choices: Collection[str]) -> str:
    """One of some words.

    Raises:
        UsageError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise UsageError(
            f"{path} must be one of {', '.join(choices)}, not"
            f" {value!r}{did_you_mean(str(value), choices)}"
        )
    return value
