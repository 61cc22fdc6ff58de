"""What there is to say about a configuration, line by line, each with the key's path."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Remark:
    """One line.

    Attributes:
        path: the key that it is about, such as ``visual.items.model.0.reshape``.
        text: what is to be said of it.
        left_out: whether what the key asks for is not done at all.
    """

    path: str
    text: str
    left_out: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(slots=True)
class Remarks:
    """Remarks in the order in which they were made, each once."""

    lines: list[Remark] = field(default_factory=list)

    def say(self, path: str, text: str) -> None:
        """Something differs from Ducho 2.0, or was decided for the user."""
        self._add(Remark(path, text))

    def leave_out(self, path: str, text: str) -> None:
        """Something cannot be done."""
        self._add(Remark(path, text, left_out=True))

    @property
    def left_out(self) -> list[Remark]:
        """Only what cannot be done."""
        return [one for one in self.lines if one.left_out]

    def _add(self, remark: Remark) -> None:
        if remark not in self.lines:
            self.lines.append(remark)
