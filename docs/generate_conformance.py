"""Writes docs/plugins/conformance.md from the tests: `python docs/generate_conformance.py`.

It runs the conformance tests of every plugin, which takes minutes: which rules say nothing about
a plugin is known only then.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Tree

from ducho_core.testing.checks import KINDS, all_checks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Cell = tuple[str, str, str]

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "plugins" / "conformance.md"
HEAD = """\
# Which rules each plugin keeps

Written by `python docs/generate_conformance.py` from the conformance tests in `tests/`.

✓: a test holds the plugin to the rule. -: the rule says nothing about it (of a fit, about a fuser
that is not fitted). A number: the rule is broken, for the reason below the table, and a test fails
as soon as that is no longer so. [Testing a plugin](testing.md) says how to
run the same checks on a plugin of your own.
"""
_BASES = {f"{kind.capitalize()}Conformance": kind for kind in KINDS}


@dataclass(slots=True)
class Tested:
    """A conformance test class, or all of one plugin part together.

    Attributes:
        kind: extractor, loader, fuser or exporter; empty for any other class.
        plugin: PLUGIN/NAME.
        expected: check to the reason for which it fails.
        name: of the class.
    """

    kind: str
    plugin: str
    expected: dict[str, str] = field(default_factory=dict)
    name: str = ""


def tested() -> dict[str, dict[str, Tested]]:
    """By kind and plugin part, what the tests hold it to."""
    found: dict[str, dict[str, Tested]] = {kind: {} for kind in KINDS}
    for path in modules():
        for one in _classes(ast.parse(path.read_text("utf-8")), path):
            part = found[one.kind].setdefault(one.plugin, Tested(one.kind, one.plugin))
            part.expected.update(one.expected)
    return found


def modules() -> list[Path]:
    """The modules with conformance tests."""
    return sorted(REPOSITORY.glob("tests/**/test_*conformance.py"))


def page(silent: Collection[Cell]) -> str:
    """The whole page.

    Args:
        silent: (kind, plugin part, check) of rules that say nothing about the part.
    """
    return HEAD + "".join(_section(kind, parts, silent) for kind, parts in tested().items())


def silent_cells(text: str) -> set[Cell]:
    """The cells of a page with a dash."""
    found: set[Cell] = set()
    kind, names = "", []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            kind = line[3:-1].lower()
        elif line.startswith("| check |"):
            names = cells[1:]
        else:
            pairs = zip(names, cells[1:], strict=False)
            found |= {(kind, name, cells[0].strip("`")) for name, cell in pairs if cell == "-"}
    return found


def run_tests() -> set[Cell]:
    """Run the conformance tests; of which part each rule says nothing, in all its tests.

    Raises:
        SystemExit: one fails.
    """
    states: dict[Cell, set[bool]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in modules():
            report = Path(folder, "report.xml")
            command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", str(path)]
            if subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
                raise SystemExit(f"the conformance tests in {path} are not green")
            classes = {one.name: one for one in _classes(ast.parse(path.read_text("utf-8")), path)}
            for case in Tree.parse(report).iter("testcase"):
                one = classes[case.attrib["classname"].rpartition(".")[2]]
                name = case.attrib["name"].partition("[")[2].rstrip("]")
                for check in all_checks(one.kind):
                    if name == check or name.endswith(f"-{check}") or name.startswith(f"{check}-"):
                        skipped = case.find("skipped")
                        silent = skipped is not None and skipped.attrib["type"] == "pytest.skip"
                        states.setdefault((one.kind, one.plugin, check), set()).add(silent)
    return {cell for cell, several in states.items() if several == {True}}


def _section(kind: str, parts: dict[str, Tested], silent: Collection[Cell]) -> str:
    names = sorted(parts, key=lambda name: (not name.startswith("core/"), name))
    reasons: list[str] = []
    lines = [f"| check | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    rules = ["| check | rule |", "|---|---|"]
    for check, one in all_checks(kind).items():
        cells = [f"`{check}`"]
        for name in names:
            reason = parts[name].expected.get(check)
            if reason is not None:
                reasons.append(f"{name}, `{check}`: {reason}")
            held = "-" if (kind, name, check) in silent else "✓"
            cells.append(held if reason is None else str(len(reasons)))
        lines.append(f"| {' | '.join(cells)} |")
        rules.append(f"| `{check}` | {one.rule} |")
    told = "".join(f"{at}. {reason}\n" for at, reason in enumerate(reasons, 1))
    table = "\n".join(lines)
    return (
        f"\n## {kind.capitalize()}s\n\n{table}\n"
        + (f"\n{told}" if told else "")
        + "\n"
        + "\n".join(rules)
        + "\n"
    )


def _classes(module: ast.Module, path: Path) -> Iterator[Tested]:
    """The conformance test classes of a module, those that pytest collects."""
    known: dict[str, Tested] = {name: Tested(kind, "") for name, kind in _BASES.items()}
    for node in module.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        above = next((known[name] for name in bases if name in known), None)
        if above is None:
            continue
        given = {
            target.id: statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        one = Tested(above.kind, above.plugin, dict(above.expected), node.name)
        try:
            if "plugin" in given:
                one.plugin = ast.literal_eval(given["plugin"])
            if "expected_failures" in given:
                one.expected = ast.literal_eval(given["expected_failures"])
        except ValueError as error:
            raise ValueError(
                f"{path.name}, class {node.name}: write plugin and expected_failures as literals"
            ) from error
        known[node.name] = one
        if node.name.startswith("Test"):
            yield one


if __name__ == "__main__":
    PAGE.write_text(page(run_tests()), encoding="utf-8")
