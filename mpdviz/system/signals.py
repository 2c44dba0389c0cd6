"""Stopping politely: signals ask for a stop, the work under way is finished and saved first."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BURST = 0.2
"""Seconds within which signals are one request: the end of a parent may be told more than once."""

_listening = threading.Event()


class Stop:
    """Whether somebody asked to stop.

    Not a `threading.Event`: setting that takes a lock, which a signal that interrupts the handler of another
    would wait for forever.
    """

    def __init__(self) -> None:
        """Nobody did yet."""
        self._since: float | None = None

    def ask(self) -> bool:
        """Ask to stop; whether nobody had asked before, but for a moment ago."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since < BURST

    def is_set(self) -> bool:
        """Whether somebody did."""
        return self._since is not None


def somebody_listens() -> bool:
    """Whether work is under way that saves its state before it stops."""
    return _listening.is_set()


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM ask for a stop after the step under way; a later one acts at once."""
    stopped = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stopped  # only the main thread may listen for signals
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: Any) -> None:
        if not stopped.ask():
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, stop)
    _listening.set()
    try:
        yield stopped
    finally:
        _listening.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
