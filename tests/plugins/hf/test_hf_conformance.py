"""``hf/sentence``, ``hf/text`` and ``hf/vision`` keep the extractor contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from ducho_core.testing import ExtractorConformance


class TestSentence(ExtractorConformance):
    plugin = "hf/sentence"

    @pytest.fixture
    def options(self, minilm: Path) -> dict[str, object]:
        return {"model": str(minilm)}


class TestText(ExtractorConformance):
    """An encoder; two layers, two poolings."""

    plugin = "hf/text"

    @pytest.fixture
    def options(self, bert: Path) -> dict[str, object]:
        return {"model": str(bert), "layers": "2,-1", "pooling": "mean,cls"}


class TestDecoder(ExtractorConformance):
    """A decoder, whose padding must not be seen."""

    plugin = "hf/text"

    @pytest.fixture
    def options(self, gpt: Path) -> dict[str, object]:
        return {"model": str(gpt), "pooling": "mean,last"}


class TestVision(ExtractorConformance):
    plugin = "hf/vision"

    @pytest.fixture
    def options(self, clip: Path) -> dict[str, object]:
        return {"model": str(clip), "pooling": "cls,mean"}
