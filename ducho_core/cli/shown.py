"""How text from a catalogue is shown in a terminal."""

from __future__ import annotations


def shown(text: str, longest: int = 120) -> str:
    """A key or message on one line of a terminal: control characters escaped, long ones cut."""
    line = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text[:longest]
    )
    return line if len(text) <= longest else f"{line}…"
