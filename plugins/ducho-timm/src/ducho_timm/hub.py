"""Files of a hub repository, at one commit: from the cache, or fetched once."""

from __future__ import annotations

import re
from pathlib import Path

from ducho_core import TransientError, UsageError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ASK_SECONDS = 10.0


def fetch(
    repository: str, revision: str | None, alternatives: tuple[tuple[str, ...], ...]
) -> tuple[dict[str, str], str]:
    """Find files in the hub's cache, or fetch them.

    The hub is asked for the commit that the revision stands for today, unless it is switched
    off or the revision is a commit that the cache holds; where it cannot be reached the cache
    decides.

    Args:
        repository: id on the hub.
        revision: branch, tag or commit; None means ``main``.
        alternatives: for each file wanted its possible names, the first that exists is taken.

    Returns:
        Name to local path, for one name of each alternative, and the commit.

    Raises:
        UsageError: no such repository, revision or file, or it is not in the cache and the hub
            is switched off.
        TransientError: the hub cannot be reached and the cache does not hold it all.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError

    wanted = revision or "main"
    try:
        cached = _cached(repository, wanted, alternatives)
    except HFValidationError as error:
        raise UsageError(f"hf-hub:{repository} is no id of the form ORGANISATION/NAME") from error
    if constants.HF_HUB_OFFLINE:
        if cached is None:
            raise UsageError(
                f"the weights of {repository} ({wanted}) are not in the hub's cache and the hub is"
                " switched off (HF_HUB_OFFLINE): fetch them where there is a network with"
                f" 'hf download {repository}', or give a local file with -o weights=PATH"
            )
        return cached
    if cached is not None and _COMMIT.fullmatch(wanted):
        return cached
    try:
        return _online(repository, wanted, alternatives)
    except TransientError:
        if cached is None:
            raise
        return cached


def _online(
    repository: str, wanted: str, alternatives: tuple[tuple[str, ...], ...]
) -> tuple[dict[str, str], str]:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        information = HfApi().model_info(repository, revision=wanted, timeout=_ASK_SECONDS)
        commit = str(information.sha)
        there = {sibling.rfilename for sibling in information.siblings or ()}
        chosen = [next((one for one in names if one in there), None) for names in alternatives]
        files = {
            name: hf_hub_download(repository, name, revision=commit) for name in chosen if name
        }
    except GatedRepoError as error:
        raise UsageError(
            f"{repository} asks for its terms to be accepted: do that on its page, then log in"
            " with 'hf auth login'"
        ) from error
    except RepositoryNotFoundError as error:
        raise UsageError(f"there is no model {repository} on the hub, or it is private") from error
    except RevisionNotFoundError as error:
        raise UsageError(f"{repository} has no revision {wanted!r} on the hub") from error
    except Exception as error:
        raise TransientError(
            f"the weights of {repository} could not be fetched ({type(error).__name__}:"
            f" {error}); try again, or give a local file with -o weights=PATH"
        ) from error
    for names, name in zip(alternatives, chosen, strict=True):
        if name is None:
            raise UsageError(f"{repository} holds none of {', '.join(names)}")
    return files, commit


def _cached(
    repository: str, wanted: str, alternatives: tuple[tuple[str, ...], ...]
) -> tuple[dict[str, str], str] | None:
    from huggingface_hub import try_to_load_from_cache

    files: dict[str, str] = {}
    for names in alternatives:
        for name in names:
            path = try_to_load_from_cache(repository, name, revision=wanted)
            if isinstance(path, str):
                files[name] = path
                break
        else:
            return None
    commits = {_commit_of(path) for path in files.values()}
    return (files, commits.pop()) if len(commits) == 1 else None


def _commit_of(path: str) -> str:
    parts = Path(path).parts
    return parts[len(parts) - 1 - parts[::-1].index("snapshots") + 1]
