"""One model of a configuration in terms of an extractor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """An extractor, its options, and which output is which layer.

    Attributes:
        plugin: the extractor.
        options: its options; one that is None is not given.
        outputs: (layer as Ducho 2.0 names its folder, output) pairs.
        pairs: (layer, the picture's output, the text's output) of a model of both.
        clean: text cleanings.
    """

    plugin: str
    options: Mapping[str, Any]
    outputs: tuple[tuple[str, str], ...] = ()
    pairs: tuple[tuple[str, str, str], ...] = ()
    clean: tuple[str, ...] = field(default=())
