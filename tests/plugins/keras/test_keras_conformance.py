"""``keras/image`` keeps the extractor contract."""

from __future__ import annotations

from typing import Any

import pytest

from ducho_core.testing import ExtractorConformance


class TestKerasImage(ExtractorConformance):
    """A small network of convolutions, pooled and from the middle."""

    plugin = "keras/image"

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {
            "model": "MobileNetV3Small",
            "pretrained": False,
            "layers": ["expanded_conv_project", "pooled"],
            "resize": [64],
        }
