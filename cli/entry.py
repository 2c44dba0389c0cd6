"""The first module of the command. Whatever comes after it ends in at most one line and an exit code.

Ctrl-C ends the process on the spot, imports included: raised as an exception, libraries written in C turn it
into errors of their own, lose it, or abort. Work that saves its state first listens for itself meanwhile
(`system.signals`); files are written beside their places, so that none is ever cut short.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

INTERRUPTED = 130
SHOW_CURSOR = "\x1b[?25h"
_ending = threading.Lock()


def run() -> None:
    """Run the command line and leave with its exit code."""
    with _interruptions_answered():
        closed = _open_streams()
        try:
            status = _run()
        except BaseException as error:
            status = _end(error)
        status = _flush(status)
        if closed and status == 0:
            _say("stdout is closed, so nothing could be printed on it; redirect it to a file or /dev/null")
            status = 2
    # Python would go through all that torch and pandas have made once more, which takes a quarter of the time
    # of importing them; the system takes the memory back as it is.
    gc.freeze()
    sys.exit(status)


def _run() -> int:
    if os.environ.get("LOCAL_RANK", "0") != "0":  # one of a team, started by its leader or by torchrun
        from mpdviz.system.parent import end_with_parent

        end_with_parent()
    from .main import command  # here: imports take time, in which Ctrl-C may come

    return command()


def _end(error: BaseException) -> int:
    """Say what ended the command; the exit code."""
    # Click makes an exit of it. Whoever read our output left: nothing is wrong.
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    from mpdviz.system.failures import told

    line, status = told(error)
    try:  # with settings spelled as options, where that much works
        from .output import tell

        tell("[red]mpdviz:[/]", line)
    except Exception:
        _say(line)
    return status


def _say(line: str) -> None:
    with suppress(OSError, ValueError):
        print(f"mpdviz: {line}", file=sys.stderr, flush=True)


def _open_streams() -> bool:
    """Make stdout and stderr safe to print on, whatever they are; whether stdout is closed."""
    closed = sys.stdout is None
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - stays open
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    # An empty or zero width makes rich print nothing at all.
    if not os.environ.get("COLUMNS", "1").isdecimal() or os.environ.get("COLUMNS") == "0":
        os.environ.pop("COLUMNS", None)
    return closed


def _flush(status: int) -> int:
    """Let go of what was printed; a reader who left is no error, a full disk is."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        _say(f"cannot print: {error.strerror}; free space or redirect the output elsewhere")
        status = status or 2
    else:
        return status
    # What could not be written is not to be tried again as the interpreter ends.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


@contextmanager
def _interruptions_answered() -> Iterator[None]:
    """End at once on Ctrl-C inside the block, however busy the main thread is."""
    of_main = threading.current_thread() is threading.main_thread()
    if not of_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a job in the background
        yield
        return
    listening, woken = os.pipe()
    os.set_blocking(woken, False)
    before = signal.signal(signal.SIGINT, _interrupt), signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(listening,), daemon=True, name="interruptions").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before[1])
        signal.signal(signal.SIGINT, before[0])
        os.close(woken)  # which ends the thread


def _interrupt(number: int, frame: Any) -> None:
    del number, frame
    if not _ending.acquire(blocking=False):  # the other thread has heard it too
        return
    if "mpdviz.system.files" in sys.modules:
        sys.modules["mpdviz.system.files"].abandon()
    if sys.stderr.isatty():  # a progress bar may have hidden it
        sys.stderr.write(SHOW_CURSOR)
    _say("interrupted")
    os._exit(INTERRUPTED)


def _watch(listening: int) -> None:
    """Answer while the main thread is in a call that takes long: it hears of signals after the call alone."""
    while number := os.read(listening, 1):
        work = sys.modules.get("mpdviz.system.signals")
        if number[0] == signal.SIGINT and not (work is not None and work.somebody_listens()):
            _interrupt(signal.SIGINT, None)
    os.close(listening)
