"""What installed distributions say of themselves: entry points, versions, requirements.

Reads metadata only and imports nothing but ``importlib.metadata``.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLUGIN_GROUP = "ducho"
COMMAND_GROUP = "ducho.commands"
STEP_GROUP = "ducho.steps"

_VALUE = re.compile(
    r"(?P<module>[A-Za-z_][\w.]*)\s*(:\s*(?P<attribute>[A-Za-z_][\w.]*))?\s*(\[.*)?"
)
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?(?P<rest>[^;]*)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_UNLIKE_THEIR_MODULE = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "fitz": "pymupdf",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


class Claim(NamedTuple):
    """One entry point of a distribution.

    Attributes:
        group: entry-point group.
        name: what it claims to be: a plugin's or a command's name.
        module: module to import; empty where the entry point names none.
        attribute: what of the module is meant; empty for the module itself.
        distribution: name of the distribution.
        version: its version.
    """

    group: str
    name: str
    module: str
    attribute: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        """``ducho-timm 3.0``, for messages."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def package(self) -> str:
        """Top-level package that it lies in."""
        return self.module.partition(".")[0]


def claims(group: str) -> list[Claim]:
    """All entry points of one of Ducho's groups, by distribution name and then by name.

    Of a distribution that lies on the path twice the first counts, as for an import. One whose
    metadata cannot be read is passed over.
    """
    found: dict[str, list[Claim]] = {}
    for distribution in importlib.metadata.distributions():
        several = _claims_of(distribution, group)
        if several is not None:
            found.setdefault(normal(several[0]), several[1])
    return sorted(claim for entries in found.values() for claim in entries)


def normal(name: str) -> str:
    """A distribution's name in the form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def install_command(module: str, distribution: str) -> str:
    """The pip command that brings a missing module that a distribution wants.

    The requirement is taken as the distribution, or one that it requires, declares it; a
    module that none of them declares is asked for by its own name.
    """
    top = module.partition(".")[0]
    wanted = {normal(top), normal(_UNLIKE_THEIR_MODULE.get(top, top))}
    for owner, requirement in _requirements(distribution):
        name, extra, declared = _read(requirement)
        if normal(name) not in wanted:
            continue
        return pip_install(f"{owner}[{extra}]" if extra else declared)
    return f"pip install {_UNLIKE_THEIR_MODULE.get(top, top)}"


def pip_install(requirement: str, *flags: str) -> str:
    """A pip command for a shell."""
    import shlex

    return " ".join(["pip install", *flags, shlex.quote(requirement)])


def declared_requirement(distribution: str, name: str) -> str | None:
    """How a distribution declares that it needs another: ``ducho-core>=3.1``; None if not."""
    for requirement in _declared(distribution):
        found, _, declared = _read(requirement)
        if normal(found) == normal(name):
            return declared
    return None


def installed_version(name: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _claims_of(
    distribution: importlib.metadata.Distribution, group: str
) -> tuple[str, list[Claim]] | None:
    try:
        text = distribution.read_text("entry_points.txt")
        if not text or "[ducho" not in text:
            return None
        metadata = distribution.metadata
        name = str(metadata["Name"] or "a distribution without a name")
        version = str(metadata["Version"] or "")
        entries = distribution.entry_points.select(group=group)
        return name, [
            Claim(group, entry.name, *_split(entry.value), name, version) for entry in entries
        ]
    except Exception:  # noqa: BLE001 - broken metadata raises anything, and need not be ours
        return None


def _requirements(distribution: str) -> Iterator[tuple[str, str]]:
    """Its own requirements, then those of what it requires, each with who declares it."""
    level = [distribution]
    seen = {normal(distribution)}
    for _ in range(3):
        below: list[str] = []
        for owner in level:
            for requirement in _declared(owner):
                yield owner, requirement
                name, extra, _ = _read(requirement)
                if not extra and normal(name) not in seen:
                    seen.add(normal(name))
                    below.append(name)
        level = below


def _declared(distribution: str) -> Sequence[str]:
    try:
        return importlib.metadata.requires(distribution) or ()
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ()


def _read(requirement: str) -> tuple[str, str, str]:
    """Name, extra it belongs to, and the requirement without its marker."""
    match = _REQUIREMENT.match(requirement)
    if match is None:
        return "", "", requirement
    marker = requirement.partition(";")[2]
    extra = _EXTRA.search(marker)
    return match["name"], extra[1] if extra else "", match.group().strip()


def _split(value: str) -> tuple[str, str]:
    match = _VALUE.fullmatch(value.strip())
    if match is None:
        return "", ""
    return match["module"], match["attribute"] or ""
