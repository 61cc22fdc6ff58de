"""The contract that every extractor keeps."""

from __future__ import annotations

from typing import Any

import pytest

from ducho_core.testing import ExtractorConformance


class TestTorchvisionImage(ExtractorConformance):
    plugin = "torchvision/image"

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {
            "model": "mobilenet_v3_small",
            "pretrained": False,
            "layers": ["features.4", "pooled"],
            "input_size": [96],
        }
