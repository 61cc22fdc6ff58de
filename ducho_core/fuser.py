"""The fuser contract: feature sets to a feature set.

The core joins the inputs by key, applies the policy for missing rows, hands over batches, checks
what comes back and commits it. A fuser computes. It is one of three kinds:

- ``RowFuser``: each new row from the rows of one key;
- ``RelabelFuser``: each key gets the vector of another key; no number is computed;
- ``GroupFuser``: each new row from all rows of an item or user, such as its slots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from ducho_core.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from ducho_core.extractor import JSON, Output

Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""Shape (n, dim)."""

Texts: TypeAlias = "npt.NDArray[np.object_]"
"""Shape (n,), each ``str`` or None."""

State: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""What a fit found: arrays by name, kept as safetensors."""

Missing: TypeAlias = Literal["error", "drop", "zero", "mean"]
"""What to do with a key that one of the sets has no row for.

``error``: refuse; ``drop``: leave the key out; ``zero``: a vector of zeros takes its place;
``mean``: the mean of the input's rows that take part. Of texts ``zero`` means None, and there
is no ``mean``.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuserInput:
    """One output of a feature set that is fused.

    Attributes:
        name: how the user calls it, for messages; never recorded.
        label: short name of what made it, such as ``resnet50``.
        dim: length of its vectors; 0 of a text.
        keys: its key columns.
        fingerprint: of its feature set.
        output: which output of that set it is.
    """

    name: str
    label: str
    dim: int
    keys: tuple[str, ...]
    fingerprint: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FuserContext:
    """What a fuser is opened on.

    Attributes:
        inputs: what is fused, in the order given; all with the same key columns.
        missing: the policy for keys that an input has no row for.
    """

    inputs: tuple[FuserInput, ...]
    missing: Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class FuserBatch:
    """Rows that belong together, whatever their position in the sets they come from.

    Attributes:
        keys: one ``string`` column per key column, n rows.
        values: the vectors of each input, (n, dim) float32, filled in by the policy where the
            input has no row; empty where the fuser takes texts. Must not be changed in place.
        present: for each input which rows it has, (n,) bool; the others are filled in.
        texts: the texts of each input, (n,), where the fuser takes texts; None where the set
            has none or the input no row. Must not be changed in place.
    """

    keys: pa.RecordBatch
    values: tuple[Vectors, ...]
    present: tuple[npt.NDArray[np.bool_], ...]
    texts: tuple[Texts, ...] = ()


class Fuser(ABC):
    """A fuser with its options, opened on inputs. Implement one of the three kinds below.

    Attributes:
        outputs: the embeddings it makes, every ``dim`` known; of a fitted one that only its fit
            can tell, None until ``restore``.
        identity: what changes the numbers beside options and inputs; enters the SPEC.
        recorded: the options as they enter the SPEC, where they are not those given, such as
            without a path; None where they are.
        takes_only: what the rows are that ``takes`` is about, in the plural and for messages,
            such as ``train interactions of the split``; None where all rows are taken.
    """

    outputs: tuple[Output, ...]
    identity: Mapping[str, JSON] = MappingProxyType({})
    recorded: Any = None
    takes_only: str | None = None

    @classmethod
    @abstractmethod
    def open(cls, options: Any, context: FuserContext) -> Self:
        """Hold the options against the inputs and settle ``outputs``; compute nothing.

        Raises:
            UsageError: these inputs cannot be fused so (too few, unequal lengths, other keys).
        """

    def takes(self, keys: pa.RecordBatch) -> npt.NDArray[np.bool_]:  # noqa: ARG002 - the contract
        """Say which rows are taken, by their keys alone; called where ``takes_only`` says what.

        The others are as if they were not there: nothing of them enters the new rows or the
        SPEC, so that no byte changes where one of them changes, comes or goes. The rows of a
        group fuser are then in an order that follows from their keys.

        Args:
            keys: one ``string`` column per key column, n rows.

        Returns:
            Shape (n,).
        """
        raise ContractError(f"{type(self).__name__} says what it takes_only and has no takes")


class RowFuser(Fuser):
    """Each new row follows from the rows of one key, and from a fit where there is one."""

    fitted: bool = False
    """Whether it has to be fitted, with these options."""

    def fit(self, batches: Iterable[FuserBatch]) -> State:  # noqa: ARG002 - the contract
        """Learn from all rows; called only where ``fitted`` is True.

        Must not depend on how the rows are cut into batches.

        Args:
            batches: the rows; may be iterated several times, in the same order.

        Returns:
            All that ``transform`` needs of it. The core keeps it, hands it to ``restore`` as it
            reads it back, and records its sha256 in the SPEC.

        Raises:
            UsageError: these rows cannot be fitted (too few, say).
        """
        raise ContractError(f"{type(self).__name__} says that it is fitted and has no fit")

    def restore(self, state: State) -> None:  # noqa: ARG002 - the contract
        """Take over what a fit found, on these rows or on others; settles every ``dim``.

        Raises:
            UsageError: it does not fit these inputs or options.
        """
        raise ContractError(f"{type(self).__name__} is fitted and has no restore")

    @abstractmethod
    def transform(self, batch: FuserBatch) -> Mapping[str, Vectors]:
        """Make the new rows; each must follow from its own row alone, whatever the batch.

        Returns:
            Output name to an array (n, dim), float32. A row that is not finite becomes a
            failure.
        """


class RelabelFuser(Fuser):
    """Each key gets the vector of a key, as where rows are shuffled among items. One input.

    The core carries it out, so that no number can change; ``outputs`` is the input's.
    """

    @abstractmethod
    def sources(self, digests: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Say which row each row's vector is taken from.

        Args:
            digests: a 128-bit digest of each key as two numbers, (n, 2), sorted: the same
                keys give the same array, in whatever order the set stores them.

        Returns:
            Positions in ``digests``, (n,), each 0 to n - 1.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBatch:
    """Whole groups of rows.

    Attributes:
        keys: the key of each group, one ``string`` column per kept key column, g rows.
        members: the full keys of the rows, n rows, group after group; within a group in the
            natural order of their slots, then in the order of the set. Without columns where
            the fuser says that it ``needs_members`` not, in an order that follows from the
            keys.
        values: the vectors of those rows, (n, dim) float32. Must not be changed in place.
        starts: where each group begins, (g + 1,), the last one is n; no group is empty.
    """

    keys: pa.RecordBatch
    members: pa.RecordBatch
    values: Vectors
    starts: npt.NDArray[np.int64]


class GroupFuser(Fuser):
    """Each new row follows from all rows of a group. One input."""

    keeps: tuple[str, ...] = ("item_id",)
    """The key columns that make the new key; rows that agree in them are a group."""

    needs_members: bool = True
    """Whether ``pool`` looks at ``members`` or at the order of a group's rows. Where it does not,
    they are not read, which is much cheaper where the rows of a group lie far apart."""

    @abstractmethod
    def pool(self, batch: GroupBatch) -> Mapping[str, Vectors]:
        """Make one row a group; it must follow from its own group alone, whatever the batch.

        Returns:
            Output name to an array (g, dim), float32.
        """


__all__ = [
    "Fuser",
    "FuserBatch",
    "FuserContext",
    "FuserInput",
    "GroupBatch",
    "GroupFuser",
    "Missing",
    "RelabelFuser",
    "RowFuser",
    "State",
    "Texts",
    "Vectors",
]
