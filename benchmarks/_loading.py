"""An extractor made as the core makes it, for measuring it without the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ducho_core import InputField, ResolveContext
from ducho_core.options import build_options
from ducho_core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_core import Extractor

_STORAGE = {"text": "inline", "image": "path", "audio": "path"}


def load_extractor(
    plugin: str,
    options: Mapping[str, Any] | None = None,
    *,
    precision: str = "exact",
    inputs: tuple[str, ...] = (),
) -> Extractor:
    """Resolve and load an extractor.

    Args:
        plugin: PLUGIN or PLUGIN/NAME.
        options: options and run options by name.
        precision: ``exact``, ``fast`` or ``native``.
        inputs: modalities bound; all that the extractor takes if not given.
    """
    found = Registry.discover().extractor(plugin)
    implementation: Any = found.import_implementation()
    parsed, run_options = build_options(
        found.canonical, found.options_type(), found.run_options_type(), dict(options or {})
    )
    fields = tuple(
        InputField(name=one, modality=one, storage=_STORAGE[one])  # type: ignore[arg-type]
        for one in inputs or found.spec.inputs
    )
    context = ResolveContext(precision=precision, run_options=run_options, inputs=fields)  # type: ignore[arg-type]
    extractor: Extractor = implementation.load(
        implementation.resolve(parsed, context), run_options
    )
    return extractor
