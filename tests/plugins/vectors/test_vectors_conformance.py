"""The exporters keep the contract, by inner product exactly and by cosine."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExporterConformance
from tests.plugins.vectors.vectors_kit import READ


def by_key(name):
    def read(folder):
        return {
            label: {(key,): vector for key, vector in found.items()}
            for label, found in READ[name](folder).items()
        }

    return staticmethod(read)


class TestFaiss(ExporterConformance):
    plugin = "vectors/faiss"


class TestFaissExactly(ExporterConformance):
    plugin = "vectors/faiss"
    read = by_key("faiss")

    @pytest.fixture
    def options(self):
        return {"metric": "ip"}


class TestLanceDB(ExporterConformance):
    plugin = "vectors/lancedb"
    read = by_key("lancedb")
    expected_failures = {  # noqa: RUF012 - read as a literal
        "deterministic": "LanceDB names its files by random numbers",
    }


class TestQdrant(ExporterConformance):
    plugin = "vectors/qdrant"


class TestQdrantExactly(ExporterConformance):
    plugin = "vectors/qdrant"
    read = by_key("qdrant")

    @pytest.fixture
    def options(self):
        return {"metric": "l2", "points": "row"}
