"""Which feature set a word means."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ducho_core.errors import SetNotFoundError
from ducho_core.store import spec as specs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SHORTEST_PREFIX = 4
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set that a word may mean."""

    folder: Path
    slug: str
    fingerprint: str
    family: str
    revision: int

    @classmethod
    def of(cls, folder: Path, spec: Mapping[str, Any], fingerprint: str) -> Candidate:
        return cls(
            folder,
            specs.slug(spec),
            fingerprint,
            specs.spec_sha256(spec),
            int(spec["catalogue"].get("revision", 0)),
        )


def resolve(
    word: str, candidates: Sequence[Candidate], names: Mapping[str, str], store: str
) -> Path:
    """Folder of the set that ``word`` means.

    Raises:
        SetNotFoundError: none or several match; the message lists them.
    """
    if word in names:
        bound = [one for one in candidates if one.fingerprint == names[word]]
        if not bound:
            raise SetNotFoundError(
                f"the name {word!r} is bound to the set {names[word][:12]}…, which is not in"
                f" {store}"
            )
        return _newest([one for one in candidates if one.family == bound[0].family])
    exact = [one for one in candidates if word in (one.folder.name, one.fingerprint)]
    if len(exact) == 1:
        return exact[0].folder
    same_slug = [one for one in candidates if one.slug == word]
    matches = same_slug or (
        [
            one
            for one in candidates
            if one.folder.name.startswith(word) or one.fingerprint.startswith(word)
        ]
        if len(word) >= _SHORTEST_PREFIX
        else []
    )
    if len(matches) == 1:
        return matches[0].folder
    if matches and len({one.family for one in matches}) == 1:
        return _newest(matches)
    if matches:
        raise SetNotFoundError(
            f"{word!r} may mean several sets; say which, by name, folder or fingerprint:\n"
            + _listed(matches, names)
        )
    raise _not_found(word, candidates, names, store)


def _newest(revisions: Sequence[Candidate]) -> Path:
    """The newest complete revision, else the newest."""
    ordered = sorted(revisions, key=lambda one: one.revision, reverse=True)
    if len(ordered) > 1:
        from ducho_core.store.reader import FeatureSet

        for one in ordered:
            planned, missing = FeatureSet(one.folder).plan_progress()
            if planned and not missing:
                return one.folder
    return ordered[0].folder


def _not_found(
    word: str, candidates: Sequence[Candidate], names: Mapping[str, str], store: str
) -> SetNotFoundError:
    if not candidates:
        return SetNotFoundError(f"{store} holds no feature set yet, so none is called {word!r}")
    known = [*names, *dict.fromkeys(one.slug for one in candidates)]
    close = difflib.get_close_matches(word, known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return SetNotFoundError(
        f"no feature set in {store} is called {word!r}.{hint} There are:\n"
        + _listed(candidates, names)
    )


def _listed(candidates: Sequence[Candidate], names: Mapping[str, str]) -> str:
    lines = []
    for one in candidates[:_MOST_LISTED]:
        bound = [name for name, fingerprint in names.items() if fingerprint == one.fingerprint]
        catalogue = one.folder.parent.parent.name
        said = f", called {', '.join(bound)}" if bound else ""
        lines.append(f"  {one.folder.name} (catalogue {catalogue}{said})")
    if len(candidates) > _MOST_LISTED:
        lines.append(f"  and {len(candidates) - _MOST_LISTED} more: ducho store ls")
    return "\n".join(lines)
