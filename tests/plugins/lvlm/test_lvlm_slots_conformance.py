"""``lvlm/slots`` keeps the fuser contract."""

from __future__ import annotations

import pytest

from ducho_core.testing import FuserConformance
from tests.plugins.lvlm.slots_kit import LETTERS, said

__all__ = ["said"]
pytestmark = pytest.mark.usefixtures("said")


class TestSlots(FuserConformance):
    plugin = "lvlm/slots"

    @pytest.fixture
    def options(self):
        return dict(LETTERS)


class TestSlotsWithMissingRows(FuserConformance):
    plugin = "lvlm/slots"
    missing = "zero"

    @pytest.fixture
    def options(self):
        return {**LETTERS, "flag_missing": False, "language": None, "top": 2}
