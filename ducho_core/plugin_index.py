"""The plugin index: what could be installed, read from a TOML file, beside what is.

The index that comes with Ducho is ``docs/plugins/index.toml``; anybody may keep another. Reading
it imports nothing but the standard library, asks no network and imports no plugin.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.distributions import normal, pip_install
from ducho_core.errors import UsageError
from ducho_core.hooks import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ducho_core.plugin_records import PluginRecord

FORMAT = 1
"""The ``format`` of an index that this version reads."""

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """A plugin that could be installed.

    Attributes:
        name: the plugin's name, that of its entry point.
        distribution: the distribution that brings it.
        summary: one line on what it is for.
        offers: what it registers, by full names such as ``timm/image``.
        licence: SPDX identifier of the distribution's licence; empty if not stated.
        homepage: where to read more; empty if not stated.
        requirement: what pip is asked for; the distribution's name if empty.
    """

    name: str
    distribution: str
    summary: str
    offers: tuple[str, ...] = ()
    licence: str = ""
    homepage: str = ""
    requirement: str = ""

    @property
    def install(self) -> str:
        """The command that installs it."""
        return pip_install(self.requirement or self.distribution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is to be said of one plugin: an entry of the index, an installed one, or both.

    Attributes:
        entry: the entry; where the index has none, one made from what is installed.
        listed: whether the index has it.
        state: ``installed``, ``not installed``, ``disabled``, ``collision``, ``broken``, or
            ``name taken`` where another distribution holds the plugin's name.
        version: version of what is installed; None where it is not.
    """

    entry: IndexEntry
    listed: bool
    state: str
    version: str | None = None

    @property
    def install(self) -> str | None:
        """The command that installs it; None where it is installed or could not be used."""
        return self.entry.install if self.state == "not installed" else None

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        fields = {key: value for key, value in asdict(self.entry).items() if key != "requirement"}
        return {
            **fields,
            "listed": self.listed,
            "state": self.state,
            "version": self.version,
            "install": self.install,
        }


def shipped_index() -> Path:
    """The index that comes with Ducho: in an installation, or in a checkout of it."""
    inside = Path(__file__).with_name("plugin_index.toml")
    if inside.is_file():
        return inside
    return Path(__file__).resolve().parents[1] / "docs" / "plugins" / "index.toml"


@functools.cache
def published() -> Mapping[str, IndexEntry]:
    """The plugins of Ducho's own index by name; none where it cannot be read."""
    try:
        return {entry.name: entry for entry in read_index(shipped_index())}
    except UsageError:
        return {}


def read_index(path: Path) -> list[IndexEntry]:
    """Read a plugin index.

    Args:
        path: a TOML file with ``format = 1`` and a table ``[[plugin]]`` for each plugin.

    Raises:
        UsageError: there is no such file, or something in it is wrong; names the plugin.
    """
    try:
        index = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no plugin index {path}") from error
    except OSError as error:
        raise UsageError(f"the plugin index {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the plugin index {path} is no UTF-8 text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the plugin index {path} is no TOML: {error}") from error
    found = index.get("format")
    if found != FORMAT:
        raise UsageError(
            f"the plugin index {path} has format = {found!r}; this version reads format = {FORMAT}"
        )
    foreign = sorted(set(index) - {"format", "plugin"})
    if foreign:
        raise UsageError(
            f"the plugin index {path} has an unknown key {foreign[0]!r}; there are format and"
            " [[plugin]]"
        )
    tables = index.get("plugin", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise UsageError(f"the plugin index {path}: a plugin is written [[plugin]]")
    entries = [_entry(path, number, one) for number, one in enumerate(tables, 1)]
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the plugin index {path} lists {name!r} twice")
    return entries


def compare(entries: Sequence[IndexEntry], records: Sequence[PluginRecord]) -> list[Listing]:
    """Hold an index against what is installed; by name, what the index lacks included."""
    listings = [_listing(entry, records) for entry in entries]
    told = {(one.entry.name, normal(one.entry.distribution)) for one in listings}
    for record in records:
        if (record.name, normal(record.distribution)) not in told:
            entry = IndexEntry(
                name=record.name, distribution=record.distribution, summary="not in the index"
            )
            listings.append(
                Listing(entry=entry, listed=False, state=_state(record), version=record.version)
            )
    return sorted(listings, key=lambda one: (one.entry.name, one.entry.distribution))


def _listing(entry: IndexEntry, records: Sequence[PluginRecord]) -> Listing:
    claims = [record for record in records if record.name == entry.name]
    for record in claims:
        if normal(record.distribution) == normal(entry.distribution):
            return Listing(entry=entry, listed=True, state=_state(record), version=record.version)
    return Listing(entry=entry, listed=True, state="name taken" if claims else "not installed")


def _state(record: PluginRecord) -> str:
    return "installed" if record.state == "loaded" else record.state


def _entry(path: Path, number: int, table: Mapping[str, Any]) -> IndexEntry:
    name = table.get("name")
    which = f"plugin {number} ({name!r})" if isinstance(name, str) else f"plugin {number}"
    where = f"the plugin index {path}, {which}"
    known = IndexEntry.__dataclass_fields__
    foreign = sorted(set(table) - set(known))
    if foreign:
        raise UsageError(f"{where}: unknown key {foreign[0]!r}; there are {', '.join(known)}")
    for key in ("name", "distribution", "summary"):
        if key not in table:
            raise UsageError(f"{where}: the key {key!r} is missing")
    for key, value in table.items():
        if key == "offers":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise UsageError(f"{where}: offers must be a list of names such as timm/image")
        elif not isinstance(value, str) or not value.isprintable():
            raise UsageError(f"{where}: {key} must be one line of text, not {value!r}")
    entry = IndexEntry(**{**table, "offers": tuple(table.get("offers", ()))})
    fault = _fault(entry)
    if fault:
        raise UsageError(f"{where}: {fault}")
    return entry


def _fault(entry: IndexEntry) -> str:
    if not NAME.fullmatch(entry.name):
        return "a name is lower-case letters and digits, with - or _ between"
    if not _DISTRIBUTION.fullmatch(entry.distribution):
        return f"{entry.distribution!r} is no name of a distribution"
    if not entry.summary.strip():
        return "its summary is empty"
    wanted = re.match(_DISTRIBUTION, entry.requirement or entry.distribution)
    if wanted is None or normal(wanted.group()) != normal(entry.distribution):
        return f"its requirement {entry.requirement!r} does not begin with {entry.distribution}"
    for offer in entry.offers:
        plugin, _, spec = offer.partition("/")
        if plugin != entry.name or not NAME.fullmatch(spec):
            return f"it offers {offer!r}, which is not called {entry.name}/NAME"
    if entry.homepage and not entry.homepage.startswith("https://"):
        return f"homepage {entry.homepage!r} does not begin with https://"
    return ""
