"""The extractor contract: what a plugin author implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

import msgspec

from ducho_core.options import option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ducho_core.catalogue import InputField
    from ducho_core.media import Media

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
InputValue: TypeAlias = "str | Media"
JointValue: TypeAlias = "tuple[InputValue, ...]"
"""All slots of an item, at least one: what an extractor whose spec says ``joint`` is given too."""
Column: TypeAlias = "npt.NDArray[np.generic] | list[Any]"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options that change how a run is carried out and never its numbers.

    An extractor with options of its own subclasses this one.
    """

    device: Annotated[str, option(help="where the model runs: auto, cpu, cuda, cuda:1, mps")] = (
        "auto"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One named output of an extractor, a column of a feature set.

    Attributes:
        name: column name; outputs are told apart by it.
        kind: ``embedding`` (a vector, never null), ``text`` or ``scalar`` (nullable).
        dim: length of the vector; None where it is known only after ``load``.
        dtype: of an embedding ``float32`` or ``float16``; of a scalar ``float64``,
            ``int64`` or ``bool``; of a text ``string``.
        requires: names of the inputs that a row needs. Empty means all that are bound.
            Outputs that require the same inputs form one feature set.
    """

    name: str
    kind: Literal["embedding", "text", "scalar"] = "embedding"
    dim: int | None = None
    dtype: str = "float32"
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveContext:
    """What ``resolve`` may need beside its options.

    Attributes:
        precision: the word that the user chose; ``resolve`` turns it into values.
        run_options: the device and whatever else does not enter the SPEC.
        inputs: the inputs that are bound.
    """

    precision: Literal["exact", "fast", "native"]
    run_options: RunOptions
    inputs: tuple[InputField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What an extractor will compute, known before its model is loaded. Picklable.

    Attributes:
        label: short name of the model for the set's slug, such as ``resnet50``.
        identity: everything beside the options that changes the numbers: model id and
            commit, digest of the weights, resolved preprocessing, tokenizer. Enters the SPEC.
        input_identity: of that, what concerns one input only (its preprocessing, its
            tokenizer), by the input's name: enters, under that name, the SPECs of the sets
            that require the input, and of no others.
        precision: the values that the precision word stands for (``compute_dtype``,
            ``tf32``, ...). Enters the SPEC; empty where precision has no meaning.
        outputs: all outputs, with ``dim`` None where only ``load`` can tell.
        options: the options as given, for ``load``.
        state: whatever ``load`` needs beside the options (file paths). Never stored.
        remarks: what the user should be told before the model is loaded, a line each.
    """

    label: str
    identity: Mapping[str, JSON]
    outputs: tuple[Output, ...]
    options: Any
    input_identity: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    precision: Mapping[str, JSON] = field(default_factory=dict)
    state: Any = None
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Sample:
    """One prepared item. Picklable.

    Attributes:
        data: whatever ``extract`` takes: arrays, token ids.
        notes: words to be counted in the summary, such as ``truncated``.
    """

    data: Any
    notes: tuple[str, ...] = ()


class Extractor(ABC):
    """One loaded model that gives named outputs per item.

    The core calls ``resolve`` and ``load`` once, then ``prepare_many`` from several threads
    and ``extract`` from one, then ``close``.
    """

    outputs: tuple[Output, ...]
    """All outputs, every ``dim`` known."""

    circumstances: Mapping[str, JSON] = MappingProxyType({})
    """Device, threads and the like: recorded with each run, never part of the SPEC."""

    threadsafe_prepare: ClassVar[bool] = True
    """False where ``prepare_many`` must not run in several threads at once."""

    @classmethod
    @abstractmethod
    def resolve(cls, options: Any, context: ResolveContext) -> Resolved:
        """Find, fetch and hash what the model needs; build no network.

        Raises:
            UsageError: an option cannot be honoured (no such model, layer, device).
        """

    @classmethod
    @abstractmethod
    def load(cls, resolved: Resolved, run_options: Any) -> Self:
        """Load the model onto its device."""

    @abstractmethod
    def prepare(self, inputs: Mapping[str, InputValue]) -> Sample:
        """Turn one item's inputs into a sample, on the CPU, from any thread.

        Args:
            inputs: by name, those that one feature set requires. Where the outputs require
                different inputs, each set is made in a pass of its own over the loaded model,
                so that items of all sets hold the same inputs within a pass. An extractor whose
                spec says ``joint`` widens the type to ``InputValue | JointValue``.

        Raises:
            ItemError: this item cannot be used.
        """

    def prepare_many(self, inputs: Sequence[Mapping[str, InputValue]]) -> list[Sample]:
        """Prepare a slice of items. When it raises, the core prepares them one by one."""
        return [self.prepare(one) for one in inputs]

    def size(self, sample: Sample) -> int:  # noqa: ARG002 - the signature is the contract
        """Cost of a sample in a batch, in tokens, pixels or any unit of one's own."""
        return 1

    @abstractmethod
    def extract(self, samples: Sequence[Sample]) -> Mapping[str, Column]:
        """One pass over a batch for all outputs whose inputs the samples hold.

        Args:
            samples: at least one, all made of the same inputs; see ``prepare``.

        Returns:
            Output name to an array of shape (n, dim) for an embedding, to a list or array
            of length n otherwise; rows in the order of ``samples``.

        Raises:
            ItemError: one sample cannot be used; the rest is tried again without it.
            DeviceMemoryError: the batch is too large; the core tries halves.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to free
        """Free the model's memory."""
