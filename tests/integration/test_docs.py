"""What README and docs say is true: examples run, links lead somewhere, help is current."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.examples import examples, run

if TYPE_CHECKING:
    from collections.abc import Iterable

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md"), *REPOSITORY.glob("plugins/*/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def run_all(pages: Iterable[Path], folder: Path) -> None:
    for page in pages:
        for example in examples(page):
            finished = run(example, folder, {"HF_HUB_OFFLINE": "1"}, capture=True)
            assert finished.returncode == example.status, (
                f"{example}: {example.code}\nexit status {finished.returncode},"
                f" not {example.status}\n{finished.stdout}{finished.stderr}"
            )


def test_the_readme_examples_run(shop: Path) -> None:
    if importlib.util.find_spec("ducho_starter") is None:
        pytest.skip("ducho-starter is not installed")
    run_all([README], shop)


def test_the_documentation_examples_run(shop: Path) -> None:
    run_all([DOCS / f"{name}.md" for name in ("extract", "store", "plugins", "recipes")], shop)


def test_every_page_with_examples_is_run() -> None:
    with_examples = {page.name for page in PAGES if examples(page)}
    assert with_examples == {"README.md", "extract.md", "store.md", "plugins.md", "recipes.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            headings = _HEADING.findall(target.read_text(encoding="utf-8"))
            assert anchor in {_anchor(heading) for heading in headings}, link


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_command_reference_is_current() -> None:
    script = "import sys; sys.path.insert(0, 'docs'); import generate_cli as g; print(g.page())"
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    current = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert printed.stdout == current + "\n", "run: python docs/generate_cli.py"


def test_every_distribution_carries_the_same_licence() -> None:
    licence = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    copies = list(REPOSITORY.glob("plugins/*/LICENSE"))
    assert len(copies) == len(list(REPOSITORY.glob("plugins/*/pyproject.toml")))
    assert all(copy.read_text(encoding="utf-8") == licence for copy in copies)
