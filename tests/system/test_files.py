"""Files are whole or not there: what a failing, killed or crowded-out writer leaves behind."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from mpdviz.errors import BadInput
from mpdviz.system.files import make_folder, write_atomically, write_text
from mpdviz.system.reading import read_bytes


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_replaces_the_old_file_in_one_step(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    seen = []

    def write(file):
        file.write(b"new, ")
        file.flush()
        seen.append(path.read_bytes())
        file.write(b"whole")

    write_atomically(path, write)
    assert seen == [b"old"]
    assert path.read_bytes() == b"new, whole"
    assert listing(tmp_path) == ["table.csv"]


def test_text_is_utf_8_and_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "t", "κ = 2 γ V_th\r\n\n")
    assert (tmp_path / "t").read_bytes() == "κ = 2 γ V_th\r\n\n".encode()


@pytest.mark.parametrize("before", [b"old", None])
@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), BadInput),
        (RuntimeError("writer's own"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failing_writer_leaves_what_was_there(tmp_path, failure, raised, before):
    path = tmp_path / "last.pt"
    if before is not None:
        path.write_bytes(before)

    def write(file):
        file.write(b"x" * 100_000)
        raise failure

    with pytest.raises(raised) as caught:
        write_atomically(path, write)
    assert listing(tmp_path) == ([] if before is None else ["last.pt"])
    if before is not None:
        assert path.read_bytes() == before
    if raised is BadInput:
        message = str(caught.value)
        assert str(path) in message
        assert "No space left on device" in message
        assert "free space" in message


def test_a_writer_killed_outright_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(b"old")
    script = """
import os, pathlib, signal, sys
from mpdviz.system.files import write_atomically
def write(file):
    file.write(b"half"); file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(pathlib.Path(sys.argv[1]), write)
"""
    ended = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_text(path, "new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o000])
def test_the_mode_is_that_of_an_ordinary_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "ours", "x")
        (tmp_path / "ordinary").write_text("x")
        kept = os.umask(mask)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "ordinary")]
    assert modes == [0o666 & ~mask] * 2
    assert kept == mask


@pytest.mark.parametrize("place", ["missing/file", "file/below", "folder"])
def test_a_place_that_takes_no_file(tmp_path, place):
    (tmp_path / "file").write_bytes(b"a file")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"cannot write .*choose another folder"):
        write_text(tmp_path / place, "x")
    assert listing(tmp_path) == ["file", "folder"]
    assert listing(tmp_path / "folder") == ["full"]
    assert (tmp_path / "file").read_bytes() == b"a file"


def test_make_folder_creates_parents_and_leaves_nothing_in_it(tmp_path):
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    assert make_folder(folder) == folder
    assert listing(folder) == []


@pytest.mark.parametrize("place", ["file", "file/below", "a" * 300, "/proc/run", "/proc/self/fd/run/deep"])
def test_make_folder_refuses_where_nothing_can_be_written(tmp_path, place):
    (tmp_path / "file").write_bytes(b"a file")
    with pytest.raises(BadInput, match=r"cannot write into folder .*choose another folder"):
        make_folder(tmp_path / place)
    assert listing(tmp_path) == ["file"]


def test_read_bytes(tmp_path):
    (tmp_path / "full").write_bytes(b"\0content")
    (tmp_path / "empty").touch()
    assert read_bytes(tmp_path / "full", "checkpoint") == b"\0content"
    for place, problem in {
        "empty": "is empty",
        "missing": "No such file",
        ".": "is a folder",
        "full/below": "Not a directory",
        "a" * 300: "File name too long",
    }.items():
        with pytest.raises(BadInput, match=f"checkpoint .*{problem}.*; "):
            read_bytes(tmp_path / place, "checkpoint")


def test_text_that_has_no_utf8_form_is_escaped(tmp_path):
    write_text(tmp_path / "odd", "a\ud800b")
    assert (tmp_path / "odd").read_bytes() == b"a\\ud800b"
