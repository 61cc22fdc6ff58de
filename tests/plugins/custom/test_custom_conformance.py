"""custom/model keeps the contract in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import custom_kit as kit
import pytest

from ducho_core.testing import ExtractorConformance

RESIZED = {"preprocessing": "zscore", "resize": [kit.SIDE]}


class OfImages(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("image",)


class TestFactory(OfImages):
    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {
            "model": str(forms.safetensors),
            "factory": forms.factory,
            "layers": ["pooled", "body", "output"],
            **RESIZED,
        }


class TestTorchScript(OfImages):
    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {"model": str(forms.script), "sha256": kit.sha256(forms.script), **RESIZED}


class TestExported(OfImages):
    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {
            "model": str(forms.exported_one),
            "sha256": kit.sha256(forms.exported_one),
            "layers": ["output", "body"],
        }


class TestOnnx(OfImages):
    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {"model": str(forms.onnx), "layers": ["maps:0", "output"]}


class TestOnnxOneByOne(OfImages):
    @pytest.fixture
    def options(self, forms: kit.Forms) -> dict[str, Any]:
        return {"model": str(forms.onnx_one)}


class TestTransformersImages(OfImages):
    @pytest.fixture
    def options(self, vit: Path) -> dict[str, Any]:
        return {"model": str(vit), "layers": ["output", "layers.0"], "pooling": "cls"}


class TestTransformersTexts(ExtractorConformance):
    plugin = "custom/model"
    inputs = ("text",)

    @pytest.fixture
    def options(self, bert: Path) -> dict[str, Any]:
        return {"model": str(bert), "layers": ["output", "encoder.layer.0"]}
