"""The contract, rule by rule."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExtractorConformance


class TestPrompted(ExtractorConformance):
    plugin = "lvlm/prompted"
    inputs = ("image", "text")

    @pytest.fixture
    def options(self, model):
        return {
            "model": str(model("qwen2vl")),
            "prompt": "describe,clothing",
            "embeddings": "eos,last,mean_image",
            "max_new_tokens": 3,
            "max_value_tokens": 2,
            "max_text_tokens": 60,
        }


class TestEmbedder(ExtractorConformance):
    plugin = "lvlm/embedder"
    inputs = ("image", "text")

    @pytest.fixture
    def options(self, model):
        return {"model": str(model("llava")), "max_text_tokens": 60}
