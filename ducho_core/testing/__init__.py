"""The conformance kit: what a plugin's author runs to see that it keeps the contract.

In a test module::

    from ducho_core.testing import ExtractorConformance

    class TestWords(ExtractorConformance):
        plugin = "acme/words"

Without pytest: ``ducho plugins check acme/words``. Fixtures (a small catalogue, a store, the
command line) come with ``pytest_plugins = ["ducho_core.testing.fixtures"]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_EXPORTS = {
    "Check": "checks",
    "CheckFailed": "checks",
    "ExporterCase": "exporter_case",
    "ExporterConformance": "conformance",
    "ExtractorCase": "extractor_case",
    "ExtractorConformance": "conformance",
    "FuserCase": "fuser_case",
    "FuserConformance": "conformance",
    "LoaderCase": "loader_case",
    "LoaderConformance": "conformance",
    "NotApplicable": "checks",
    "Outcome": "running",
    "SmallCatalogue": "catalogue",
    "all_checks": "checks",
    "catalogue_items": "items",
    "draw_catalogue": "catalogue",
    "no_network": "network",
    "run_checks": "running",
}

if TYPE_CHECKING:
    from ducho_core.testing.catalogue import SmallCatalogue, draw_catalogue
    from ducho_core.testing.checks import Check, CheckFailed, NotApplicable, all_checks
    from ducho_core.testing.conformance import (
        ExporterConformance,
        ExtractorConformance,
        FuserConformance,
        LoaderConformance,
    )
    from ducho_core.testing.exporter_case import ExporterCase
    from ducho_core.testing.extractor_case import ExtractorCase
    from ducho_core.testing.fuser_case import FuserCase
    from ducho_core.testing.items import catalogue_items
    from ducho_core.testing.loader_case import LoaderCase
    from ducho_core.testing.network import no_network
    from ducho_core.testing.running import Outcome, run_checks

__all__ = [
    "Check",
    "CheckFailed",
    "ExporterCase",
    "ExporterConformance",
    "ExtractorCase",
    "ExtractorConformance",
    "FuserCase",
    "FuserConformance",
    "LoaderCase",
    "LoaderConformance",
    "NotApplicable",
    "Outcome",
    "SmallCatalogue",
    "all_checks",
    "catalogue_items",
    "draw_catalogue",
    "no_network",
    "run_checks",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_core.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_core.testing.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
