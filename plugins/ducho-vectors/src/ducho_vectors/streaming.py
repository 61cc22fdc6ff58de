"""What libraries do to errors of their own source and target."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from ducho_core import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


class Source(Generic[T]):
    """An iterator that keeps the error which ended it, since libraries wrap what they catch."""

    def __init__(self, source: Iterable[T]) -> None:
        self._source = iter(source)
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return next(self._source)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


@contextmanager
def written_by(library: str, *sources: Source[T]) -> Iterator[None]:
    """Give errors of the rows as they were, and those of a library as ``StoreError``.

    An ``OSError`` is left to the export's folder, which explains it.

    Raises:
        StoreError: the library could not write.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        for one in sources:
            if one.error is not None:
                raise one.error from None
        # Where in its own source a library failed, on the machine that built it, helps nobody.
        told = re.sub(r",?\s*/\S+\.rs:\d+:\d+", "", str(error))
        full = "No space left" in told
        advice = ". Nothing was changed: free some space and run the same command again" * full
        raise StoreError(f"{library} could not write the rows: {told}{advice}") from error


__all__ = ["Source", "written_by"]
