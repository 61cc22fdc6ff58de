"""Extractors that a form makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ducho_core import ContractError, Extractor, Resolved

if TYPE_CHECKING:
    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions


class Loaded(Extractor):
    """An extractor that is resolved as ``custom/model`` is, and loaded by the form found then."""

    @classmethod
    def resolve(cls, options: CustomOptions, context: ResolveContext) -> Resolved:
        """As ``CustomExtractor.resolve``."""
        from ducho_custom.choice import settle

        return settle(options, context)

    @classmethod
    def load(cls, resolved: Resolved, run_options: CustomRunOptions) -> Self:
        """Load what was resolved, which must be of this class.

        Raises:
            ContractError: its form makes another extractor.
        """
        form, state = resolved.state
        made = form.load(resolved, state, run_options)
        if not isinstance(made, cls):
            raise ContractError(f"{form.name} makes {type(made).__name__}, not {cls.__name__}")
        return made
