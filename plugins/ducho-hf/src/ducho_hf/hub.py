"""Models of the Hugging Face hub: found in its cache, or fetched once."""

from __future__ import annotations

import os
import re

from ducho_core import UsageError
from ducho_hf.files import (
    folder_names,
    is_tokenizer_file,
    missing_shards,
    needed_files,
    weight_names,
)

_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_ASK_SECONDS = 10.0


def is_commit(revision: str | None) -> bool:
    """Whether a revision names one commit rather than a branch or tag."""
    return revision is not None and bool(_COMMIT.match(revision))


def snapshot(
    repository: str, revision: str | None, *, code: bool = False, weights: bool = True
) -> tuple[str, str]:
    """Find a model's folder in the hub's cache; fetch what is missing, asking once.

    Args:
        repository: id on the hub.
        revision: branch, tag or commit; None means ``main``.
        code: whether the model's Python files are needed.
        weights: False where only the tokenizer is wanted.

    Returns:
        The folder and its commit.

    Raises:
        UsageError: there is no such model, or it is not in the cache and the hub cannot be
            reached, or it has no weights that PyTorch can load.
    """
    from huggingface_hub import HfApi, is_offline_mode, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = revision or "main"
    try:
        cached = _cached(repository, wanted, weights=weights)
    except HFValidationError as error:
        raise UsageError(
            f"{repository!r} is neither a folder here nor a model id such as"
            " 'sentence-transformers/all-MiniLM-L6-v2'"
        ) from error
    if cached and is_commit(wanted):
        return cached, wanted
    if is_offline_mode():
        return _only_cached(repository, wanted, cached, "the hub is switched off (HF_HUB_OFFLINE)")
    try:
        information = HfApi().model_info(repository, revision=wanted, timeout=_ASK_SECONDS)
    except GatedRepoError as error:
        raise UsageError(
            f"the model {repository} asks for its terms to be accepted: do that on its page, then"
            " log in with 'hf auth login'"
        ) from error
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"there is no model {repository!r} on the hub (or it is private), and no folder of"
            " that name here"
        ) from error
    except RevisionNotFoundError as error:
        raise UsageError(f"the model {repository} has no revision {wanted!r}") from error
    except Exception as error:  # noqa: BLE001 - the HTTP library and its errors vary by version
        reason = f"the hub cannot be reached ({type(error).__name__})"
        return _only_cached(repository, wanted, cached, reason)
    commit = str(information.sha)
    names = needed_files([one.rfilename for one in information.siblings or []], code=code)
    bases = [name for name in names if "/" not in name]
    if weights and not weight_names([name.rpartition("/")[2] for name in names]):
        raise UsageError(
            f"the model {repository} has neither model.safetensors nor pytorch_model.bin; other"
            " formats are not read"
        )
    if not weights:
        names = [name for name in bases if name not in weight_names(bases)]
    cached = _cached(repository, commit, weights=weights)
    if cached and all(os.path.isfile(os.path.join(cached, name)) for name in names):
        return cached, commit
    try:
        folder = snapshot_download(repository, revision=commit, allow_patterns=names)
    except Exception as error:
        raise UsageError(
            f"fetching the model {repository} failed ({type(error).__name__}: {error}); run the"
            " same command again to go on"
        ) from error
    return str(folder), commit


def _only_cached(repository: str, wanted: str, cached: str | None, reason: str) -> tuple[str, str]:
    if cached:
        return cached, os.path.basename(cached)
    raise UsageError(
        f"the model {repository!r} (revision {wanted}) is no folder here, it is not in the hub's"
        f" cache, and {reason}. Give a folder that holds a model, or fetch it where there is a"
        f" network: hf download {repository}. The extractors of ducho-starter need no hub"
    )


def _cached(repository: str, revision: str, *, weights: bool) -> str | None:
    """The snapshot's folder where all that is needed lies in the cache."""
    from huggingface_hub import try_to_load_from_cache

    for probe in ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json"):
        found = try_to_load_from_cache(repository, probe, revision=revision)
        if isinstance(found, str):
            break
    else:
        return None
    folder = os.path.dirname(found)
    names = folder_names(folder)
    bases = [name.rpartition("/")[2] for name in names]
    if not any(is_tokenizer_file(base) or base == "preprocessor_config.json" for base in bases):
        return None
    if weights and (not weight_names(bases) or missing_shards(folder)):
        return None
    return folder
