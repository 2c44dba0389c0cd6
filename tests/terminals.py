"""The command line on a pseudo-terminal of any size, and what a user then sees, by a terminal emulator."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import commands
import pyte

ROOT = Path(__file__).parents[1]
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")
ROWS = 400


@dataclass(frozen=True)
class Seen:
    """What a terminal of so many columns got."""

    code: int
    raw: str
    columns: int
    rows: int = ROWS

    @property
    def drawn(self):
        """Every line that was ever drawn, also those that were drawn over, without escape codes."""
        return [line for line in re.split(r"[\r\n]+", ESCAPES.sub("", self.raw)) if line]

    @cached_property
    def lines(self):
        """What stands on the screen in the end, as a terminal emulator has it."""
        screen = pyte.Screen(self.columns, self.rows)
        pyte.Stream(screen).feed(self.raw)
        return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")

    @property
    def plain(self):
        """The same as one text."""
        return "\n".join(self.lines)


def on_terminal(*words, columns=80, rows=ROWS, alone=False, **environment):
    """Run `mpdviz WORDS...` on a terminal of so many columns.

    Args:
        words: its arguments.
        columns: of the terminal.
        rows: of it.
        alone: in a process started anew, as a shell does; else in a forked one, which is quicker.
        environment: variables besides; None takes one away.
    """
    variables = os.environ | {"TERM": "xterm-256color", "COLUMNS": None, "OMP_NUM_THREADS": "1"} | environment
    variables = {name: value for name, value in variables.items() if value is not None}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    got = []
    reader = threading.Thread(target=_read, args=(ours, got))
    reader.start()
    words = [str(word) for word in words]
    if alone:
        command = [sys.executable, "-m", "mpdviz", *words]
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        code = subprocess.run(
            command, cwd=ROOT, env=variables, check=False, timeout=120, **streams
        ).returncode
    else:
        process = commands.forked(_run, words, os.ttyname(theirs), variables)
        process.join(120)
        code = process.exitcode
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    return Seen(code, b"".join(got).decode("utf-8", "replace"), columns, rows)


def _run(words, terminal, variables):
    os.environ.clear()
    os.environ.update(variables)
    device = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(device, number)
        setattr(sys, name, open(number, "w" if number else "r", buffering=1, closefd=False))  # noqa: SIM115
    sys.argv = [str(Path(sys.executable).with_name("mpdviz")), *words]
    from mpdviz.cli.entry import run

    run()


def _read(descriptor, got):
    while True:
        try:
            text = os.read(descriptor, 1 << 16)
        except OSError:  # the last who had it open has closed it
            return
        if not text:
            return
        got.append(text)
