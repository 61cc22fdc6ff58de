"""Preprocessing out of a TOML file, for what the options leave open."""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
from ducho_torch import ImageOptions

from ducho_core import OptionError, UsageError, build_options

if TYPE_CHECKING:
    from ducho_custom.options import CustomOptions

FILE = "preprocessing.toml"
NAMES = (
    "preprocessing",
    "resize",
    "input_size",
    "crop_pct",
    "interpolation",
    "mean",
    "std",
)


def with_file(options: CustomOptions) -> CustomOptions:
    """The options, with what a preprocessing file says filled in where they are at their default.

    The file is ``preprocessing_file``, or else ``preprocessing.toml`` in the model's folder.
    What is returned names no file any more: the same values give the same SPEC, wherever they
    were written down.

    Raises:
        UsageError: the file is not there or no TOML.
        OptionError: it says what no such file can say.
    """
    path = options.preprocessing_file
    if path is None:
        path = _beside(options.model)
        if path is None:
            return options
    given = _read(os.path.expanduser(path))
    defaults = ImageOptions()
    filled = {
        name: value
        for name, value in given.items()
        if getattr(options, name) == getattr(defaults, name)
    }
    return msgspec.structs.replace(options, preprocessing_file=None, **filled)


def _beside(model: str | None) -> str | None:
    if model is None:
        return None
    model = os.path.expanduser(model)
    path = os.path.join(model if os.path.isdir(model) else os.path.dirname(model), FILE)
    return path if os.path.isfile(path) else None


def _read(path: str) -> dict[str, Any]:
    shown = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"preprocessing_file={path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown} is no TOML: {error}") from error
    for name in values:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise OptionError(
                f"{shown} has no setting {name!r}{hint} Its settings: {', '.join(NAMES)}"
            )
    # A lone number stands for a list of one, as on the command line.
    for name in ("resize", "input_size"):
        if isinstance(values.get(name), int):
            values[name] = [values[name]]
    parsed, _ = build_options(shown, ImageOptions, None, values)
    return {name: getattr(parsed, name) for name in values}
