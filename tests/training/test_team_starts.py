"""Processes of one run that end, or are asked to, while they are still starting."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("mpdviz")
WORDS = ["train", "--devices", "2", "--device", "cpu", "--epochs", "9999", "--out", "run"]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[1]) == parent:
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def leader(tmp_path):
    """The first process of a run, in a process group of its own, once it has started the second."""
    with subprocess.Popen(
        [SCRIPT, *WORDS],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # A shell's job in the background ignores Ctrl-C, and hands that on to the tests it may be running.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 60
        while not children(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
        process.kill()


@pytest.mark.thorough
def test_a_killed_process_ends_the_team(leader):
    (second,) = children(leader.pid)
    os.kill(second, signal.SIGKILL)
    err = leader.communicate(timeout=30)[1]
    assert leader.returncode == 1
    assert err.splitlines()[-1].startswith("mpdviz: another process of this run has ended; ")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "seconds", [1.0, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (0.1, 2.0))]
)
@pytest.mark.parametrize("everybody", [True, False], ids=["terminal", "leader alone"])
def test_ctrl_c_ends_the_team_and_nobody_trains_on(leader, seconds, everybody):
    (second,) = children(leader.pid)
    time.sleep(seconds)
    if everybody:
        os.killpg(leader.pid, signal.SIGINT)
    else:
        leader.send_signal(signal.SIGINT)
    err = leader.communicate(timeout=30)[1]
    assert leader.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in err
    deadline = time.monotonic() + 10
    while Path(f"/proc/{second}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{second}").exists()
