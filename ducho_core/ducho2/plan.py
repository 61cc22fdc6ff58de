"""What a configuration comes to: extractions, and the branches of Ducho 2.0's output tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Fusion
    from ducho_core.extraction.request import ExtractionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """One embedding output of one extraction.

    Attributes:
        extraction: its position in the plan's extractions.
        requires: the inputs of its feature set.
        output: the output's name; empty for the set's only one.
    """

    extraction: int
    requires: tuple[str, ...]
    output: str

    def of(self, name: str) -> str:
        """``NAME:OUTPUT``, given what the feature set is called."""
        return f"{name}:{self.output}" if self.output else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """Two embeddings made one, joined by key.

    Attributes:
        how: as Ducho 2.0 calls it.
        picture: the picture's vectors, which come first.
        text: the text's vectors.
    """

    how: Fusion
    picture: Vectors
    text: Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One folder of arrays, ``FOLDER/BACKEND/MODEL/LAYER``; the model may be several folders.

    Attributes:
        vectors: what is written.
        folder: the ``output_path``, below the current folder or absolute.
        parts: backend, model and layer; the model's folders are joined by ``/``.
        keys: the key columns.
    """

    vectors: Vectors | Fused
    folder: str
    parts: tuple[str, str, str]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """One extraction and where it comes from.

    Attributes:
        path: the model's key in the configuration.
        name: a name for its feature set, its own in this plan.
        request: what to extract.
    """

    path: str
    name: str
    request: ExtractionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole configuration, translated.

    Attributes:
        extractions: what to extract, in order.
        branches: what to write, in order.
    """

    extractions: tuple[Extraction, ...]
    branches: tuple[Branch, ...]
