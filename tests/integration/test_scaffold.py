"""``ducho plugins new``: what it makes is installed, tested and used as any plugin is."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ducho_core import Store
from ducho_core.cli import main
from ducho_core.testing import draw_catalogue

SORTS = {
    "colours": ["--input", "image"],
    "n-grams": ["--input", "text"],
    "2_spectra": ["--input", "audio"],
    "shelf": ["--kind", "loader"],
}
USES = {
    "colours": (["--image", "images/{item_id}/*"], "colours/image", 64),
    "n-grams": (["--text", "{title}. {description}"], "n-grams/text", 256),
    "2_spectra": (["--audio", "sounds/{item_id}.wav"], "2_spectra/audio", 64),
}


def new(*arguments: str, out: Path):
    return CliRunner().invoke(main, ["plugins", "new", *arguments, "--out", str(out)])


def folder_of(name: str) -> str:
    return f"ducho-{re.sub('[-_]', '-', name)}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one distribution of each sort, and a catalogue."""
    folder = tmp_path_factory.mktemp("workshop")
    for name, flags in SORTS.items():
        made = new(name, *flags, out=folder)
        assert made.exit_code == 0, made.output
    draw_catalogue(folder / "shop")
    return folder


@pytest.fixture(scope="module")
def environment(new_environment, workshop: Path):
    """A fresh environment with all of them installed."""
    fresh = new_environment()
    places = [str(workshop / folder_of(name)) for name in SORTS]
    installed = fresh.run("pip", "install", "-q", "--no-deps", *places, cwd=workshop)
    assert installed.returncode == 0, installed.stderr
    return fresh


@pytest.mark.parametrize("name", SORTS)
def test_its_tests_pass(workshop: Path, environment, name: str) -> None:
    finished = environment.run("pytest", "-q", "-rs", cwd=workshop / folder_of(name))
    assert finished.returncode == 0, finished.stdout
    passed = re.search(r"(\d+) passed", finished.stdout)
    assert passed is not None
    assert int(passed[1]) > 10


@pytest.mark.parametrize("name", USES)
def test_it_extracts(workshop: Path, environment, name: str) -> None:
    flags, canonical, dim = USES[name]
    command = ["extract", "items.tsv", "--plugin", name, *flags, "--name", name, "--json"]
    finished = environment.run("ducho", *command, cwd=workshop / "shop")
    assert finished.returncode in (0, 3), finished.stderr
    (report,) = json.loads(finished.stdout)
    features = Store(workshop / "shop" / "features").open(name)
    assert features.spec["extractor"]["name"] == canonical
    keys, vectors = features.to_numpy()
    assert vectors.shape == (report["stored"], dim)
    assert keys.num_rows >= 7
    # Other items have other vectors: it computes something.
    assert len(np.unique(vectors, axis=0)) > 5


def test_the_loader_reads(workshop: Path, environment) -> None:
    shop = workshop / "shop"
    with sqlite3.connect(shop / "shop.sqlite") as database:
        database.execute("CREATE TABLE items (item_id, title, price)")
        database.executemany(
            "INSERT INTO items VALUES (?, ?, ?)",
            [(f"{number:05}", f"item {number}", number / 2) for number in range(5000)],
        )
    command = ["extract", "shop.sqlite", "--plugin", "core/hash", "--text", "{title} for {price}"]
    finished = environment.run("ducho", *command, "--name", "rows", "--json", cwd=shop)
    assert finished.returncode == 0, finished.stderr
    (report,) = json.loads(finished.stdout)
    assert report["stored"] == 5000
    keys, _ = Store(shop / "features").open("rows").to_numpy()
    assert sorted(keys["item_id"].to_pylist()) == [f"{number:05}" for number in range(5000)]


def test_plugins_see_it(workshop: Path, environment) -> None:
    finished = environment.run("ducho", "plugins", "doctor", "colours", cwd=workshop)
    assert finished.returncode == 0, finished.stdout
    assert "colours (ducho-colours 0.1.0): ok" in finished.stdout


@pytest.mark.parametrize("name", SORTS)
def test_it_is_small(workshop: Path, name: str) -> None:
    files = list((workshop / folder_of(name)).rglob("*.py"))
    assert len(files) == 5
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) < 120


@pytest.mark.parametrize("name", SORTS)
def test_nothing_is_left_to_fill_in(workshop: Path, name: str) -> None:
    for path in (workshop / folder_of(name)).rglob("*.*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            assert not re.search(r"%[A-Z_]+%", path.read_text("utf-8")), path


@pytest.mark.parametrize("name", SORTS)
@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
def test_it_is_formatted_and_clean(workshop: Path, name: str) -> None:
    for command in (["check", "--select", "E,F,I,B,UP,ANN"], ["format", "--check"]):
        finished = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length=99", "."],
            cwd=workshop / folder_of(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout


def test_a_wheel_of_it_holds_what_it_should(workshop: Path, environment, tmp_path: Path) -> None:
    command = ["wheel", "-q", "--no-deps", "-w", tmp_path]
    built = environment.run("pip", *command, workshop / "ducho-colours", cwd=workshop)
    assert built.returncode == 0, built.stderr
    (path,) = tmp_path.glob("*.whl")
    assert path.name == "ducho_colours-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        points = wheel.read("ducho_colours-0.1.0.dist-info/entry_points.txt").decode()
    assert points.split() == ["[ducho]", "colours", "=", "ducho_colours.plugin"]
    assert "ducho_colours/py.typed" in names
    assert "ducho_colours-0.1.0.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "test" in name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Colours"], "a name is lower-case"),
        (["two words"], "a name is lower-case"),
        (["../up"], "a name is lower-case"),
        (["-"], "a name is lower-case"),
        (["core"], "is ducho-core's own"),
        (["ducho-colours"], "give the plugin's, without ducho-: colours"),
        (["x", "--kind", "loader", "--input", "text"], "a loader has no use for it"),
    ],
)
def test_what_it_refuses(tmp_path: Path, arguments: list[str], words: str) -> None:
    made = new(*arguments, out=tmp_path)
    assert made.exit_code == 2
    assert words in made.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ducho-colours").mkdir()
    made = new("colours", out=tmp_path)
    assert made.exit_code == 2
    assert "is there already" in made.stderr
    assert not list((tmp_path / "ducho-colours").iterdir())
    nowhere = new("colours", out=tmp_path / "none")
    assert nowhere.exit_code == 2
    assert "there is no folder" in nowhere.stderr


def test_names_that_others_have_are_warned_of(tmp_path: Path, monkeypatch) -> None:
    site = tmp_path / "site"
    info = site / "ducho_taken-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ducho-taken\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[ducho]\ntaken = taken\n")
    monkeypatch.syspath_prepend(str(site))
    made = new("taken", out=tmp_path)
    assert made.exit_code == 0
    assert "a plugin 'taken' is installed already (ducho-taken 2.0)" in made.stderr
    assert (tmp_path / "ducho-taken" / "pyproject.toml").is_file()
    listed = new("timm", out=tmp_path)
    assert listed.exit_code == 0
    assert "warning: " in listed.stderr
