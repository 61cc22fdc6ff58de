"""Distributions that exist for one test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ducho_core.cli import main

GOOD = """
    from ducho_core import ExtractorSpec, FuserSpec, LoaderSpec, hookimpl

    @hookimpl
    def ducho_loaders():
        yield LoaderSpec(
            name="rows", summary="rows", implementation="NAME_parts:Rows", suffixes=(".NAME",)
        )

    @hookimpl
    def ducho_extractors():
        return [
            ExtractorSpec(
                name="words",
                summary="counts words",
                inputs=("text",),
                implementation="NAME_parts:Words",
                options="NAME_parts:Options",
                run_options="NAME_parts:RunOptions",
                default=True,
            )
        ]

    @hookimpl
    def ducho_fusers():
        return [FuserSpec(name="NAME-only", summary="fuses", implementation="NAME_parts:Fused")]
"""

GOOD_PARTS = """
    from typing import Annotated, Literal

    import msgspec
    import ducho_core
    from ducho_core import Extractor, Loader, RowFuser, option

    class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        length: Annotated[int, option(help="longest word", ge=1, le=9, since="1.1")] = 4
        how: Annotated[Literal["sum", "mean"], option(help="how words are joined")] = "sum"

    class RunOptions(ducho_core.RunOptions, frozen=True):
        threads: Annotated[int, option(help="threads", ge=1)] = 1

    class Words(Extractor):
        @classmethod
        def resolve(cls, options, context): ...
        @classmethod
        def load(cls, resolved, run_options): ...
        def prepare(self, inputs): ...
        def extract(self, samples): ...

    class Rows(Loader):
        @classmethod
        def open(cls, source, binding, options): ...
        def batches(self): ...

    class Fused(RowFuser):
        @classmethod
        def open(cls, options, context): ...
        def transform(self, batch): ...
"""

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, of this process and of those it starts, for distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for variable in ("DUCHO_PLUGINS", "DUCHO_DISABLE_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Installs a distribution: its metadata and its modules."""

    def put(
        distribution: str,
        version: str = "1.0",
        *,
        plugins: Mapping[str, str] | None = None,
        commands: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
    ) -> None:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
        groups = {"ducho": plugins or {}, "ducho.commands": commands or {}}
        text = ""
        for group, entries in groups.items():
            if entries:
                text += f"[{group}]\n"
                text += "".join(f"{name} = {value}\n" for name, value in entries.items())
        (info / "entry_points.txt").write_text(text, "utf-8")
        for name, source in (modules or {}).items():
            path = site / f"{name.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source), "utf-8")

    return put


@pytest.fixture
def plugin(install: Install) -> Install:
    """Installs ``ducho-NAME`` with one plugin of that name, sound unless given a source."""

    def put(name: str, source: str = GOOD, parts: str = GOOD_PARTS, **more: object) -> None:
        install(
            f"ducho-{name}",
            plugins={name: f"{name}_plugin"},
            modules={
                f"{name}_plugin": source.replace("NAME", name),
                f"{name}_parts": parts.replace("NAME", name),
            },
            **more,
        )

    return put


@pytest.fixture
def sound() -> tuple[str, str]:
    """Sources of a sound plugin's light module and of its parts, with NAME to be replaced."""
    return GOOD, GOOD_PARTS


@pytest.fixture
def ducho(site: Path) -> Callable[..., Result]:
    """Runs the command in this process."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments), prog_name="ducho")

    return run


@pytest.fixture
def python(site: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in a fresh interpreter."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=60,
            check=False,
        )

    return run
