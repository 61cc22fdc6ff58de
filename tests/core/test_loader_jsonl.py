"""JSON Lines."""

from __future__ import annotations

import json

import pytest

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.options import TableOptions
from tests.core.loader_samples import open_table, rows, write


def read(tmp_path, content, options=None, **binding):
    binding.setdefault("text", "title")
    return rows(open_table(write(tmp_path / "items.jsonl", content), options, **binding))


def test_values_keep_the_text_they_are_written_in(tmp_path):
    content = (
        '{"item_id": 12345678901234567890, "title": 1.50}\n'
        '{"item_id": "007", "title": true}\n\n'
        '{"item_id": 3e2, "title": null}\n'
        '{"item_id": 4, "title": NaN}\n'
        '{"item_id": 5}\n'
        '{"item_id": 6, "title": ""}\n'
        '{"item_id": 7, "title": "Caf\\u00e9 \\ud83d\\ude00"}\n'
    )
    assert [tuple(row.values()) for row in read(tmp_path, "\ufeff" + content)] == [
        ("12345678901234567890", "1.50"),
        ("007", "true"),
        ("3e2", None),
        ("4", None),
        ("5", None),
        ("6", None),
        ("7", "Café 😀"),
    ]


def test_lists_are_slots(tmp_path):
    content = '{"item_id": 1, "title": ["a", 2, null]}\n{"item_id": 2, "title": "b"}\n'
    assert [tuple(row.values()) for row in read(tmp_path, content)] == [
        ("1", "0", "a"),
        ("1", "1", "2"),
        ("1", "2", None),
        ("2", "0", "b"),
    ]


def test_columns_may_come_after_the_first_line(tmp_path):
    content = '{"item_id": 1}\n{"item_id": 2, "title": "b"}\n'
    assert [row["text"] for row in read(tmp_path, content)] == [None, "b"]


def test_objects_that_are_not_used_do_no_harm(tmp_path):
    content = '{"item_id": 1, "title": "a", "more": {"x": [1]}, "rows": [[1]]}\n'
    assert read(tmp_path, content) == [{"item_id": "1", "text": "a"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"item_id": 1, "title": "a"}\n{"item_id": 2, "title"\n', ["line 2", "no JSON"]),
        ('{"item_id": 1, "title": "a"}\n["b"]\n', ["line 2", "not an object"]),
        ('[{"item_id": 1}]\n', ["one JSON array", "jq"]),
        ('[\n{"item_id": 1}]\n', ["one JSON array", "jq"]),
        ('{\n"item_id": 1}\n', ["several lines", "jq"]),
        ("\n\n", ["no row"]),
        (b'{"item_id": 1, "title": "a"}\n{"item_id": 2, "title": "\xe9"}\n', ["line 2", "UTF-8"]),
        ('{"item_id": 1, "title": "a"}\n{"title": "b"}\n', ["line 2", "key item_id is empty"]),
        ('{"item_id": 1, "title": "\\ud800"}\n', ["surrogate"]),
        ("[" * 100_000, ["line 1", "no JSON"]),
    ],
)
def test_a_broken_file_is_explained(tmp_path, content, words):
    with pytest.raises(SourceError) as error:
        read(tmp_path, content)
    for word in ["items.jsonl", *words]:
        assert word in str(error.value)


def test_a_list_that_comes_late_is_named_with_the_option(tmp_path):
    content = '{"item_id": 1, "title": "a"}\n' * 3 + '{"item_id": 2, "title": ["b"]}\n'
    with pytest.raises(SourceError, match=r"line 4: 'title' is a list .* sample"):
        read(tmp_path, content, TableOptions(sample=2))
    assert read(tmp_path, content)[-1] == {"item_id": "2", "slot": "0", "text": "b"}


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [[1]]])
def test_a_nested_value_cannot_be_a_text(tmp_path, value):
    with pytest.raises(UsageError, match="'title', which holds"):
        read(tmp_path, json.dumps({"item_id": 1, "title": value}))


def test_batches_are_bounded(tmp_path):
    content = "".join(f'{{"item_id": {index}, "title": "a"}}\n' for index in range(20_000))
    loader = open_table(write(tmp_path / "items.ndjson", content), text="title")
    sizes = [batch.num_rows for batch in loader.batches()]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 8192
