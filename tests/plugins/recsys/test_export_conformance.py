"""The kit's rules for exporters, on the items of a split."""

from __future__ import annotations

import pytest

from ducho_core.testing import ExporterConformance
from ducho_core.testing.exporter_case import HOSTILE_IDS, IDS
from tests.core.set_samples import unsynced
from tests.plugins.recsys.export_kit import draw_pairs, put_split, vectors

__all__ = ["unsynced"]
pytestmark = pytest.mark.usefixtures("unsynced")

LABELS = ("model-0", "model-1")


def reader(to: str):
    """Reads as the framework does; the rows that were filled in are not asked for."""

    def read(out):
        found = vectors(to, out, LABELS)
        return {
            label: {(item,): vector for item, vector in own.items()}
            for label, own in found.items()
        }

    return staticmethod(read)


class Conformance(ExporterConformance):
    """Every exporter on a split of the ids that any format holds, some of them odd."""

    ids = IDS

    @pytest.fixture
    def options(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("conformance") / "split"
        put_split(folder, self.ids, draw_pairs(self.ids, users=5, each=6))
        return {"split": str(folder)}


class TestElliot(Conformance):
    plugin = "recsys/elliot"
    read = reader("elliot")


class TestMmrec(Conformance):
    plugin = "recsys/mmrec"
    read = reader("mmrec")


class TestCornac(Conformance):
    plugin = "recsys/cornac"
    read = reader("cornac")


class TestRecbole(Conformance):
    plugin = "recsys/recbole"
    read = reader("recbole")


class TestLattice(Conformance):
    plugin = "recsys/lattice"
    read = reader("lattice")


class TestMmrecOnHostileIds(TestMmrec):
    ids = HOSTILE_IDS


class TestElliotOnHostileIds(TestElliot):
    ids = HOSTILE_IDS
