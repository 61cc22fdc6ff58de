"""A spec that was found, and the import of the classes that it names."""

from __future__ import annotations

import contextlib
import inspect
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ducho_core.errors import ContractError, DuchoError
from ducho_core.plugin_faults import import_attribute, import_fault
from ducho_core.specs import (
    EngineSpec,
    ExporterSpec,
    ExtractorSpec,
    FuserSpec,
    KnownModel,
    LoaderSpec,
    PluginSpec,
)

if TYPE_CHECKING:
    import msgspec

    from ducho_core.distributions import Claim

SpecT = TypeVar("SpecT", bound=PluginSpec)


@dataclass(frozen=True, slots=True)
class Found(Generic[SpecT]):
    """A spec, and who brings it.

    Attributes:
        canonical: its full name, ``PLUGIN/NAME``; the only one that is ever recorded.
        spec: the spec.
        claim: the entry point that it comes from.
    """

    canonical: str
    spec: SpecT
    claim: Claim = field(repr=False)

    @property
    def distribution(self) -> str:
        """The distribution that brings it."""
        return self.claim.distribution

    @property
    def version(self) -> str:
        """That distribution's version."""
        return self.claim.version

    def import_implementation(self) -> type[Any]:
        """Import the class that does the work.

        Raises:
            PluginLoadError: it cannot be imported; names the missing package and the command
                that installs it.
            ContractError: it is no class that fits the spec.
        """
        return _implementation(self._import(self.spec.implementation), self.spec, self._who)

    def options_type(self) -> type[msgspec.Struct] | None:
        """Import the Struct of options that enter the SPEC; None where there are none.

        Raises:
            PluginLoadError: it cannot be imported.
            ContractError: it is no frozen Struct with explained fields, or one of them is about
                an input that the extractor does not take.
        """
        if self.spec.options is None:
            return None
        struct = _options(self._import(self.spec.options), self._who, in_spec=True)
        if isinstance(self.spec, ExtractorSpec):
            _check_inputs(struct, self.spec, self._who)
        return struct

    def run_options_type(self) -> type[msgspec.Struct] | None:
        """Import the Struct of run options: an extractor's own or the base, else None.

        Raises:
            PluginLoadError: it cannot be imported.
            ContractError: it is no subclass of RunOptions, or repeats an option's name.
        """
        if not isinstance(self.spec, ExtractorSpec):
            return None
        target = self.spec.run_options or "ducho_core.extractor:RunOptions"
        return _run_options(self._import(target), self.options_type(), self._who)

    def known_models(self) -> tuple[KnownModel, ...] | None:
        """The models that an extractor knows by name; None where its plugin lists none.

        Raises:
            PluginLoadError: the list cannot be imported.
            ContractError: the function fails, or returns something else.
        """
        target = self.spec.models if isinstance(self.spec, ExtractorSpec) else None
        if target is None:
            return None
        function = self._import(target)
        what = f"{self._who}: its list of models, {target},"
        if not callable(function):
            raise ContractError(f"{what} is no function")
        try:
            with contextlib.redirect_stdout(sys.stderr):
                models = tuple(function())
        except DuchoError:
            raise
        except ImportError as error:
            raise import_fault(
                error, self.claim, what=self.canonical, requires=self.spec.requires
            ) from error
        except Exception as error:  # a plugin's function may raise anything
            raise ContractError(f"{what} fails: {type(error).__name__}: {error}") from error
        for model in models:
            if not isinstance(model, KnownModel):
                raise ContractError(f"{what} holds {model!r:.60}, which is no KnownModel")
        return models

    @property
    def _who(self) -> str:
        return f"{self.canonical} ({self.claim.origin})"

    def _import(self, target: str) -> object:
        return import_attribute(
            self.claim, target, what=self.canonical, requires=self.spec.requires
        )


def _implementation(found: object, spec: PluginSpec, who: str) -> type[Any]:
    from ducho_core.exporter import Exporter
    from ducho_core.extractor import Extractor
    from ducho_core.fuser import Fuser
    from ducho_core.loader import Loader

    bases: dict[type[PluginSpec], type] = {
        ExtractorSpec: Extractor,
        LoaderSpec: Loader,
        FuserSpec: Fuser,
        ExporterSpec: Exporter,
    }
    if isinstance(spec, EngineSpec):
        from ducho_core.extraction.engine import Engine

        bases[EngineSpec] = Engine
    base = bases.get(type(spec), object)
    if not isinstance(found, type) or not issubclass(found, base):
        wanted = "a class" if base is object else f"a subclass of ducho_core.{base.__name__}"
        raise ContractError(f"{who}: {spec.implementation} is not {wanted}")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise ContractError(f"{who}: {spec.implementation} does not define {missing}")
    return found


def _options(found: object, who: str, *, in_spec: bool) -> type[msgspec.Struct]:
    import msgspec

    from ducho_core.options import describe

    if not isinstance(found, type) or not issubclass(found, msgspec.Struct):
        raise ContractError(f"{who}: its options, {found!r}, are no msgspec Struct")
    if not found.__struct_config__.frozen or not found.__struct_config__.forbid_unknown_fields:
        raise ContractError(
            f"{who}: {found.__name__} must be declared with frozen=True and"
            " forbid_unknown_fields=True"
        )
    try:
        describe(found, in_spec=in_spec)
    except ContractError as error:
        raise ContractError(f"{who}: {error}") from error
    except (NameError, TypeError) as error:
        raise ContractError(
            f"{who}: the types of {found.__name__} cannot be read: {error}"
        ) from error
    return found


def _check_inputs(struct: type[msgspec.Struct], spec: ExtractorSpec, who: str) -> None:
    """An option about an input that there never is would be in no SPEC.

    Raises:
        ContractError: there is one.
    """
    from ducho_core.options import describe

    for one in describe(struct):
        for name in one.inputs:
            if name not in spec.inputs:
                raise ContractError(
                    f"{who}: option {one.name!r} is about the input {name!r}, and the extractor"
                    f" takes {', '.join(spec.inputs)}"
                )


def _run_options(
    found: object, options: type[msgspec.Struct] | None, who: str
) -> type[msgspec.Struct]:
    from ducho_core.extractor import RunOptions

    struct = _options(found, who, in_spec=False)
    if not issubclass(struct, RunOptions):
        raise ContractError(f"{who}: {struct.__name__} is no subclass of ducho_core.RunOptions")
    both = set(struct.__struct_fields__) & set(options.__struct_fields__ if options else ())
    if both:
        raise ContractError(
            f"{who}: {min(both)!r} is both an option and a run option; keep it in one of the two"
        )
    return struct
