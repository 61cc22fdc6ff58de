"""A job: all that a worker needs to prepare, extract and commit chunks of one feature set."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_core.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ducho_core.catalogue import InputField
    from ducho_core.extractor import JSON, Extractor, Output, Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker needs, picklable, so that an engine may send it anywhere.

    Attributes:
        plugin: the extractor's canonical name.
        implementation: its class.
        resolved: what ``resolve`` found.
        run_options: the options that do not enter the SPEC.
        store: path of the store.
        spec: the SPEC of the feature set.
        outputs: its outputs, as known before ``load``.
        fields: its inputs.
        root: folder that every path must lie in.
        batch_size: cap on the items of a batch.
        batch_budget: cap on a batch's cost, or None.
        padded: whether a batch costs n * max(size) or the sum of sizes.
        workers: threads that prepare.
        queue_bytes: bound on prepared samples that wait.
        run_id: names the run in failures and data files.
    """

    plugin: str
    implementation: type[Extractor]
    resolved: Resolved
    run_options: Any
    store: Path
    spec: Mapping[str, JSON]
    outputs: tuple[Output, ...]
    fields: tuple[InputField, ...]
    root: Path | None
    batch_size: int
    batch_budget: int | None
    padded: bool
    workers: int
    queue_bytes: int = 256 * 2**20
    run_id: str = ""

    def load(self) -> Extractor:
        """Load the extractor.

        Raises:
            ContractError: it declares other outputs than ``resolve`` did.
        """
        return self.implementation.load(self.resolved, self.run_options)

    def loaded_outputs(self, extractor: Extractor) -> tuple[Output, ...]:
        """The job's outputs with every ``dim`` known, checked against the SPEC.

        Raises:
            ContractError: the loaded extractor's outputs are not those that it resolved to.
        """
        loaded = {output.name: output for output in extractor.outputs}
        known = []
        for planned in self.outputs:
            output = loaded.get(planned.name)
            if output is None:
                raise ContractError(
                    f"{self.plugin}: resolve named an output {planned.name!r} that load does"
                    f" not give; it gives {', '.join(loaded) or 'none'}"
                )
            if (output.kind, output.dtype) != (planned.kind, planned.dtype):
                raise ContractError(
                    f"{self.plugin}: output {planned.name!r} is {output.kind} {output.dtype}"
                    f" after load and was {planned.kind} {planned.dtype} in resolve"
                )
            if output.kind == "embedding" and (output.dim is None or output.dim < 1):
                raise ContractError(
                    f"{self.plugin}: output {planned.name!r} has no dim after load"
                )
            if planned.dim is not None and output.dim != planned.dim:
                raise ContractError(
                    f"{self.plugin}: output {planned.name!r} has dim {output.dim} after load"
                    f" and had {planned.dim} in resolve"
                )
            known.append(output)
        return tuple(known)


class Seconds(defaultdict[str, float]):
    """Seconds by stage."""

    def __init__(self) -> None:
        super().__init__(float)

    def __reduce__(self) -> tuple[Any, ...]:
        # What a defaultdict says of itself would hand the factory to __init__.
        return Seconds, (), None, None, iter(self.items())

    def add(self, other: Mapping[str, float]) -> None:
        """Add another measurement, stage by stage."""
        for stage, seconds in other.items():
            self[stage] += seconds


@dataclass(slots=True, kw_only=True)
class ChunkResult:
    """What became of a chunk.

    Attributes:
        plan, index: the chunk.
        committed: whether this run committed it.
        reason: why it is left pending, where it is.
        elsewhere: rows that another process had committed first.
        stored, absent, withdrawn: rows by what became of them.
        failed: failed rows by code.
        repeated: rows whose content had been computed for another row.
        notes: what prepare and the checks noted, by word.
        scalars: of each scalar output the stored rows that have a value, and their sum.
        examples: some failures as (key, code, message).
        seconds: where the time went, by stage.
    """

    plan: int
    index: int
    committed: bool = True
    reason: str = ""
    elsewhere: int = 0
    stored: int = 0
    absent: int = 0
    withdrawn: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    scalars: dict[str, tuple[int, float]] = field(default_factory=dict)
    examples: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: Seconds = field(default_factory=Seconds)
