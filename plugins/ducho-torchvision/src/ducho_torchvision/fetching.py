"""torchvision's weight files: from torch's cache, or fetched once, and always verified."""

from __future__ import annotations

import os
import re
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch

from ducho_core import SourceError, TransientError, file_digest
from ducho_torchvision.registry import megabytes

_HASH = re.compile(r"-([a-f0-9]{8,})\.[a-z]+$")
_ASK_SECONDS = 10.0


def fetch(entry: Any) -> str:
    """Path of the file of a weights entry in torch's cache (``TORCH_HOME``).

    The name of such a file holds the first digits of its sha256; a file that has another one
    is never read.

    Args:
        entry: an entry of one of torchvision's weights enums.

    Raises:
        TransientError: it is not in the cache and cannot be fetched.
        SourceError: the file is damaged.
    """
    name = os.path.basename(urlparse(entry.url).path)
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    path = os.path.join(folder, name)
    match = _HASH.search(name)
    prefix = match[1] if match else None
    if not os.path.isfile(path):
        os.makedirs(folder, exist_ok=True)
        _download(entry, path, prefix)
    if prefix is not None and not file_digest(path).startswith(prefix):
        raise SourceError(
            f"{path} is not the file that torchvision means: its sha256 does not begin with"
            f" {prefix}. Delete it, and it is fetched anew"
        )
    return path


def _download(entry: Any, path: str, prefix: str | None) -> None:
    try:
        # torch's own downloader waits without end where nothing answers, so ask first.
        with urlopen(Request(entry.url, method="HEAD"), timeout=_ASK_SECONDS):  # noqa: S310
            pass
        torch.hub.download_url_to_file(entry.url, path, prefix, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        reason = f"HTTP {error.code}" if isinstance(error, HTTPError) else str(error)
        raise TransientError(
            f"the weights {entry!r} ({megabytes(entry):.0f} MB) could not be fetched from"
            f" {entry.url} ({reason}). Without a network put that file at {path}, or give a file"
            " of your own with -o weights_file=PATH, or take random weights with -o"
            " pretrained=false"
        ) from error
