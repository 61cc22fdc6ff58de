"""The test classes under pytest: a test a check, expected failures, one load for many checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ducho_core.testing import all_checks

pytest_plugins = ["pytester"]

DISTRIBUTIONS = Path(__file__).parent / "distributions"
pytestmark = pytest.mark.usefixtures("wrong")

CHECKS = len(all_checks("extractor"))

HEAD = """
    import pytest
    from ducho_core.testing import ExtractorConformance
"""


@pytest.fixture
def suite(pytester: pytest.Pytester):
    """Runs a test module of a plugin author in a process of its own."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", *arguments)

    return run


def test_a_right_plugin_passes_every_check(suite):
    found = suite("""
    class TestRight(ExtractorConformance):
        plugin = "wrong/right"
    """)
    found.assert_outcomes(passed=CHECKS - 2, skipped=2)  # one set, one text at a time


def test_a_check_is_selected_by_its_name(suite):
    found = suite(
        """
    class TestRight(ExtractorConformance):
        plugin = "wrong/right"
    """,
        "-k",
        "keeps-order-and-count",
    )
    found.assert_outcomes(passed=1, deselected=CHECKS - 1)


def test_a_failure_says_which_rule_and_why(suite):
    found = suite(
        """
    class TestSorts(ExtractorConformance):
        plugin = "wrong/keeps-order-and-count"
    """,
        "-k",
        "keeps-order-and-count",
    )
    found.assert_outcomes(failed=1, deselected=CHECKS - 1)
    found.stdout.fnmatch_lines(
        ["*breaks a rule: each item gets one row, in the order of the items*", "output 'letters'*"]
    )


def test_an_expected_failure_is_one(suite):
    found = suite(
        """
    class TestSorts(ExtractorConformance):
        plugin = "wrong/keeps-order-and-count"
        expected_failures = {"keeps-order-and-count": "it sorts; see issue 7"}
    """,
        "-k",
        "keeps-order-and-count",
        "-rx",
    )
    found.assert_outcomes(xfailed=1, deselected=CHECKS - 1)
    found.stdout.fnmatch_lines(["*it sorts; see issue 7*"])


def test_an_expected_failure_that_passes_fails(suite):
    found = suite(
        """
    class TestRight(ExtractorConformance):
        plugin = "wrong/right"
        expected_failures = {"size-is-positive": "long mended"}
    """,
        "-k",
        "size-is-positive",
    )
    found.assert_outcomes(failed=1, deselected=CHECKS - 1)
    found.stdout.fnmatch_lines(["*it passes, and was expected to fail: long mended*"])


def test_an_expected_failure_of_no_check_is_refused(suite):
    found = suite(
        """
    class TestRight(ExtractorConformance):
        plugin = "wrong/right"
        expected_failures = {"no-such-check": "a slip"}
    """,
        "-k",
        "deterministic",
    )
    found.assert_outcomes(failed=1, deselected=CHECKS - 1)
    found.stdout.fnmatch_lines(["*expected_failures names no-such-check; the checks are *"])


def test_an_extractor_is_loaded_once_for_most_checks(suite):
    found = suite(
        """
    from ducho_wrong.extractors import Right

    loads = []
    load = Right.load.__func__
    Right.load = classmethod(lambda cls, *given: loads.append(1) or load(cls, *given))

    class TestRight(ExtractorConformance):
        plugin = "wrong/right"

        @pytest.fixture
        def options(self, tmp_path):
            return {"dim": "4"}

    def test_loads():
        # Its own instances: two side by side; one each to agree, without a network, to close
        # and in a run.
        assert len(loads) == 1 + 2 + 1 + 1 + 1 + 1
    """,
    )
    found.assert_outcomes(passed=CHECKS - 1, skipped=2)


def test_items_options_and_tolerance_are_the_authors(suite):
    found = suite(
        """
    class TestOwn(ExtractorConformance):
        plugin = "wrong/batch-independent"
        tolerance = 0.5

        @pytest.fixture
        def options(self):
            return {"dim": "3", "word": "own"}

        @pytest.fixture
        def items(self):
            return [{"text": text} for text in ("one", "another one", "third")]

        @pytest.fixture
        def broken_items(self):
            return {"blank": {"text": "  "}}

        def test_they_are_taken(self, case):
            assert case.options.dim == 3
            assert len(case.items) == 3
            assert list(case.broken) == ["blank"]
            assert case.tolerance == 0.5
    """,
        "-k",
        "taken or batch-independent or broken",
    )
    found.assert_outcomes(passed=3, deselected=CHECKS - 2)


def test_a_plugin_that_is_not_installed_is_named(suite):
    found = suite(
        """
    class TestNone(ExtractorConformance):
        plugin = "wrnog/right"
    """,
        "-k",
        "deterministic",
    )
    found.assert_outcomes(errors=1, deselected=CHECKS - 1)
    found.stdout.fnmatch_lines(["*did you mean 'wrong'*"])
