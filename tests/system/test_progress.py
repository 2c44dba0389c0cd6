"""The one progress bar: silent where nobody looks, its lines whole, what it shows on a terminal."""

import os
import pty
import subprocess
import sys

CODE = """
from mpdviz.system.progress import bar
with bar("recording", 4) as progress:
    progress.update()
    progress.print("a [red]line[/] as it is " + "long " * 40)
    progress.show(3, 4, "loss 0.5000")
    progress._whole.progress.refresh()
"""
LINE = "a [red]line[/] as it is " + "long " * 40


def test_without_a_terminal_lines_alone_are_written():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.rstrip() == LINE.rstrip()


def test_a_second_process_shows_no_bar_and_a_terminal_gets_one():
    for rank, bars in (("0", True), ("1", False)):
        ours, theirs = pty.openpty()
        environment = os.environ | {"RANK": rank, "TERM": "xterm", "COLUMNS": "100"}
        subprocess.run([sys.executable, "-c", CODE], stderr=theirs, env=environment, check=True)
        os.close(theirs)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
        assert ("recording" in shown and "3/4" in shown and "loss 0.5000" in shown) == bars
