"""Stopping politely: signals ask for a stop, the work under way is finished and saved first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_listening = threading.Event()


def somebody_listens() -> bool:
    """Whether work is under way that saves its state before it stops."""
    return _listening.is_set()


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM ask for a stop after the step under way; a second one acts at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped  # only the main thread may listen for signals
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: Any) -> None:
        stopped.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, stop)
    _listening.set()
    try:
        yield stopped
    finally:
        _listening.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
