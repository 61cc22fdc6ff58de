"""Each check finds the plugin that breaks its rule, and has nothing to say of a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ducho_core.registry import Registry
from ducho_core.testing import ExporterCase, ExtractorCase, FuserCase, LoaderCase, all_checks
from ducho_core.testing.checks import KINDS
from ducho_core.testing.running import Outcome, run_check

DISTRIBUTIONS = Path(__file__).parent / "distributions"
pytestmark = pytest.mark.usefixtures("wrong")

LINES = [(f"{number:03}", f"text {number}" if number % 5 else "") for number in range(20)]
REPEATED = [*LINES, ("001", "text 1")]


DECLARED = ("fits-its-spec", "options-explained", "unknown-option-refused")


def names(kind: str) -> list[str]:
    """The names of the wrong parts of a kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DISTRIBUTIONS))
        return [one.name for one in Registry.discover().load("wrong").specs(kind)]


WRONG = [(kind, name) for kind in KINDS for name in names(kind) if not name.startswith("right")]
RIGHT = [(kind, name) for kind in KINDS for name in names(kind) if name.startswith("right")]


def check_of(kind: str, name: str) -> str:
    """The check that a wrong part is named after."""
    return max((one for one in all_checks(kind) if name.startswith(one)), key=len, default="")


@pytest.fixture
def case(tmp_path: Path):
    """Makes a case of any kind."""
    made = []

    def make(kind: str, name: str):
        if kind == "extractor":
            made.append(ExtractorCase(name))
        elif kind == "loader":
            source = tmp_path / "lines.txt"
            text = "".join(f"{key}\t{text}\n" for key, text in REPEATED)
            source.write_text(text, "utf-8")
            made.append(LoaderCase(name, source, rows=len(REPEATED)))
        elif kind == "fuser":
            made.append(FuserCase(name))
        elif kind == "exporter":
            from ducho_wrong.exporters import read

            made.append(ExporterCase(name, read=read))
        return made[-1]

    yield make
    for one in made:
        one.close()


def outcome(kind: str, check: str, case) -> Outcome:
    return run_check(all_checks(kind)[check], case)


@pytest.mark.parametrize(("kind", "name"), WRONG, ids=lambda one: one)
def test_the_check_finds_it(kind, name, case) -> None:
    found = outcome(kind, check_of(kind, name), case(kind, f"wrong/{name}"))
    assert found.state == "failed", found
    assert found.reason
    if check_of(kind, name) not in DECLARED:
        # What fails is the rule, and not the plugin as a whole.
        whole = outcome(kind, "fits-its-spec", case(kind, f"wrong/{name}"))
        assert whole.state == "passed", whole


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [(kind, name, check) for kind, name in RIGHT for check in all_checks(kind)],
)
def test_a_right_one_passes(kind, name, check, case) -> None:
    found = outcome(kind, check, case(kind, f"wrong/{name}"))
    assert found.state in ("passed", "skipped"), found


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_has_its_wrong_plugin(kind) -> None:
    found = {check_of(kind, name) for one, name in WRONG if one == kind}
    assert found == set(all_checks(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_holds_for_some_right_plugin(kind, case) -> None:
    for check in all_checks(kind):
        states = {
            outcome(kind, check, case(kind, f"wrong/{name}")).state
            for one, name in RIGHT
            if one == kind
        }
        assert "passed" in states, check


def test_a_plugin_module_that_imports_much_is_found(case) -> None:
    found = outcome("extractor", "light-modules", case("extractor", "heavy/module"))
    assert found.state == "failed"
    assert "imports numpy too" in found.reason
