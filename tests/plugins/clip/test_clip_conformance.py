"""``clip/dual`` keeps the extractor contract."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExtractorConformance


class TestClip(ExtractorConformance):
    plugin = "clip/dual"

    @pytest.fixture
    def options(self, model):
        return {"model": str(model("clip")), "text_pooling": "projected,mean", "text_layers": "1"}


class TestSiglip2(ExtractorConformance):
    """Texts padded to one length without a mask; images as patches with masks."""

    plugin = "clip/dual"

    @pytest.fixture
    def options(self, model):
        return {"model": str(model("siglip2")), "normalize": "yes"}
