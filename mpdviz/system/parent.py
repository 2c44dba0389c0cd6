"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PAUSE = 0.5
"""Seconds between two looks at the parent, where the system does not tell."""


def end_with_parent() -> None:
    """Get SIGTERM, as if somebody asked to stop, once the process that started this one is gone."""
    parent = os.getppid()
    if not (
        sys.platform.startswith("linux") and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) == 0
    ):
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent").start()
    if os.getppid() != parent:  # it ended in between
        signal.raise_signal(signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PAUSE)
    os.kill(os.getpid(), signal.SIGTERM)
