"""The versions of the packages that an extractor's numbers come from."""

from __future__ import annotations

import re
from importlib import metadata

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def versions_behind(distribution: str) -> dict[str, str]:
    """Versions of a distribution, of what it requires, and of what Ducho's own ones require.

    Args:
        distribution: the one that brings the extractor.

    Returns:
        Installed distribution to version, sorted by name.
    """
    versions: dict[str, str] = {}
    waiting = [distribution, "ducho-core"]
    while waiting:
        name = waiting.pop()
        if name in versions:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        versions[name] = found.version
        if name == distribution or name.startswith("ducho-"):
            for requirement in found.requires or ():
                match = _NAME.match(requirement)
                if match and "extra ==" not in requirement:
                    waiting.append(match[0].lower())
    return dict(sorted(versions.items()))
