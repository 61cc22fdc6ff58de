"""Which loaders take a source."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_core.found import Found
    from ducho_core.specs import LoaderSpec

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):")


def takers(source: str, loaders: Sequence[Found[LoaderSpec]]) -> list[Found[LoaderSpec]]:
    """The loaders that take a source: by its scheme, else as a folder, else by its suffix.

    Of suffixes the longest wins: ``.csv.gz`` before ``.gz``.
    """
    match = _SCHEME.match(source)
    if match:
        by_scheme = [one for one in loaders if match["scheme"] in one.spec.schemes]
        if by_scheme:
            return by_scheme
    if os.path.isdir(source):
        return [one for one in loaders if one.spec.directories]
    name = os.path.basename(source).lower()
    fits = {
        one.canonical: max((len(s) for s in one.spec.suffixes if name.endswith(s)), default=0)
        for one in loaders
    }
    longest = max(fits.values(), default=0)
    return [one for one in loaders if longest and fits[one.canonical] == longest]
