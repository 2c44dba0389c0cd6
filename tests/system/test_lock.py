"""Locks of run folders: one holder, gone with its process, and no hindrance where there are none."""

import errno
import fcntl
import signal
import subprocess
import sys
import threading

import pytest

from mpdviz.errors import BadInput
from mpdviz.system.files import lock

HOLDER = """
import pathlib, sys, time
from mpdviz.system.files import lock
held = lock(pathlib.Path(sys.argv[1]))
print(held is not None, flush=True)
time.sleep(60)
"""


def test_a_lock_is_one_s_own_until_released(tmp_path):
    held = lock(tmp_path / "lock")
    assert held is not None
    assert lock(tmp_path / "lock") is None
    thread = threading.Thread(target=held.release)  # whoever trains may be another thread than who began
    thread.start()
    thread.join()
    again = lock(tmp_path / "lock")
    assert again is not None
    del again
    assert lock(tmp_path / "lock") is not None


def test_a_killed_process_leaves_no_lock(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        assert lock(tmp_path / "lock") is None
        process.send_signal(signal.SIGKILL)
    assert lock(tmp_path / "lock") is not None


def test_a_place_that_takes_no_lock_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot write .*choose another folder"):
        lock(tmp_path / "file" / "lock")


@pytest.mark.parametrize("answer", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_worked_on_without(tmp_path, monkeypatch, answer):
    """As NFS without its lock daemon answers; no file is left that would bar the next process."""

    def refuse(*_):
        raise OSError(getattr(errno, answer), "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    first, second = lock(tmp_path / "lock"), lock(tmp_path / "lock")
    assert first is not None
    assert second is not None
    first.release()
    second.release()
