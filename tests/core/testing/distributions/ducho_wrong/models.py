"""Lists of models, right and wrong."""

from __future__ import annotations

from ducho_core import KnownModel


def right():
    return [KnownModel(name="letters", dim=16, megabytes=1.5, as_of="2026-01-31")]


def texts():
    return ["letters"]


def twice():
    return right() + right()


def size():
    return [KnownModel(name="letters", dim=0)]
