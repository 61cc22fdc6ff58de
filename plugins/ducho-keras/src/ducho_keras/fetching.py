"""Keras' weight files: from its cache, or fetched once, and verified where it knows a digest."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ducho_core import SourceError, TransientError, file_digest
from ducho_keras.library import load_keras

if TYPE_CHECKING:
    from ducho_keras.applications import Application

_ASK_SECONDS = 10.0


def fetch(name: str, application: Application) -> str:
    """Path of a model's pretrained weights in Keras' cache (``KERAS_HOME``).

    Raises:
        TransientError: they are not in the cache and cannot be fetched.
        SourceError: the file is damaged.
    """
    home = cache_folder()
    path = home / "models" / application.file
    if not path.is_file():
        _download(name, application, path)
    if application.digest is not None and _digest(path, application.digest) != application.digest:
        raise SourceError(
            f"{path} is not the file that Keras means: its digest is another. Delete it, and it is"
            " fetched anew"
        )
    return str(path)


def is_official(path: str, application: Application) -> bool:
    """Whether a file is Keras' own pretrained weights of a model."""
    known = application.digest
    return known is not None and _digest(Path(path), known) == known


def cache_folder() -> Path:
    """Where Keras keeps what it fetches."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _download(name: str, application: Application, path: Path) -> None:
    keras = load_keras()
    try:
        # Keras tries without a time limit, so ask first whether anything answers.
        with urlopen(Request(application.url, method="HEAD"), timeout=_ASK_SECONDS):  # noqa: S310
            pass
        # Where the folder is not there, Keras takes one under /tmp instead.
        path.parent.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr):
            keras.utils.get_file(
                path.name,
                application.url,
                cache_dir=str(path.parent.parent),
                cache_subdir="models",
                file_hash=application.digest,
            )
    except Exception as error:  # get_file raises plain Exception where a fetch fails
        reason = f"HTTP {error.code}" if isinstance(error, HTTPError) else str(error)
        raise TransientError(
            f"the weights of {name} ({application.megabytes:.0f} MB) could not be fetched from"
            f" {application.url} ({reason}). Without a network put that file at {path}, or give a"
            " file of your own with -o weights_file=PATH, or take random weights with"
            " -o pretrained=false"
        ) from error


def _digest(path: Path, like: str) -> str:
    if len(like) == hashlib.sha256().digest_size * 2:
        return file_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
