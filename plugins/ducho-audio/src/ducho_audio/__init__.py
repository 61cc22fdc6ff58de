"""Sound features from pretrained models, for Ducho.

What other plugins for sounds need is exported here; everything is imported on first use, so that
a light module may import this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "3.0.0a1"

_EXPORTS = {
    "AudioRunOptions": "options",
    "ClapExtractor": "clap",
    "ClapOptions": "options",
    "EncoderExtractor": "encoder",
    "EncoderOptions": "options",
    "Division": "division",
    "MaxSeconds": "options",
    "TooLong": "options",
}

if TYPE_CHECKING:
    from ducho_audio.clap import ClapExtractor
    from ducho_audio.division import Division
    from ducho_audio.encoder import EncoderExtractor
    from ducho_audio.options import (
        AudioRunOptions,
        ClapOptions,
        EncoderOptions,
        MaxSeconds,
        TooLong,
    )

__all__ = [
    "AudioRunOptions",
    "ClapExtractor",
    "ClapOptions",
    "Division",
    "EncoderExtractor",
    "EncoderOptions",
    "MaxSeconds",
    "TooLong",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ducho_audio' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ducho_audio.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
