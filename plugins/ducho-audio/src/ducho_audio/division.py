"""Sounds decoded, cut to length and divided into windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ducho_core import ItemError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ducho_core import Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How a sound is decoded and divided. Picklable.

    Attributes:
        rate: samples a second that the model takes.
        window: samples of a window.
        hop: samples from one window's beginning to the next's.
        minimum: fewest samples that the model can use.
        max_seconds: longest sound; None leaves that to the core's own limit.
        too_long: whether longer sounds are cut or fail.
        part: which windows of a long sound are taken.
    """

    rate: int
    window: int
    hop: int
    minimum: int = 1
    max_seconds: float | None = None
    too_long: Literal["cut", "fail"] = "cut"
    part: Literal["windows", "first", "centre"] = "windows"

    @classmethod
    def of(
        cls,
        options: Any,
        rate: int,
        *,
        length: float,
        fixed: bool,
        minimum: int = 1,
        part: Literal["windows", "first", "centre"] = "windows",
    ) -> Division:
        """What the options ask for.

        Args:
            options: with ``window``, ``hop``, ``max_seconds`` and ``too_long``.
            rate: samples a second that the model takes.
            length: seconds of a window where the options name none.
            fixed: whether the model takes no longer windows than that.
            minimum: fewest samples that the model can use.
            part: which windows of a long sound are taken.

        Raises:
            UsageError: a window that the model cannot take, or a hop over the window.
        """
        window: float = length if options.window is None else options.window
        if fixed and window > length:
            raise UsageError(
                f"window={window:g}: this model takes windows of at most {length:g} seconds"
            )
        hop = window if options.hop is None else options.hop
        if hop > window:
            raise UsageError(
                f"hop={hop:g} is longer than a window of {window:g} seconds and would leave out"
                " what lies between; choose a shorter one"
            )
        samples = round(window * rate)
        if samples < minimum:
            raise UsageError(
                f"window={window:g}: this model needs at least {minimum / rate:g} seconds"
            )
        return cls(
            rate=rate,
            window=samples,
            hop=max(1, round(hop * rate)),
            minimum=minimum,
            max_seconds=options.max_seconds,
            too_long=options.too_long,
            part=part,
        )

    def settings(self) -> dict[str, Any]:
        """What of it enters the SPEC beside the options."""
        return {
            "channels": "mean",
            "hop_samples": self.hop,
            "rate": self.rate,
            "resampling": "soxr-hq",
            "window_samples": self.window,
        }

    def decode(self, media: Media) -> npt.NDArray[np.float32]:
        """Mono samples at the rate, shape (n,). What had to be decided is in ``media.notes``.

        Raises:
            ItemError: it is no sound that can be used, ``too_long`` or ``too_short``.
        """
        samples, _ = media.audio(self.rate, seconds=self.max_seconds)
        if self.too_long == "fail" and "truncated" in media.notes:
            raise ItemError(
                0,
                "too_long",
                f"{media.name} lasts longer than {self.max_seconds:g} s (max_seconds)",
            )
        if len(samples) < self.minimum:
            raise ItemError(
                0,
                "too_short",
                f"{media.name} lasts {len(samples) / self.rate:.5f} s, and the model needs at"
                f" least {self.minimum / self.rate:.5f} s",
            )
        return samples

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Where the windows of a sound of so many samples begin and end.

        The last window ends with the sound, and is left out where the model cannot use one so
        short.
        """
        if length <= self.window:
            return [(0, length)]
        if self.part != "windows":
            start = 0 if self.part == "first" else (length - self.window) // 2
            return [(start, start + self.window)]
        spans = [(0, self.window)]
        while spans[-1][1] < length:
            start = spans[-1][0] + self.hop
            spans.append((start, min(start + self.window, length)))
        if spans[-1][1] - spans[-1][0] < self.minimum:
            spans.pop()
        return spans
