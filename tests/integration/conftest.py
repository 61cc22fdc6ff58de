"""What the end-to-end tests share."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with items.parquet: 100,000 items with a text each."""
    folder = tmp_path_factory.mktemp("many")
    numbers = range(100_000)
    table = pa.table(
        {
            "item_id": [f"i{number:06}" for number in numbers],
            "text": [f"item number {number}" for number in numbers],
        }
    )
    pq.write_table(table, folder / "items.parquet")
    return folder
