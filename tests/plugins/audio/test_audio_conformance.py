"""``audio/encoder`` and ``audio/clap`` keep the extractor contract."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExtractorConformance


class TestUnmaskedWaveforms(ExtractorConformance):
    """A model in which padding would change the numbers; two layers, windows."""

    plugin = "audio/encoder"

    @pytest.fixture
    def options(self, waves):
        return {
            "model": str(waves("wav2vec2")),
            "layers": "1,-1",
            "pooling": "mean,max",
            "window": 0.5,
        }


class TestMaskedWaveforms(ExtractorConformance):
    """A model whose windows are padded together and masked."""

    plugin = "audio/encoder"

    @pytest.fixture
    def options(self, waves):
        return {"model": str(waves("wav2vec2-layer"))}


class TestClap(ExtractorConformance):
    """Two towers."""

    plugin = "audio/clap"

    @pytest.fixture
    def options(self, clap_folder):
        return {"model": str(clap_folder(fused=True))}
