"""What README and docs say is true: examples run, links lead somewhere, help is current."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.examples import examples, not_printed, run
from ducho_core import hookspecs
from ducho_core.plugin_index import read_index
from ducho_core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *REPOSITORY.glob("plugins/*/*.md")])
PLUGIN_PAGES = sorted((DOCS / "plugins").glob("*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def run_all(
    pages: Iterable[Path], folder: Path, programs: Path = Path(sys.executable).parent
) -> None:
    for page in pages:
        for example in examples(page):
            finished = run(
                example, folder, {"HF_HUB_OFFLINE": "1"}, capture=True, programs=str(programs)
            )
            output = finished.stdout + finished.stderr
            assert finished.returncode == example.status, (
                f"{example}: {example.code}\nexit status {finished.returncode},"
                f" not {example.status}\n{output}"
            )
            missing = not_printed(example, output)
            assert not missing, f"{example}: {example.code}\nlacks {missing}\n{output}"


def test_the_readme_examples_run(shop: Path) -> None:
    if importlib.util.find_spec("ducho_starter") is None:
        pytest.skip("ducho-starter is not installed")
    run_all([README], shop)


def test_the_documentation_examples_run(shop: Path) -> None:
    names = ("extract", "store", "fuse", "export", "recipes")
    run_all([DOCS / f"{name}.md" for name in names], shop)


def test_the_examples_about_splits_run(shop: Path) -> None:
    if importlib.util.find_spec("ducho_recsys") is None:
        pytest.skip("ducho-recsys is not installed")
    run_all([DOCS / "split.md", DOCS / "recommenders.md"], shop)


def test_the_examples_of_ducho_2_run(shop: Path) -> None:
    if importlib.util.find_spec("ducho_torchvision") is None:
        pytest.skip("ducho-torchvision is not installed")
    run_all([DOCS / "ducho2.md"], shop)


@pytest.mark.parametrize("page", PLUGIN_PAGES, ids=lambda page: page.name)
def test_the_examples_about_plugins_run(
    page: Path, shop: Path, new_environment: Callable[[], Any]
) -> None:
    if examples(page):
        run_all([page], shop, new_environment().programs)


def test_every_page_with_examples_is_run() -> None:
    with_examples = {page for page in PAGES if examples(page)} - set(PLUGIN_PAGES)
    assert {page.name for page in with_examples} == {
        *("README.md", "extract.md", "store.md", "fuse.md", "split.md", "export.md"),
        *("recipes.md", "ducho2.md", "recommenders.md"),
    }


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("ducho_")])
def test_every_hook_has_a_page_with_an_example(hook: str) -> None:
    page = DOCS / "plugins" / f"{hook.removeprefix('ducho_')}.md"
    assert any(f"def {hook}()" in example.code for example in examples(page))


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
    for project in REPOSITORY.glob("plugins/*/pyproject.toml"):
        adds = "ducho.commands" in project.read_text(encoding="utf-8")
        if adds and importlib.util.find_spec(project.parent.name.replace("-", "_")) is None:
            pytest.skip(f"{project.parent.name}, whose commands it lists, is not installed")
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


def test_the_index_lists_every_plugin_of_this_repository() -> None:
    entries = {entry.name: entry for entry in read_index(DOCS / "plugins" / "index.toml")}
    registry = Registry.discover()
    installed = {record.name for record in registry.plugins()}
    for path in sorted(REPOSITORY.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for name in project.get("entry-points", {}).get("ducho", {}):
            assert name in entries, f"{name} is not in docs/plugins/index.toml"
            assert entries[name].distribution == project["name"]
            assert entries[name].licence == project["license"]
            if name in installed:
                offered = sorted(one.canonical for one in registry.specs(name))
                assert sorted(entries[name].offers) == offered
