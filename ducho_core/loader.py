"""The loader contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from ducho_core.catalogue import Binding, InputField
    from ducho_core.extractor import JSON


class Loader(ABC):
    """An opened source that streams keys and inputs.

    Attributes:
        keys: the key columns of its batches, a subset of ``KEY_COLUMNS`` in that order.
        inputs: the inputs of its batches.
        root: folder that every path in its batches must lie in, links followed; None where
            there are no paths.
        remarks: what was decided for the user, in words, to be said aloud.
        identity: what the source is made of, where that belongs in the SPEC: for a feature
            set as a source, its fingerprint.
    """

    keys: tuple[str, ...]
    inputs: tuple[InputField, ...]
    root: Path | None
    remarks: tuple[str, ...]
    identity: Mapping[str, JSON] = MappingProxyType({})

    @classmethod
    @abstractmethod
    def open(cls, source: str, binding: Binding, options: Any) -> Self:
        """Read the header and settle keys and inputs; read no more of the source.

        Raises:
            UsageError: a column does not exist or does not fit; with the corrected command.
            SourceError: the source cannot be read.
        """

    @abstractmethod
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the source from its start; may be called again.

        Yields:
            Record batches with one ``string`` column per key (not null) and one column per
            input (``string`` or ``binary`` by its storage; null means absent).

        Raises:
            SourceError: a row cannot be read; names the file and the line.
        """
