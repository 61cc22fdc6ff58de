"""An extractor under test: resolved, loaded once, its numbers computed once."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ducho_core.catalogue import InputField
from ducho_core.errors import ContractError
from ducho_core.extraction.settings import make_targets
from ducho_core.extractor import ResolveContext
from ducho_core.testing.comparing import in_order
from ducho_core.testing.items import broken_items, catalogue_items, copies
from ducho_core.testing.part_case import PartCase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.extractor import Column, Extractor, InputValue, Output, Resolved, Sample
    from ducho_core.registry import Registry

Items = "list[dict[str, InputValue]]"
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Group:
    """The outputs that share their inputs, and so become one feature set.

    Attributes:
        requires: names of the inputs.
        outputs: the outputs.
        spec: the SPEC.
    """

    requires: tuple[str, ...]
    outputs: tuple[Output, ...]
    spec: Mapping[str, Any]

    @property
    def label(self) -> str:
        """For messages."""
        return "+".join(self.requires)


class ExtractorCase(PartCase):
    """One extractor with options and items to try it on.

    Args:
        plugin: PLUGIN or PLUGIN/NAME.
        options: as ``-o`` would give them; ``device`` is ``cpu`` unless it is among them.
        inputs: the modalities to bind; all that the extractor takes where not given.
        items: sound items, each with every bound input; drawn where not given.
        broken: items that cannot be used, by what is wrong; made of the first item where not
            given.
        tolerance: how far a vector may lie from itself in another batch, as a share of its
            length: the spread of the library that computes it.
        precision: exact, fast or native; the extractor's default where not given.
        registry: where to find the plugin.
    """

    kind = "extractor"

    def __init__(
        self,
        plugin: str,
        options: Mapping[str, Any] | None = None,
        *,
        inputs: Sequence[str] | None = None,
        items: Sequence[Mapping[str, InputValue]] | None = None,
        broken: Mapping[str, Mapping[str, InputValue]] | None = None,
        tolerance: float = TOLERANCE,
        precision: str | None = None,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(plugin, {"device": "cpu", **(options or {})}, registry=registry)
        self.tolerance = tolerance
        self.precision: Any = precision or self.found.spec.default_precision
        self.items: Any = (
            [dict(one) for one in items]
            if items is not None
            else catalogue_items(inputs or self.found.spec.inputs)
        )
        self.broken: dict[str, dict[str, InputValue]] = (
            {what: dict(one) for what, one in broken.items()}
            if broken is not None
            else broken_items(self.items[0])
        )
        self._numbers: dict[tuple[str, ...], dict[str, Column]] = {}

    @cached_property
    def implementation(self) -> type[Extractor]:
        """The extractor's class."""
        return self.found.import_implementation()

    @cached_property
    def fields(self) -> tuple[InputField, ...]:
        """The bound inputs."""
        return tuple(_field(name, value) for name, value in self.items[0].items())

    @cached_property
    def resolved(self) -> Resolved:
        """What ``resolve`` finds."""
        return self.resolve()

    @cached_property
    def extractor(self) -> Extractor:
        """An extractor that all checks share; one that closes or spoils it loads its own."""
        return self.load()

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The feature sets that it makes of the bound inputs, each ``dim`` as ``load`` has it."""
        dims = {one.name: one for one in self.extractor.outputs}
        groups = self.declared_groups()
        for group in groups:
            for output in group.outputs:
                if output.name not in dims:
                    raise ContractError(
                        f"resolve names an output {output.name!r} that load does not give; it"
                        f" gives {', '.join(dims) or 'none'}"
                    )
        return tuple(
            Group(one.requires, tuple(dims[output.name] for output in one.outputs), one.spec)
            for one in groups
        )

    def context(self) -> ResolveContext:
        """What ``resolve`` is given beside the options."""
        return ResolveContext(
            precision=self.precision, run_options=self.run_options, inputs=self.fields
        )

    def resolve(self) -> Resolved:
        """Call ``resolve`` anew."""
        return self.implementation.resolve(self.options, self.context())

    def load(self, resolved: Resolved | None = None) -> Extractor:
        """Load another instance, from a copy of ``resolved`` as a worker gets it."""
        sent = pickle.dumps(resolved or self.resolved)
        return self.implementation.load(pickle.loads(sent), self.run_options)  # noqa: S301 - ours

    def declared_groups(self, resolved: Resolved | None = None) -> tuple[Group, ...]:
        """The feature sets as they are known before ``load``."""
        loader: Any = SimpleNamespace(keys=("item_id",), inputs=self.fields, identity={})
        targets = make_targets(
            self.name,
            self.found.spec,
            resolved or self.resolved,
            loader,
            slots="all",
            stored_dtype="float32",
            catalogue="main",
            revision=0,
            variant="",
        )
        return tuple(Group(one.requires, one.outputs, one.spec) for one in targets)

    def inputs_of(self, group: Group, items: Any = None) -> Any:
        """The items with the inputs of a group alone, as the core hands them over."""
        chosen = self.items if items is None else items
        return copies({name: one[name] for name in group.requires} for one in chosen)

    def samples(self, group: Group, extractor: Extractor | None = None) -> list[Sample]:
        """Prepare all items."""
        return (extractor or self.extractor).prepare_many(self.inputs_of(group))

    def compute(
        self,
        group: Group,
        *,
        extractor: Extractor | None = None,
        batch: int | None = None,
        order: Sequence[int] | None = None,
    ) -> dict[str, Column]:
        """Prepare and extract all items, in batches of a size and in an order.

        Returns:
            The group's outputs, rows in the order of the items whatever ``order`` was.
        """
        worker = extractor or self.extractor
        places = list(range(len(self.items)) if order is None else order)
        inputs = self.inputs_of(group, [self.items[place] for place in places])
        samples = worker.prepare_many(inputs)
        step = batch or len(samples)
        parts = [worker.extract(samples[at : at + step]) for at in range(0, len(samples), step)]
        return {one.name: in_order(parts, one.name, places) for one in group.outputs}

    def numbers(self, group: Group) -> dict[str, Column]:
        """The group's outputs for all items in one batch; computed once."""
        if group.requires not in self._numbers:
            self._numbers[group.requires] = self.compute(group)
        return self._numbers[group.requires]

    def only(self, inputs: Sequence[str]) -> ExtractorCase:
        """A case of its own with some of the inputs bound."""
        return ExtractorCase(
            self.name,
            self.given,
            items=[{name: one[name] for name in inputs} for one in self.items],
            broken={},
            tolerance=self.tolerance,
            precision=self.precision,
            registry=self.registry,
        )

    def close(self) -> None:
        """Close the shared extractor, where it was loaded."""
        extractor = self.__dict__.pop("extractor", None)
        if extractor is not None:
            extractor.close()


def _field(name: str, value: InputValue) -> InputField:
    if isinstance(value, str):
        return InputField(name=name, modality="text", storage="inline", columns=(name,))
    modality: Any = "audio" if name == "audio" else "image"
    return InputField(name=name, modality=modality, storage="bytes")
