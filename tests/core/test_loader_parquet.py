"""Parquet files."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ducho_core.errors import SourceError, UsageError
from tests.core.loader_samples import open_table, rows, write


def table(tmp_path, columns, **settings):
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table(columns), path, **settings)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
)
def test_texts_of_every_arrow_type(tmp_path, kind):
    cells = pa.array(["007", "b"]).cast(kind)
    path = table(tmp_path, {"item_id": cells, "title": cells})
    loader = open_table(path, text="title")
    assert rows(loader) == [{"item_id": "007", "text": "007"}, {"item_id": "b", "text": "b"}]
    assert {str(field.type) for field in next(loader.batches()).schema} == {"string"}


def test_integer_keys_become_their_text_and_that_is_said(tmp_path):
    path = table(tmp_path, {"item_id": pa.array([7, 2**62]), "title": ["a", ""]})
    loader = open_table(path, text="title")
    assert rows(loader)[1] == {"item_id": str(2**62), "text": None}
    assert any("int64" in remark for remark in loader.remarks)


@pytest.mark.parametrize("cells", [[1.0, 2.0], [True, False], [["a"], ["b"]]])
def test_other_keys_are_refused(tmp_path, cells):
    path = table(tmp_path, {"item_id": pa.array(cells), "title": ["a", "b"]})
    with pytest.raises(UsageError, match=r"the key item_id cannot be column 'item_id'"):
        open_table(path, text="title")


def test_numbers_and_dates_are_read_as_text(tmp_path):
    columns = {"item_id": ["a"], "price": [1.5], "day": [datetime.date(2024, 2, 29)]}
    found = rows(open_table(table(tmp_path, columns), text="{price} on {day}"))
    assert found == [{"item_id": "a", "text": "1.5 on 2024-02-29"}]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.string(), 2),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_list_columns_are_slots(tmp_path, kind):
    cells = pa.array([["x", "y"], ["z", None]], pa.list_(pa.string())).cast(kind)
    path = table(tmp_path, {"item_id": ["a", "b"], "title": cells})
    assert [tuple(row.values()) for row in rows(open_table(path, text="title"))] == [
        ("a", "0", "x"),
        ("a", "1", "y"),
        ("b", "0", "z"),
        ("b", "1", None),
    ]


def embedded(values):
    return pa.array(values, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


@pytest.mark.parametrize("wrap", [False, True])
def test_embedded_images_are_bytes(tmp_path, wrap):
    contents = [b"one", None, b"three"]
    cells = (
        embedded([content and {"bytes": content, "path": "x.jpg"} for content in contents])
        if wrap
        else pa.array(contents, pa.large_binary())
    )
    path = table(tmp_path, {"item_id": ["a", "b", "c"], "image": cells})
    loader = open_table(path, accepts=("image",))
    assert [row["image"] for row in rows(loader)] == contents
    assert loader.inputs[0].storage == "bytes"
    assert loader.root is None


def test_lists_of_embedded_images_are_slots(tmp_path):
    kind = pa.list_(embedded([]).type)
    cells = pa.array([[{"bytes": b"x"}, {"bytes": b"y"}], None, [{"bytes": b"z"}]], kind)
    path = table(tmp_path, {"item_id": ["a", "b", "c"], "image": cells})
    assert [tuple(row.values()) for row in rows(open_table(path, accepts=("image",)))] == [
        ("a", "0", b"x"),
        ("a", "1", b"y"),
        ("b", "", None),
        ("c", "0", b"z"),
    ]


def test_a_struct_that_names_a_file_and_does_not_hold_it(tmp_path):
    cells = embedded([{"bytes": b"x", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}])
    path = table(tmp_path, {"item_id": ["a", "b"], "image": cells})
    with pytest.raises(SourceError, match=r"row 2.*'b\.jpg'.*image\.path"):
        rows(open_table(path, accepts=("image",)))
    found = rows(open_table(path, accepts=("image",), image="image.path"))
    assert found[1]["image"] == str(tmp_path / "b.jpg")


def test_batches_are_bounded_in_rows_and_bytes(tmp_path):
    titles = [f"{index}" + "x" * 10_000 for index in range(2000)]
    path = table(tmp_path, {"item_id": [str(at) for at in range(2000)], "title": titles})
    loader = open_table(path, text="title")
    batches = list(loader.batches())
    assert sum(batch.num_rows for batch in batches) == 2000
    assert max(batch.nbytes for batch in batches) < 32 * 2**20


def test_unfit_files_are_explained(tmp_path):
    with pytest.raises(SourceError, match="no readable Parquet"):
        open_table(write(tmp_path / "items.parquet", b"PAR1 not really"), text="title")
    with pytest.raises(SourceError, match="no rows"):
        open_table(table(tmp_path, {"item_id": pa.array([], pa.string())}), text="title")
    with pytest.raises(SourceError, match=r"row 2: the key item_id is empty"):
        rows(open_table(table(tmp_path, {"item_id": ["a", None], "text": ["x", "y"]})))
    binary = {"item_id": ["a"], "title": pa.array([b"\xff\xfe"], pa.binary())}
    with pytest.raises(SourceError, match=r"'title'.*no UTF-8"):
        rows(open_table(table(tmp_path, binary), text="title"))
