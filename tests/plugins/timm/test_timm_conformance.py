"""``timm/image`` keeps the extractor contract."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExtractorConformance


class TestConvolutions(ExtractorConformance):
    """A network of convolutions, pooled and from the middle."""

    plugin = "timm/image"

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"model": "test_resnet", "pretrained": "false", "layers": "pooled,layer2"}


class TestTransformer(ExtractorConformance):
    """A vision transformer, in the fast precision."""

    plugin = "timm/image"
    precision = "fast"
    tolerance = 2e-2  # bfloat16 has eight bits

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"model": "test_vit", "pretrained": "false"}
