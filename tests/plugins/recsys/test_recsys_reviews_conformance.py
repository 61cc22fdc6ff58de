"""``recsys/reviews`` keeps the fuser contract."""

from __future__ import annotations

import pytest
from ducho_recsys import split_interactions

from ducho_core.testing import FuserConformance
from tests.plugins.recsys.split_kit import rows, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A split."""
    place = tmp_path_factory.mktemp("split")
    return str(split_interactions(write(place / "r.tsv", rows(300)), place / "split").path)


class TestReviewsOfItems(FuserConformance):
    plugin = "recsys/reviews"
    keys = ("user_id", "item_id")

    @pytest.fixture
    def options(self, folder):
        return {"split": folder}


class TestReviewsOfUsers(FuserConformance):
    plugin = "recsys/reviews"
    keys = ("user_id", "item_id", "slot")

    @pytest.fixture
    def options(self, folder):
        return {"split": folder, "into": "users", "method": "max"}
