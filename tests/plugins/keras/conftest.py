"""Pictures for the tests of ducho-keras."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from ducho_core import Media
from ducho_core.testing import catalogue_items

sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)  # small images: threads would only wait for each other


@pytest.fixture(scope="session")
def pictures() -> list[Media]:
    """Six images of all shapes, JPEG and PNG, one of them grey, one transparent."""
    return [item["image"] for item in catalogue_items(["image"], 6)]
