"""Text cleaning."""

from __future__ import annotations

import pytest

from ducho_core.errors import UsageError
from ducho_core.loaders.cleaning import CLEANINGS, check_cleaning, clean


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("<p>One</p><p>Two</p>", " One  Two "),
        ("<b>wo</b>rd<br/>next", "word next"),
        ("Tom &amp; Jerry &#39;99 &eacute;", "Tom & Jerry '99 é"),
        ("&lt;b&gt; stays", "<b> stays"),
        ("a < b and 3 > 2 <3", "a < b and 3 > 2 <3"),
        ("x<!-- <p> secret -->y", "xy"),
        ("a<script>alert('<p>')</script>b", "a b"),
        ("a\x00b\x07c\x85d\te\nf", "abcd\te\nf"),
        ("<a href=\"x.html\" title='y'>link</a>", "link"),
    ],
)
def test_html_leaves_the_words(dirty, expected):
    assert clean(dirty, ["html"]) == expected


def test_whitespace_becomes_single_spaces():
    assert clean(" a\t\n b  c\u3000", ["whitespace"]) == "a b c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!!!", "Hello , World ! "),
        (
            "don't they've I'd he's we're I'm you'll",
            "do n't they 've I 'd he 's we 're I 'm you 'll",
        ),
        ("'quoted' rock 'n' roll", " quoted rock n roll"),
        ("Café & crème: 100%", "Caf cr me 100 "),
        ("wait.......... what", "wait ... what"),
        ("the U.S.A. team", "the U.S.A. team"),
        ("size 8 or 9 or 10", "size eight or nine or 10"),
        ("1 2 3 4 ", "1 two three four "),
        ("(yes?) no; ok", " ( yes ? ) no ; ok"),
        ("UPPER stays, and so do ends ", "UPPER stays , and so do ends "),
    ],
)
def test_ducho2_does_what_clear_text_does(text, expected):
    assert clean(text, ["ducho2"]) == expected


def test_cleanings_apply_in_order():
    assert clean("<p>A &nbsp; B</p>", ["html", "whitespace"]) == "A B"
    assert clean("<p>A</p>", ["whitespace", "html"]) == " A "


@pytest.mark.parametrize("name", CLEANINGS)
def test_an_empty_text_stays_empty(name):
    assert not clean("", [name])


def test_an_unknown_cleaning_is_named_with_the_closest():
    with pytest.raises(UsageError, match=r"'htm'.*'html'"):
        check_cleaning(["htm"])
