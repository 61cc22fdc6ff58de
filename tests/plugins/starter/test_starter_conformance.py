"""The extractors of ``starter`` keep the extractor contract, with real weights."""

from __future__ import annotations

from ducho_core.testing import ExtractorConformance


class TestImage(ExtractorConformance):
    plugin = "starter/image"


class TestText(ExtractorConformance):
    plugin = "starter/text"


class TestAudio(ExtractorConformance):
    plugin = "starter/audio"
