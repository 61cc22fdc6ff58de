"""The extract stage: batches up to a budget, checked outputs, culprits found, memory minded."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ducho_core.errors import (
    ContractError,
    DeviceMemoryError,
    ItemError,
    TransientError,
    UsageError,
)
from ducho_core.extraction.preparing import Failure, Task, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ducho_core.extractor import Column, Extractor, Output

GIVE_UP_AFTER = 32
"""So many first items that all fail in ``extract`` mean that the items are not to blame."""

TRIES = 3
"""How often a batch is tried when something outside it fails."""


class Batches:
    """Cuts tasks into batches by count and cost.

    Args:
        size: cap on the items of a batch.
        budget: cap on a batch's cost in units of ``Extractor.size``, or None.
        padded: whether a batch costs n * max(size) or the sum of sizes.
    """

    def __init__(self, size: int, budget: int | None, *, padded: bool) -> None:
        self.size = size
        self.budget = budget
        self._padded = padded

    def cut(self, tasks: Sequence[Task]) -> Iterator[list[Task]]:
        """Batches of the tasks, largest first, so that memory runs out early or never."""
        rest = sorted(tasks, key=lambda task: -task.size)
        start = 0
        while start < len(rest):
            # The caps may shrink while a batch is away.
            stop = self._end(rest, start)
            yield rest[start:stop]
            start = stop

    def full(self, size: int) -> int:
        """How many tasks of one and the same size make a full batch."""
        if self.budget is None:
            return self.size
        return max(1, min(self.size, self.budget // max(1, size)))

    def shrink(self, batch: Sequence[Task]) -> None:
        """Remember that a batch did not fit into memory."""
        self.size = max(1, min(self.size, len(batch) // 2))
        if self.budget is not None:
            self.budget = max(1, min(self.budget, self._cost(batch) // 2))

    def _cost(self, batch: Sequence[Task]) -> int:
        if self._padded:
            return len(batch) * max(task.size for task in batch)
        return sum(task.size for task in batch)

    def _end(self, tasks: Sequence[Task], start: int) -> int:
        stop = min(start + self.size, len(tasks))
        if self.budget is None:
            return stop
        if self._padded:  # sorted: the first is the longest
            return max(start + 1, min(stop, start + self.budget // max(1, tasks[start].size)))
        cost = 0
        for at in range(start, stop):
            cost += tasks[at].size
            if cost > self.budget:
                return max(start + 1, at)
        return stop


class OutputBuffer:
    """The outputs of one chunk's owner rows.

    Attributes:
        columns: output name to an array of shape (rows, dim) or a list.
        filled: which rows have been put, shape (rows,).
    """

    def __init__(self, outputs: Sequence[Output], rows: int) -> None:
        self.filled = np.zeros(rows, dtype=bool)
        self.columns: dict[str, npt.NDArray[np.float32] | list[Any]] = {}
        for output in outputs:
            if output.kind == "embedding":
                assert output.dim is not None
                self.columns[output.name] = np.empty((rows, output.dim), np.float32)
            else:
                self.columns[output.name] = [None] * rows

    def put(self, rows: Sequence[int], values: Mapping[str, Any]) -> None:
        """Write a batch's values to their rows."""
        at = np.asarray(rows)
        self.filled[at] = True
        for name, column in self.columns.items():
            if isinstance(column, list):
                for row, value in zip(rows, values[name], strict=True):
                    column[row] = value
            else:
                column[at] = values[name]

    @property
    def nbytes(self) -> int:
        """Bytes held, roughly."""
        return sum(
            64 * len(column) if isinstance(column, list) else column.nbytes
            for column in self.columns.values()
        )


class BatchExtractor:
    """Runs ``extract`` on batches whatever happens to them.

    Args:
        extractor: the loaded extractor.
        outputs: the outputs wanted, every ``dim`` known.
        batches: its caps shrink when memory runs out.
        plugin: the extractor's canonical name, for messages.
        say: told what the user should know.
    """

    def __init__(
        self,
        extractor: Extractor,
        outputs: Sequence[Output],
        batches: Batches,
        plugin: str,
        say: Callable[[str], None],
    ) -> None:
        self._extractor = extractor
        self._outputs = tuple(outputs)
        self._batches = batches
        self._plugin = plugin
        self._say = say
        self._succeeded = False
        self._failed_first = 0

    def run(
        self, batch: list[Task], buffer: OutputBuffer, failures: dict[int, Failure]
    ) -> str | None:
        """Extract a batch into the buffer; failures by row.

        Returns:
            Why the batch could not be done this time, or None.

        Raises:
            ContractError: the extractor returned something that is not what it declares, or
                fails whatever it is given.
            UsageError: the extractor says so.
        """
        for attempt in range(TRIES):
            try:
                values = self._extractor.extract([task.sample for task in batch])
            except (UsageError, ContractError):
                raise
            except (DeviceMemoryError, MemoryError) as error:
                return self._halve(batch, buffer, failures, error)
            except ItemError as error:
                return self._without_culprit(batch, buffer, failures, error)
            except (TransientError, ConnectionError, TimeoutError) as error:
                if attempt == TRIES - 1:
                    return f"{self._plugin} extract: {type(error).__name__}: {error}"
            except Exception as error:  # noqa: BLE001 - whatever an item leads a plugin to
                return self._bisect(batch, buffer, failures, error)
            else:
                self._store(batch, values, buffer, failures)
                return None
        return None

    def _halve(
        self,
        batch: list[Task],
        buffer: OutputBuffer,
        failures: dict[int, Failure],
        error: Exception,
    ) -> str | None:
        # The traceback holds the tensors of the batch that did not fit.
        error.__traceback__ = None
        gc.collect()
        if len(batch) == 1:
            failures[batch[0].row] = Failure(
                "failed", "extract", "out_of_memory", "the item alone does not fit into memory"
            )
            return None
        self._batches.shrink(batch)
        self._say(
            f"out of memory with {len(batch)} items in a batch: going on with at most"
            f" {self._batches.size}"
        )
        return self._split(batch, buffer, failures)

    def _without_culprit(
        self,
        batch: list[Task],
        buffer: OutputBuffer,
        failures: dict[int, Failure],
        error: ItemError,
    ) -> str | None:
        if not 0 <= error.index < len(batch):
            raise ContractError(
                f"{self._plugin}: extract raised an ItemError for item {error.index} of a batch"
                f" of {len(batch)}"
            )
        failures[batch[error.index].row] = failure("extract", error)
        rest = batch[: error.index] + batch[error.index + 1 :]
        return self.run(rest, buffer, failures) if rest else None

    def _bisect(
        self,
        batch: list[Task],
        buffer: OutputBuffer,
        failures: dict[int, Failure],
        error: Exception,
    ) -> str | None:
        if len(batch) > 1:
            return self._split(batch, buffer, failures)
        failures[batch[0].row] = failure("extract", error)
        self._failed_first += 1
        if not self._succeeded and self._failed_first >= GIVE_UP_AFTER:
            raise ContractError(
                f"{self._plugin}: extract failed on each of the first {self._failed_first}"
                f" items, so it is not the items: {type(error).__name__}: {error}. Nothing of"
                " this chunk was stored"
            ) from error
        return None

    def _split(
        self, batch: list[Task], buffer: OutputBuffer, failures: dict[int, Failure]
    ) -> str | None:
        middle = len(batch) // 2
        first = self.run(batch[:middle], buffer, failures)
        second = self.run(batch[middle:], buffer, failures)
        return first or second

    def _store(
        self,
        batch: list[Task],
        values: Mapping[str, Column],
        buffer: OutputBuffer,
        failures: dict[int, Failure],
    ) -> None:
        checked: dict[str, Any] = {}
        good = np.ones(len(batch), dtype=bool)
        for output in self._outputs:
            checked[output.name] = self._checked(output, values, len(batch), good)
        rows = [task.row for task in batch]
        if not good.all():
            for at in np.flatnonzero(~good):
                failures[rows[at]] = Failure(
                    "failed",
                    "check",
                    "non_finite",
                    "the model gave NaN or infinity for this item",
                )
        buffer.put(rows, checked)
        self._succeeded = True

    def _checked(
        self,
        output: Output,
        values: Mapping[str, Column],
        count: int,
        good: npt.NDArray[np.bool_],
    ) -> Any:
        where = f"{self._plugin}: output {output.name!r}"
        if output.name not in values:
            raise ContractError(f"{where} is missing; extract returned {', '.join(values)}")
        column = values[output.name]
        if len(column) != count:
            raise ContractError(f"{where} has {len(column)} rows for a batch of {count} items")
        if output.kind != "embedding":
            return column.tolist() if isinstance(column, np.ndarray) else column
        array = np.asarray(column)
        if array.shape != (count, output.dim):
            raise ContractError(
                f"{where} has shape {array.shape}, declared was ({count}, {output.dim})"
            )
        if array.dtype not in (np.float32, np.float16):
            raise ContractError(
                f"{where} is {array.dtype}; an embedding must be float32 or float16"
            )
        if not np.isfinite(array).all():
            good &= np.isfinite(array).all(axis=1)
        return array
