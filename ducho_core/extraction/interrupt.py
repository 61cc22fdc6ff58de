"""Ctrl-C and SIGTERM: the first one stops gracefully, the second at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interruption:
    """Whether and how the user asked to stop.

    Attributes:
        event: set once a signal came.
        signal: its number, 0 while none came.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal = 0

    @property
    def exit_code(self) -> int:
        """What a process ended by this signal exits with."""
        return 128 + self.signal


@contextmanager
def interruptible(say: Callable[[str], None]) -> Iterator[Interruption]:
    """Turn the first SIGINT or SIGTERM into a flag; a second one raises KeyboardInterrupt.

    Outside the main thread, where Python takes no signals, nothing is changed.
    """
    state = Interruption()

    def handle(number: int, _frame: FrameType | None) -> None:
        if state.signal:
            raise KeyboardInterrupt
        state.signal = number
        state.event.set()
        say("stopping: what is committed stays; press Ctrl-C again to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield state
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what cannot go on later as Ctrl-C does, so that it is cleared away.

    The ``KeyboardInterrupt`` has the signal's number. Outside the main thread, where Python takes
    no signals, nothing is changed.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
