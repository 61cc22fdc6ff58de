"""Templates, and what a null field takes with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ducho_core.errors import UsageError
from ducho_core.loaders.templates import parse_template

CASES = [
    ("{title}. {description}", "T|D", "T. D"),
    ("{title}. {description}", "T|", "T."),
    ("{title}. {description}", "|D", "D"),
    ("{title} ({brand})", "T|", "T"),
    ("{title} ({brand})", "|B", "(B)"),
    ("{title} ({brand}), {colour}", "T||C", "T, C"),
    ("{title} ({brand}, {year})", "T||Y", "T (Y)"),
    ("{title} ({brand}, {year})", "T|B|", "T (B)"),
    ("{title} ({brand}, {year}).", "T||", "T."),
    ("{title} - {brand} - {colour}", "T||C", "T - C"),
    ("{title} - {brand} - {colour}", "|B|C", "B - C"),
    ("{title} - {brand} - {colour}", "T|B|", "T - B"),
    ("{title}, {colour}, {size}.", "T||", "T."),
    ("{title}, {colour}, {size}.", "|C|S", "C, S."),
    ("{a}, {b}. {c}", "A||C", "A. C"),
    ("{a}. {b}, {c}", "A||C", "A. C"),
    ("{brand} {title}: {text}", "B||X", "B: X"),
    ("{brand} {title}: {text}", "B|T|", "B T"),
    ("{title} by {brand} in {colour}", "T||C", "T in C"),
    ("{title} by {brand} in {colour}", "T|B|", "T by B"),
    ('"{title}" by {brand}', "T|", '"T"'),
    ('"{title}" by {brand}', "|B", "by B"),
    ("{brand}'s {title}", "|T", "T"),
    ("{brand}'s {title}", "B|T", "B's T"),
    ("${price}: {title}", "|T", "T"),
    ("{price} EUR, {title}", "|T", "T"),
    ("{price} EUR, {title}", "9|", "9 EUR"),
    ("{title}\nBrand: {brand}\nColour: {colour}", "T||C", "T\nColour: C"),
    ("Title: {title}. Brand: {brand}.", "|B", "Brand: B."),
    ("Title: {title}. Brand: {brand}.", "T|", "Title: T."),
    ("passage: {title}. {text}", "|X", "passage: X"),
    ("A photo of {brand} {title}.", "|T", "A photo of T."),
    ("{title} | {brand}. In stock.", "T|", "T. In stock."),
    ("{title}! {text}?", "T|", "T!"),
    ("{width}x{height}", "3|", "3"),
    ("{a}/{b}", "|B", "B"),
    ("{a}{b}", "A|", "A"),
]


def render(template: str, cells: str) -> str | None:
    return parse_template(template).render([cell or None for cell in cells.split("|")])


@pytest.mark.parametrize(("template", "cells", "expected"), CASES)
def test_a_null_field_takes_its_punctuation_with_it(template, cells, expected):
    assert render(template, cells) == expected


@pytest.mark.parametrize("template", sorted({template for template, _, _ in CASES}))
def test_all_null_is_absent(template):
    parsed = parse_template(template)
    assert parsed.render([None] * len(parsed.columns)) is None


@given(st.lists(st.text("ab {}().,:-' \n", max_size=8), min_size=2, max_size=5), st.data())
def test_any_template_keeps_every_value_that_is_there_and_no_other(literals, data):
    escaped = [literal.replace("{", "{{").replace("}", "}}") for literal in literals]
    values = [data.draw(st.none() | st.just(f"<{index}>")) for index in range(len(literals) - 1)]
    fields = [f"{{c{index}}}" for index in range(len(values))]
    text = "".join(part for pair in zip(escaped, [*fields, ""], strict=True) for part in pair)
    template = parse_template(text)
    assert template.literals == tuple(literals)
    rendered = template.render(values)
    if rendered is None:
        assert set(values) == {None}
        return
    for index, value in enumerate(values):
        assert (f"<{index}>" in rendered) == (value is not None)
    if None not in values:
        whole = zip(literals, [*values, ""], strict=True)
        assert rendered == "".join(part for pair in whole for part in pair)


def test_doubled_braces_are_braces():
    assert render("{{{title}}} {{x}}", "T") == "{T} {x}"


def test_values_are_never_templates_themselves():
    assert render("{a} {b}", "{b}|{0.__class__}") == "{b} {0.__class__}"


@pytest.mark.parametrize(
    ("template", "words"),
    [("{title", "'{' without its partner"), ("a}b", "'}}'"), ("{}", "empty field")],
)
def test_a_broken_template_is_explained(template, words):
    with pytest.raises(UsageError) as error:
        parse_template(template)
    assert words in str(error.value)


def test_a_column_alone_is_told_from_a_template():
    assert parse_template("{title}").column == "title"
    assert parse_template("{title}.").column is None
