"""Checks what the built distributions hold: `python .ci/wheels.py DIST`, from the repository."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from packaging.metadata import Metadata

DIST_INFO = {"METADATA", "WHEEL", "RECORD", "licenses/LICENSE"}


def faults(folder: Path, dist: Path) -> list[str]:
    """What is wrong with the wheel and the sdist of one distribution.

    Args:
        folder: where its pyproject.toml is.
        dist: where its wheel and sdist are.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    name = project["project"]["name"]
    target = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    package = folder / target["packages"][0]
    from_elsewhere: dict[str, str] = target.get("force-include", {})
    stem = name.replace("-", "_")
    wheels = list(dist.glob(f"{stem}-*.whl"))
    sdists = list(dist.glob(f"{stem}-*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{name}: {len(wheels)} wheels and {len(sdists)} sdists, not one of each"]
    found: list[str] = []
    sources = {f"{package.name}/{path}" for path in _sources(package)}
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        info = next(entry.split("/")[0] for entry in names if entry.endswith("/METADATA"))
        wanted = sources | {f"{info}/{part}" for part in DIST_INFO} | {*from_elsewhere.values()}
        points = project["project"].get("entry-points", {})
        if points or "scripts" in project["project"]:
            wanted.add(f"{info}/entry_points.txt")
            found += _entry_points(wheel.read(f"{info}/entry_points.txt").decode(), points, names)
        metadata = wheel.read(f"{info}/METADATA").decode()
    found += [f"{missing} is missing" for missing in sorted(wanted - names)]
    found += [f"{foreign} does not belong" for foreign in sorted(names - wanted)]
    if f"{package.name}/py.typed" not in names:
        found.append("no py.typed")
    found += _metadata(metadata, project["project"])
    with tarfile.open(sdists[0]) as sdist:
        inside = {entry.name.split("/", 1)[1] for entry in sdist if entry.isfile()}
    relative = package.relative_to(folder).as_posix()
    packed = {f"{relative}/{path}" for path in _sources(package)}
    packed |= {"LICENSE", "README.md", "pyproject.toml", *from_elsewhere}
    found += [f"{missing} is missing in the sdist" for missing in sorted(packed - inside)]
    return [f"{name}: {fault}" for fault in found]


def _sources(package: Path) -> list[str]:
    """The files of a package that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."]
    listed = subprocess.run(command, cwd=package, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\n") if name and (package / name).is_file()]


def _entry_points(text: str, wanted: dict[str, dict[str, str]], names: set[str]) -> list[str]:
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    found = []
    for group, entries in wanted.items():
        present = dict(parser[group]) if group in parser else {}
        if present != entries:
            found.append(f"entry points of {group} are {present}, not {entries}")
        for value in entries.values():
            module = value.partition(":")[0].replace(".", "/")
            if not {f"{module}.py", f"{module}/__init__.py"} & names:
                found.append(f"entry point {value} is not in the wheel")
    return found


def _metadata(text: str, project: dict[str, object]) -> list[str]:
    found = []
    Metadata.from_email(text, validate=True)
    message = Parser().parsestr(text)
    if message["License-Expression"] != "Apache-2.0":
        found.append(f"licence is {message['License-Expression']}")
    if message["Requires-Python"] != project["requires-python"]:
        found.append(f"Requires-Python is {message['Requires-Python']}")
    if message["Description-Content-Type"] != "text/markdown":
        found.append("the description is not markdown")
    if not str(message.get_payload()).strip():
        found.append("no description")
    return found


if __name__ == "__main__":
    dist = Path(sys.argv[1])
    folders = [Path(), *sorted(path.parent for path in Path("plugins").glob("*/pyproject.toml"))]
    wrong = [fault for folder in folders for fault in faults(folder, dist)]
    expected = 2 * len(folders)
    built = len(list(dist.iterdir()))
    if built != expected:
        wrong.append(f"{built} files in {dist}, not {expected}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(folders)} distributions hold what they should")
