"""Signals that ask for a stop: they may interrupt one another, and come in bursts."""

import os
import signal
import subprocess
import sys
import time

from mpdviz.system.signals import BURST, stop_signals

INTERRUPTED = """
import signal, sys
from mpdviz.system.signals import stop_signals

left = 5

def again(frame, event, _):
    # Wherever a function that the handler calls returns, the next signal comes.
    global left
    if event == "return" and left and any(f.f_code.co_name == "stop" for f in _above(frame)):
        left -= 1
        signal.raise_signal(signal.SIGTERM)
    return again

def _above(frame):
    while frame is not None:
        yield frame
        frame = frame.f_back

with stop_signals() as stopped:
    sys.settrace(again)
    signal.raise_signal(signal.SIGTERM)
    sys.settrace(None)
    print(stopped.is_set(), left < 5)
"""


def test_a_signal_that_interrupts_the_handler_of_another_stops_nothing_for_ever():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True True\n"


def test_a_burst_is_one_request_and_a_later_signal_acts_at_once():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with stop_signals() as stopped:
            assert not stopped.is_set()
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)
            assert stopped.is_set()
            assert not heard
            time.sleep(2 * BURST)
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
