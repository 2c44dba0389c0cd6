"""The command line in a process of its own, forked from one that has imported everything heavy already.

A fresh process takes three seconds to import torch, pandas and matplotlib; a forked one is as alone as it.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

HEAVY = ["mpdviz.cli.main", "mpdviz.live", "mpdviz.inspection.models", "mpdviz.training.run"]
HEAVY += ["mpdviz.compare", "matplotlib.backends.backend_agg", "seaborn", "scipy.stats"]
HEAVY += ["tabulate"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(HEAVY)


def forked(target, *arguments):
    """Start a function in a process of its own that has imported everything heavy."""
    process = _context.Process(target=target, args=arguments)
    process.start()
    return process


def mpdviz(*words, cwd=None, timeout=300):
    """Run `mpdviz WORDS...` in the folder `cwd`; what `subprocess.run(..., capture_output=True)` gives."""
    words = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        environment = dict(os.environ)
        process = forked(_run, words, str(cwd or Path.cwd()), environment, out, err)
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"mpdviz {' '.join(words)} took more than {timeout} s: {err.read_text()}")
        return CompletedProcess(words, process.exitcode, out.read_bytes(), err.read_bytes())


def _run(words, cwd, environment, out, err):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    # The script itself: runs of several processes start it anew.
    sys.argv = [str(Path(sys.executable).with_name("mpdviz")), *words]
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
    from mpdviz.cli.entry import run

    run()
