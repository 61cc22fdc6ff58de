"""``custom/model`` keeps the extractor contract, whatever carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest

from ducho_core.testing import ExtractorConformance

RESIZED = {"preprocessing": "zscore", "resize": [kit.SIDE]}


class TestFactory(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("image",)

    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {
            "model": str(forms.safetensors),
            "factory": forms.factory,
            "layers": ["pooled", "body", "output"],
            **RESIZED,
        }


class TestExported(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("image",)

    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {
            "model": str(forms.exported_one),
            "sha256": kit.sha256(forms.exported_one),
            "layers": ["output", "body"],
        }


class TestOnnx(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("image",)

    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {"model": str(forms.onnx), "layers": ["maps:0", "output"]}


class TestTransformersTexts(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("text",)

    @pytest.fixture
    def options(self, bert: Path) -> dict[str, Any]:
        return {"model": str(bert), "layers": ["output", "encoder.layer.0"]}
