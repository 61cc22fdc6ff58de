"""Interactions from tables of every kind; ids are texts."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ducho_recsys import split_interactions

from ducho_core import SourceError, UsageError
from tests.core.set_samples import HOSTILE
from tests.plugins.recsys.split_kit import pairs, rows, write

HEADER = "user_id item_id rating timestamp"


@pytest.fixture(scope="module")
def listed():
    """Ids that a number would not survive, and ids that a careless reader would split."""
    plain = [(f"0{int(u[1:]):02}", i, r, t) for u, i, r, t in rows(600, 20, 30)]
    odd = [("Ü,ser\u00a0x", "../../x", 3.0, 5), ("NA", "null", 4.0, 6), ("1e3", "=cmd()", 2.0, 7)]
    return [*plain, *odd]


@pytest.fixture(scope="module")
def digest(listed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    split = split_interactions(write(folder / "r.tsv", listed), folder / "s")
    assert "007" in split.users.to_pylist()
    assert {"../../x", "null", "=cmd()"} < set(split.items.to_pylist())
    assert {"NA", "1e3", "Ü,ser\u00a0x"} < set(split.users.to_pylist())
    return split.digest


def test_a_table_without_a_header_is_read_by_position(tmp_path, listed, digest):
    source = write(tmp_path / "r.tsv", listed, None)
    assert split_interactions(source, tmp_path / "s", header=False).digest == digest
    turned = write(tmp_path / "u.data", [(t, i, u, r) for u, i, r, t in listed], None)
    settings = {"user": "3", "item": "2", "rating": "4", "timestamp": "1"}
    assert split_interactions(turned, tmp_path / "t", header=False, **settings).digest == digest
    with pytest.raises(SourceError, match=r"line 1: the rating 'rating' is not.*leave out --no-h"):
        split_interactions(write(source, listed), tmp_path / "e", header=False)


def test_commas_semicolons_and_quotes(tmp_path, listed, digest):
    lines = [f'"{u}","{i}",{r},{t}' for u, i, r, t in listed]
    source = tmp_path / "r.csv"
    source.write_text("\n".join(["user_id,item_id,rating,timestamp", *lines]), encoding="utf-8")
    assert split_interactions(source, tmp_path / "s").digest == digest
    text = "\n".join(";".join(map(str, row)) for row in listed)
    source.write_text(text, encoding="utf-16")
    settings = {"separator": "semicolon", "encoding": "utf-16", "header": False}
    assert split_interactions(source, tmp_path / "t", **settings).digest == digest


def test_parquet_with_texts_or_numbers(tmp_path, listed, digest):
    columns = dict(zip(HEADER.split(), zip(*listed, strict=True), strict=True))
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)
    assert split_interactions(path, tmp_path / "s").digest == digest
    numbers = [(int(u[1:]), int(i), r, t) for u, i, r, t in rows(600, 20, 30)]
    columns = dict(zip(HEADER.split(), zip(*numbers, strict=True), strict=True))
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)
    split = split_interactions(path, tmp_path / "t")
    assert set(split.users.to_pylist()) == {str(row[0]) for row in numbers}


@pytest.mark.parametrize(
    "header",
    [
        "userId movieId rating timestamp",
        "reviewerID asin overall unixReviewTime",
        "user_id:token item_id:token rating:float timestamp:float",
        "USER ITEM SCORE TIME",
    ],
)
def test_columns_are_found_by_the_names_that_are_common(tmp_path, listed, digest, header):
    split = split_interactions(write(tmp_path / "r.tsv", listed, header), tmp_path / "s")
    assert split.digest == digest
    (said,) = split.description["remarks"]
    assert all(name in said for name in header.split())


def test_a_column_that_may_be_meant_twice_is_asked_for(tmp_path, listed):
    source = write(
        tmp_path / "r.tsv", [(*row, row[1]) for row in listed],
        "user_id asin rating timestamp parent_asin",
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"may be 'asin' or 'parent_asin'; say which: --item"):
        split_interactions(source, tmp_path / "s")
    split_interactions(source, tmp_path / "s", item="parent_asin")


def test_columns_can_be_left_out(tmp_path, listed):
    source = write(tmp_path / "r.tsv", listed)
    split = split_interactions(source, tmp_path / "s", rating="none", timestamp="none")
    assert split.train["rating"].null_count == split.train.num_rows
    assert split.train["timestamp"].null_count == split.train.num_rows
    with pytest.raises(UsageError, match=r"there are no ratings to hold against 4.*--rating"):
        split_interactions(source, tmp_path / "t", rating="none", train_on=4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"user": "usr_id"}, "has no column 'usr_id'; did you mean --user user_id? Its columns:"),
        ({"item": "xyz"}, "has no column 'xyz'. Its columns: user_id, item_id, rating"),
        ({"user": "item_id"}, "user and item would both be read from the column 'item_id'"),
        ({"header": False, "user": "1"}, "say which: --item POSITION. Its columns: 1, 2, 3, 4"),
        ({"header": False, "user": "9", "item": "2"}, "has no column '9'"),
    ],
    ids=str,
)
def test_a_column_that_is_not_there_is_named_with_the_others(tmp_path, listed, settings, words):
    source = write(tmp_path / "r.tsv", listed)
    with pytest.raises(UsageError, match=re.escape(words)):
        split_interactions(source, tmp_path / "s", **settings)


def test_a_table_without_a_user_says_so(tmp_path):
    source = write(tmp_path / "r.tsv", [("a", "b")], "who item_id")
    with pytest.raises(UsageError, match=r"no column that is called like a user.*--user COLUMN"):
        split_interactions(source, tmp_path / "s")


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (("u", "i", "good", 4), r"r.tsv, line 9002: the rating 'good' is not a number"),
        (("u", "i", "inf", 4), r"line 9002: the rating 'inf' is not a number"),
        (("u", "i", "nan", 4), r"line 9002: the rating 'nan' is not a number"),
        (("u", "i", 4, "tomorrow"), r"line 9002: the timestamp 'tomorrow' is not a number, nor"),
        (("u", "i", 4, "2024-01-03"), r"'2024-01-03' is not a number, as those before it are"),
        (("", "i", 4, 4), r"line 9002: the user is empty"),
        (("u", "", 4, 4), r"line 9002: the item is empty"),
        (("u", "i", 4), r"line 9002: 3 fields, but the header has 4"),
    ],
    ids=str,
)
def test_a_row_that_cannot_be_right_is_named_by_its_line(tmp_path, row, error):
    many = [(f"u{at % 90}", f"i{at}", 3, at) for at in range(9000)]
    source = write(tmp_path / "r.tsv", [*many, row])
    with pytest.raises(SourceError, match=error):
        split_interactions(source, tmp_path / "s")


def test_ratings_may_be_missing_here_and_there(tmp_path, listed):
    some = [(u, i, "" if at % 3 == 0 else r, t) for at, (u, i, r, t) in enumerate(listed)]
    split = split_interactions(write(tmp_path / "r.tsv", some), tmp_path / "s", relevant_at=1)
    told = split.description["parts"]["test"]
    rated = split.test["rating"]
    assert told["relevant"] == len(rated) - rated.null_count < told["interactions"]


def test_what_a_reader_proposes_is_a_flag_of_this_command(tmp_path, listed):
    source = tmp_path / "r.csv"
    lines = [HEADER.replace(" ", ";"), *(";".join(map(str, row)) for row in listed)]
    source.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UsageError, match=r"looks separated by semicolon: --separator semicolon$"):
        split_interactions(source, tmp_path / "s")
    split_interactions(source, tmp_path / "s", separator="semicolon")
    source.write_text('user,item\nu,"i\n', encoding="utf-8")
    with pytest.raises(SourceError, match=r"ordinary characters in this file: --quoting none"):
        split_interactions(source, tmp_path / "t")
    write(source, listed, None)
    with pytest.raises(UsageError, match=r"if the first line names no columns: --no-header"):
        split_interactions(source, tmp_path / "t")


def test_ids_of_any_kind_are_kept_exactly(tmp_path):
    ids = [one for one in HOSTILE if one]
    listed = [(f"u{user}", one) for user in range(3) for one in ids]
    listed += [(one, "item") for one in ids]
    columns = {name: [pair[at] for pair in listed] for at, name in enumerate(("user", "item"))}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    split = split_interactions(tmp_path / "r.parquet", tmp_path / "s")
    assert set(split.items.to_pylist()) == {*ids, "item"}
    assert set(split.users.to_pylist()) == {*ids, "u0", "u1", "u2"}
    assert split.items.to_pylist() == sorted({*ids, "item"}, key=lambda one: one.encode())
    found = [
        pair for part in ("train", "validation", "test") for pair in pairs(getattr(split, part))
    ]
    assert sorted(found) == sorted(listed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.parquet", "s"]


def test_a_number_among_dates_is_named(tmp_path):
    rows = [("a", "x", 1, "2024-01-03"), ("b", "x", 1, 1700000000)]
    source = write(tmp_path / "r.tsv", rows)
    with pytest.raises(SourceError, match=r"'1700000000' is not a date, as those before it are"):
        split_interactions(source, tmp_path / "s")


@pytest.mark.parametrize("separator", [None, "::"])
def test_two_colons_between_fields_are_recognised(tmp_path, separator):
    source = tmp_path / "ratings.dat"
    source.write_text("1::1193::5::978300760\n1::661::3::978302109\n")
    with pytest.raises(UsageError, match=r"sed 's/::/\\t/g' ratings.dat > ratings.tsv"):
        split_interactions(source, tmp_path / "s", header=False, separator=separator)
