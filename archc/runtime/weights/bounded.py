"""Work on a stranger's text that may not end by itself, within processor time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooLong(Exception):
    """The time was over."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Processor time for what happens inside; TooLong ends it, also in the midst of a regular expression, which looks for signals.

    Only the main thread of a system with timers is bounded: elsewhere there are no signals, and whoever calls bounds the work.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
