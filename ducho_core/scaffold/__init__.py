"""``ducho plugins new``: a publishable distribution with one plugin, from templates.

What it makes works as it is: its extractor is a small real one that the author replaces.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from ducho_core import __version__
from ducho_core.errors import UsageError
from ducho_core.hooks import NAME
from ducho_core.switches import BUILT_IN

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Kind = Literal["extractor", "loader"]
Input = Literal["image", "text", "audio"]


@dataclass(frozen=True, slots=True)
class _Sort:
    """What differs between the sorts of plugin that can be made.

    Attributes:
        folder: folder of the templates that only this sort has.
        spec: name of what the plugin registers.
        summary: what it does.
        extra: extra of ducho-core that it needs.
        needs: what else it needs.
        column: what a user gives for the input, in the README.
    """

    folder: str
    spec: str
    summary: str
    extra: str
    needs: tuple[str, ...]
    column: str = ""


_SORTS = {
    "image": _Sort(
        "image",
        "image",
        "Colour histograms of images",
        "[image]",
        ("msgspec>=0.19", "numpy>=1.26"),
        "'images/{item_id}.jpg'",
    ),
    "text": _Sort(
        "text",
        "text",
        "Hashed character n-grams of texts",
        "",
        ("msgspec>=0.19", "numpy>=1.26"),
        "title",
    ),
    "audio": _Sort(
        "audio",
        "audio",
        "Spectra of sounds",
        "[audio]",
        ("msgspec>=0.19", "numpy>=1.26"),
        "'sounds/{item_id}.ogg'",
    ),
    "loader": _Sort("loader", "sqlite", "SQLite databases", "", ("msgspec>=0.19", "pyarrow>=17")),
}

_COMMON = {
    "pyproject.toml": "common/pyproject.toml.in",
    "LICENSE": "common/LICENSE.in",
    ".gitignore": "common/gitignore.in",
    ".github/workflows/tests.yml": "common/tests.yml.in",
    "src/%PACKAGE%/__init__.py": "common/init.py.in",
    "src/%PACKAGE%/py.typed": "",
    "src/%PACKAGE%/options.py": "%FOLDER%/options.py.in",
    "tests/test_%PACKAGE%.py": "%FOLDER%/tests.py.in",
}
_PARTS = {
    "extractor": {
        "README.md": "extractor/README.md.in",
        "src/%PACKAGE%/plugin.py": "extractor/plugin.py.in",
        "src/%PACKAGE%/extractor.py": "%FOLDER%/extractor.py.in",
    },
    "loader": {
        "README.md": "loader/README.md.in",
        "src/%PACKAGE%/plugin.py": "loader/plugin.py.in",
        "src/%PACKAGE%/loader.py": "loader/loader.py.in",
    },
}


@dataclass(frozen=True, slots=True)
class Baked:
    """What was made.

    Attributes:
        folder: the distribution's folder, as the user would write it.
        files: paths below it, in the order in which they are shown.
        canonical: full name of what the plugin registers.
    """

    folder: str
    files: tuple[str, ...]
    canonical: str


def bake(name: str, *, kind: Kind, modality: Input, out: str) -> Baked:
    """Make the distribution ``ducho-NAME`` in a new folder.

    Args:
        name: the plugin's name.
        kind: what it registers.
        modality: what its extractor takes.
        out: the folder in which the new one is made.

    Raises:
        UsageError: the name cannot be a plugin's, the folder exists, or cannot be made.
    """
    check_name(name)
    sort = _SORTS[modality if kind == "extractor" else kind]
    values = _values(name, sort, modality)
    distribution = values["DISTRIBUTION"]
    folder = os.path.normpath(os.path.join(out, distribution))
    if not os.path.isdir(out):
        raise UsageError(f"there is no folder {out} to make {distribution} in")
    made = {
        _filled(target, values): _filled(source, values)
        for target, source in {**_COMMON, **_PARTS[kind]}.items()
    }
    templates = files(__name__) / "templates"
    contents = {target: _content(templates, source, values) for target, source in made.items()}
    try:
        os.mkdir(folder)
        for target, content in contents.items():
            path = os.path.join(folder, *target.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(content)
    except FileExistsError as error:
        raise UsageError(
            f"{folder} is there already; take another name, or another place with --out"
        ) from error
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from error
    return Baked(folder, tuple(sorted(contents)), f"{name}/{sort.spec}")


def check_name(name: str) -> None:
    """Say no to a name that no plugin can have.

    Raises:
        UsageError: with what a name looks like.
    """
    short = name.lower().removeprefix("ducho-").removeprefix("ducho_")
    if short != name.lower() and NAME.fullmatch(short):
        raise UsageError(
            f"{name!r} is a distribution's name; give the plugin's, without ducho-: {short}"
        )
    if not NAME.fullmatch(name):
        raise UsageError(
            f"a plugin cannot be called {name!r}: a name is lower-case letters and digits, with"
            " - or _ between"
        )
    if name == BUILT_IN:
        raise UsageError(f"the plugin name {BUILT_IN!r} is ducho-core's own; take another")


def _values(name: str, sort: _Sort, modality: Input) -> dict[str, str]:
    words = re.split("[-_]", name)
    stem = "".join(word.capitalize() for word in words)
    needs = sorted([f"ducho-core{sort.extra}>={__version__}", *sort.needs])
    return {
        "NAME": name,
        "DISTRIBUTION": f"ducho-{'-'.join(words)}",
        "PACKAGE": f"ducho_{'_'.join(words)}",
        "CLASS": stem if stem[0].isalpha() else f"Plugin{stem}",
        "SPEC": sort.spec,
        "FOLDER": sort.folder,
        "SUMMARY": sort.summary,
        "SUMMARY_LOWER": sort.summary
        if sort.summary[1].isupper()
        else sort.summary[0].lower() + sort.summary[1:],
        "INPUT": modality,
        "COLUMN": sort.column,
        "DEPENDENCIES": ", ".join(f'"{one}"' for one in needs),
    }


def _content(templates: Traversable, source: str, values: dict[str, str]) -> str:
    if not source:
        return ""
    text = templates.joinpath(*source.split("/")).read_text(encoding="utf-8")
    return _filled(text, values)


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"%([A-Z_]+)%", lambda found: values[found[1]], text)
