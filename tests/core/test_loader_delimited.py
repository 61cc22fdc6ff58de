"""TSV and CSV files."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ducho_core.errors import SourceError, UsageError
from ducho_core.loaders.options import TableOptions
from tests.core.loader_samples import open_table, rows, write


def read(tmp_path, content, name="items.tsv", options=None, **binding):
    binding.setdefault("text", "title")
    return rows(open_table(write(tmp_path / name, content), options, **binding))


def test_keys_keep_their_leading_zeros(tmp_path):
    assert read(tmp_path, "item_id\ttitle\n007\t1.50\n") == [{"item_id": "007", "text": "1.50"}]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_understood(tmp_path, line_end):
    content = "\ufeffitem_id,title\n1,A\n\n2,B\n".replace("\n", line_end)
    assert read(tmp_path, content, "items.csv") == [
        {"item_id": "1", "text": "A"},
        {"item_id": "2", "text": "B"},
    ]


def test_quoted_separators_line_ends_and_quotes(tmp_path):
    content = 'item_id,title\n1,"A, ""B""\nand C"\n2,12" vinyl\n'
    assert [row["text"] for row in read(tmp_path, content, "items.csv")] == [
        'A, "B"\nand C',
        '12" vinyl',
    ]


def test_empty_cells_and_the_nulls_named_are_absent(tmp_path):
    content = "item_id\ttitle\n1\t\n2\tnan\n3\tNaN\n4\tN/A\n5\t nan\n"
    found = read(tmp_path, content, nulls=("nan", "N/A"))
    assert [row["text"] for row in found] == [None, None, "NaN", None, " nan"]


CELLS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")


@given(
    frame=st.lists(st.tuples(st.text(CELLS, min_size=1), st.text(CELLS)), min_size=1, max_size=6),
    separator=st.sampled_from([",", "\t", ";"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_whatever_pandas_writes_is_read_back(tmp_path, frame, separator, quoting):
    written = pd.DataFrame(frame, columns=["item_id", "title"])
    content = written.to_csv(index=False, sep=separator, quoting=quoting, lineterminator="\n")
    options = TableOptions(separator=separator, quoting="minimal")
    found = read(tmp_path, content, "items.csv", options)
    assert [(row["item_id"], row["text"] or "") for row in found] == frame


def test_a_column_of_row_numbers_without_a_name_is_left_out(tmp_path):
    content = pd.DataFrame({"asin": ["a", "b"], "title": ["A", "B"]}).to_csv()
    loader = open_table(write(tmp_path / "items.csv", content), text="title")
    assert rows(loader)[1] == {"item_id": "b", "text": "B"}
    assert any("left out" in remark for remark in loader.remarks)


def test_quoting_none_takes_quotes_as_they_are(tmp_path):
    content = 'item_id\ttitle\n1\t"Alien" poster\n2\t"Open\n3\tlast"\n'
    found = read(tmp_path, content, options=TableOptions(quoting="none"))
    assert [row["text"] for row in found] == ['"Alien" poster', '"Open', 'last"']


def test_a_file_without_a_header_can_be_given_one(tmp_path):
    options = TableOptions(header=("item_id", "title"))
    assert read(tmp_path, "1\tA\n2\tB\n", options=options)[0] == {"item_id": "1", "text": "A"}
    with pytest.raises(UsageError, match=r"--loader-option header=c1,c2"):
        read(tmp_path, "1\tA\n2\tB\n")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1"])
def test_other_encodings_can_be_named(tmp_path, encoding):
    content = "item_id\ttitle\n1\tCafé\n".encode(encoding)
    assert read(tmp_path, content, options=TableOptions(encoding=encoding))[0]["text"] == "Café"


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("", "items.tsv", ["is empty"]),
        ("\n\n", "items.tsv", ["nothing but blank lines"]),
        ("item_id\ttitle\n", "items.tsv", ["a header and no rows"]),
        ("item_id\ttitle\n1\tA\tmore\n", "items.tsv", ["line 2", "3 fields", "header has 2"]),
        ("item_id\ttitle\n1\tA\n\n2\n", "items.tsv", ["line 4", "1 fields"]),
        ('item_id\ttitle\n1\t"A\nB"\n2\n', "items.tsv", ["line 4", "1 fields"]),
        ("item_id\ttitle\ttitle\n1\tA\tB\n", "items.tsv", ["'title'", "columns 2 and 3"]),
        (" , \n1,A\n", "items.csv", ["names no column"]),
        ("item_id\ttitle\n1\tA\n\tB\n", "items.tsv", ["line 3", "key item_id is empty"]),
        ('item_id,title\n1,"A" b\n', "items.csv", ["line 2", "closing quote", "quoting=none"]),
        ('item_id,title\n1,A\n2,"B\n3,C\n', "items.csv", ["line 3", "never closed"]),
        (
            'item_id\ttitle\n1\t"A\n2\tB\n3\tC"\n4\tD\n',
            "items.tsv",
            ["line 2", "swallowed", "quoting=none", "quoting=minimal"],
        ),
        (b"item_id\ttitle\n1\tA\n2\tCaf\xe9\n", "items.tsv", ["line 3", "not UTF-8", "0xe9"]),
        ("item_id\ttitle\n1\tA\n".encode("utf-16"), "items.tsv", ["UTF-16", "encoding=utf-16"]),
    ],
)
def test_a_broken_file_is_explained(tmp_path, content, name, words):
    with pytest.raises(SourceError) as error:
        read(tmp_path, content, name)
    assert name in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("content", "name", "option"),
    [
        ("item_id\ttitle\n1\tA\n", "items.csv", "separator=tab"),
        ("item_id,title\n1,A\n", "items.tsv", "separator=comma"),
        ("item_id;title\n1;A\n", "items.csv", "separator=semicolon"),
    ],
)
def test_a_wrong_separator_is_told_with_the_right_one(tmp_path, content, name, option):
    with pytest.raises(UsageError) as error:
        read(tmp_path, content, name)
    assert f"--loader-option {option}" in str(error.value)
    options = TableOptions(separator=option.removeprefix("separator="))
    assert read(tmp_path, content, name, options) == [{"item_id": "1", "text": "A"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (TableOptions(encoding="utf-9"), "utf-9"),
        (TableOptions(encoding="rot13"), "rot13"),
        (TableOptions(separator="ab"), "separator='ab'"),
        (TableOptions(header=("a", "b", "c")), "2 fields"),
    ],
)
def test_a_wrong_option_is_explained(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        read(tmp_path, "item_id\ttitle\n1\tA\n", options=options)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no file .*gone\.tsv"):
        open_table(tmp_path / "gone.tsv", text="title")


def test_batches_are_bounded_and_may_be_read_again(tmp_path):
    lines = io.StringIO()
    lines.write("item_id\ttitle\n")
    lines.writelines(f"{index}\tTitle {index}\n" for index in range(20_000))
    loader = open_table(write(tmp_path / "items.tsv", lines.getvalue()), text="title")
    for _ in range(2):
        sizes = [batch.num_rows for batch in loader.batches()]
        assert sum(sizes) == 20_000
        assert max(sizes) <= 8192


def test_rows_of_long_texts_come_in_smaller_batches(tmp_path):
    content = "item_id\ttitle\n" + "".join(f"{index}\t{'x' * 100_000}\n" for index in range(400))
    loader = open_table(write(tmp_path / "items.tsv", content), text="title")
    assert max(batch.nbytes for batch in loader.batches()) < 32 * 2**20


def test_a_late_fault_is_met_when_it_is_reached_and_names_its_own_line(tmp_path):
    content = "item_id\ttitle\n" + "".join(f"{index}\tA\n" for index in range(9000)) + "x\n"
    batches = open_table(write(tmp_path / "items.tsv", content), text="title").batches()
    assert next(batches).num_rows > 0
    with pytest.raises(SourceError, match="line 9002: 1 fields"):
        list(batches)
