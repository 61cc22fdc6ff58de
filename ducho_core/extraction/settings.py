"""From a resolved extractor to the SPECs of the feature sets that a run makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ducho_core.errors import ContractError, UsageError
from ducho_core.extractor import JSON, Output, Resolved
from ducho_core.options import spec_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ducho_core.catalogue import InputField
    from ducho_core.loader import Loader
    from ducho_core.specs import ExtractorSpec

SPEC_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One feature set to be made: the outputs that share their required inputs.

    Attributes:
        requires: names of the inputs that each row needs.
        outputs: its outputs, ``requires`` filled in.
        spec: the SPEC.
        loader: the source, opened for these inputs.
    """

    requires: tuple[str, ...]
    outputs: tuple[Output, ...]
    spec: Mapping[str, JSON]
    loader: Loader


def make_targets(
    canonical: str,
    extractor: ExtractorSpec,
    resolved: Resolved,
    loader: Loader,
    *,
    slots: str,
    stored_dtype: str,
    catalogue: str,
    revision: int,
    variant: str,
    narrowed: Callable[[Sequence[str]], Loader] | None = None,
) -> list[Target]:
    """Group the outputs by the inputs that they require, one target a group.

    Outputs whose inputs are not bound are left out. A set is the same, down to its
    fingerprint, whether it is made alone or beside others.

    Args:
        canonical: the extractor's canonical name.
        extractor: its spec.
        resolved: what it resolved to.
        loader: the source, opened for all inputs that are bound.
        slots: which slots are taken.
        stored_dtype: how embeddings are stored.
        catalogue: the catalogue's name.
        revision: its revision.
        variant: keeps repeated measurements apart.
        narrowed: opens the source for some of the inputs: the slots of the others are no
            keys of a set that does not require them. None takes ``loader`` for all.

    Raises:
        UsageError: no output can be made of the bound inputs.
        ContractError: outputs repeat a name or have an unknown kind, or an identity is of no
            input.
    """
    bound = {field.name: field for field in loader.inputs}
    _check_outputs(canonical, resolved.outputs)
    both = sorted(set(resolved.identity) & set(resolved.input_identity))
    if both:
        raise ContractError(f"{canonical}: identity holds {both[0]!r}, the name of an input")
    named = {name for output in resolved.outputs for name in output.requires}
    unknown = sorted(set(resolved.input_identity) - named - set(bound))
    if unknown:
        raise ContractError(
            f"{canonical}: input_identity holds {unknown[0]!r}, which would be in no SPEC; the"
            f" inputs are {', '.join(sorted(named | set(bound)))}"
        )
    groups: dict[tuple[str, ...], list[Output]] = {}
    for output in resolved.outputs:
        requires = tuple(sorted(output.requires or bound))
        if set(requires) <= set(bound):
            groups.setdefault(requires, []).append(output)
    if not groups:
        wanted = sorted({name for output in resolved.outputs for name in output.requires})
        raise UsageError(
            f"{canonical} needs {' or '.join(wanted)} and got {', '.join(bound) or 'nothing'}"
        )
    targets = []
    for requires, outputs in groups.items():
        filled = tuple(
            Output(name=one.name, kind=one.kind, dim=one.dim, dtype=one.dtype, requires=requires)
            for one in outputs
        )
        source = loader
        if narrowed is not None and set(requires) < set(bound) and "slot" in loader.keys:
            source = narrowed(requires)
        fields = [bound[name] for name in requires]
        spec: dict[str, JSON] = {
            "format": SPEC_FORMAT,
            "extractor": {
                "name": canonical,
                "label": resolved.label,
                "numerics": extractor.numerics,
            },
            "options": spec_options(
                resolved.options, {*requires, *(field.modality for field in fields)}
            ),
            "identity": {
                **resolved.identity,
                **{
                    name: dict(resolved.input_identity[name])
                    for name in requires
                    if name in resolved.input_identity
                },
            },
            "outputs": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "dim": one.dim,
                    "dtype": one.dtype,
                    "requires": list(requires),
                }
                for one in filled
            ],
            "keys": list(source.keys),
            "inputs": [_describe_input(field) for field in fields],
            "slots": slots,
            "precision": dict(resolved.precision),
            "stored_dtype": stored_dtype,
            "catalogue": {"name": catalogue, "revision": revision},
            "variant": variant,
        }
        origin = getattr(source, "identity", {})
        if origin:
            spec["source"] = dict(origin)
        targets.append(Target(requires=requires, outputs=filled, spec=spec, loader=source))
    return targets


def _describe_input(field: InputField) -> dict[str, JSON]:
    # Where an image lies is not what it is: its bytes are hashed row by row instead.
    described: dict[str, JSON] = {"name": field.name, "modality": field.modality}
    if field.modality == "text":
        described["columns"] = list(field.columns)
        described["template"] = field.template
        described["cleaning"] = list(field.cleaning)
    return described


def _check_outputs(canonical: str, outputs: Sequence[Output]) -> None:
    names: list[Any] = [output.name for output in outputs]
    if not names or len(set(names)) != len(names):
        raise ContractError(
            f"{canonical}: its outputs must have different names, got {names or 'none'}"
        )
    for output in outputs:
        if output.kind not in ("embedding", "text", "scalar"):
            raise ContractError(
                f"{canonical}: output {output.name!r} is of unknown kind {output.kind!r}"
            )
