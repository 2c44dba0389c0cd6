"""How the command ends, whatever ends it: real processes, one line, an exit code, no traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest
from mpdviz.cli import entry, main
from places import BEST, SCRIPT, train

INSPECT = ("inspect", BEST, "--data", "npz:data.npz")
TEAM = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1234"}
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110


def ran(*words, shell="", **environment):
    """The command in a process of its own, its output going where `shell` sends it."""
    line = " ".join(["exec", str(SCRIPT), *words, shell])
    env = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env, timeout=120)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.thorough
def test_a_reader_who_leaves_is_no_error_and_loses_nothing(place):
    words = " ".join([str(SCRIPT), *INSPECT, "--format json --save s.npz --out o"])
    line = f"{words} 2>err | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], check=False).returncode == 0
    assert "Traceback" not in (place / "err").read_text()
    assert (place / "s.npz").is_file()
    assert (place / "o/table.csv").is_file()


@FULL
@pytest.mark.parametrize("words", [("list", "models"), ("check", BEST, "--data", "npz:data.npz")])
def test_a_full_disk_behind_stdout_is_one_line(place, words):
    done = ran(*words, shell=">/dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("mpdviz: cannot write: No space left")


def test_a_closed_stdout_is_told_and_files_are_written(place):
    done = ran(*INSPECT, "--save", "s.npz", shell=">&-")
    assert done.returncode == 2
    assert "stdout is closed" in done.stderr.splitlines()[-1]
    assert (place / "s.npz").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_stdout_of_few_characters_gets_the_sketch_in_ascii(place, encoding):
    done = ran(*INSPECT, "--layer", "1", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "?" not in done.stdout
    assert "#" in done.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("columns", ["0", "-4", "wide", ""])
def test_no_width_hides_a_message(place, columns):
    done = ran("inspect", "none.pt", COLUMNS=columns)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "environment", "named"),
    [
        (("inspect", "none.pt"), {"RANK": "abc"}, "RANK"),
        (INSPECT, {"WORLD_SIZE": "2"}, "RANK is not set"),
        (INSPECT, {"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR"),
        (INSPECT, TEAM | {"MASTER_PORT": "65536"}, "MASTER_PORT is 65536"),
        (INSPECT, TEAM | {"MASTER_PORT": "0"}, "MASTER_PORT"),
        (INSPECT, TEAM | {"MASTER_ADDR": "no.such.host.invalid"}, "MASTER_ADDR"),
        (INSPECT, {"WORLD_SIZE": "-1"}, "WORLD_SIZE"),
        (INSPECT, {"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2"),
        (train(), {"LOCAL_WORLD_SIZE": "x"}, "LOCAL_WORLD_SIZE"),
        (train(), {"LOCAL_WORLD_SIZE": "1"}, "LOCAL_WORLD_SIZE is 1, but WORLD_SIZE is not set"),
        (train(), TEAM | {"LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE is 3, but WORLD_SIZE is 2"),
        ((*INSPECT, "--out", "o"), {"MPLBACKEND": "foo"}, "MPLBACKEND"),
    ],
)
def test_variables_are_refused_by_name(place, words, environment, named):
    done = ran(*words, **environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert named in done.stderr
    assert not (place / "o").exists()


def test_what_nobody_foresaw_is_a_bug_of_ours_in_one_line(monkeypatch, capsys, tmp_path):
    def fail():
        raise ZeroDivisionError("what\nnobody foresaw")

    monkeypatch.setattr(main, "command", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        entry.run()
    assert ended.value.code == 70
    (line,) = capsys.readouterr().err.splitlines()
    start = "mpdviz: this is a bug of mpdviz: ZeroDivisionError: what; details in "
    assert line.startswith(start)
    (kept,) = (tmp_path / "mpdviz" / "bugs").iterdir()
    assert line == start + str(kept)
    assert "raise ZeroDivisionError" in kept.read_text()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 2, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "not enough memory"),
        (OSError(28, "No space left on device", "there"), 2, "cannot write there: No space left"),
        (EOFError("short"), 70, "EOFError: short"),
        (RecursionError("too deep"), 70, "RecursionError"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_kinds_of_ends(monkeypatch, capsys, tmp_path, error, code, said):
    def fail():
        raise error

    monkeypatch.setattr(main, "command", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        entry.run()
    lines = capsys.readouterr().err.splitlines()
    assert (ended.value.code, len(lines)) == (code, bool(said))
    assert said in "".join(lines)


@pytest.mark.thorough
def test_nothing_in_the_working_folder_is_imported(place):
    for name in ("typer", "numpy", "json", "torch", "mpdviz_plugin"):
        (place / f"{name}.py").write_text("open('EXECUTED', 'w')\n")
    assert ran(*INSPECT).returncode == 0
    compared = ran("compare", "--strategies", "fixed", "--seeds", "0", *train()[1:-2], "--out", "c")
    assert compared.returncode == 0, compared.stderr
    module = [sys.executable, "-m", "mpdviz", "list", "models"]
    assert subprocess.run(module, capture_output=True, check=False).returncode == 0
    assert not list(place.rglob("EXECUTED"))


@pytest.mark.parametrize(
    "seconds", [0.4, 1.5, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (0.15, 0.8, 3.0))]
)
def test_ctrl_c_at_any_moment_is_one_line_within_two_seconds(place, seconds):
    words = [str(SCRIPT), *train("--epochs", "99999")]
    with subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        begun = time.perf_counter()
        err = process.communicate(timeout=20)[1]
    assert time.perf_counter() - begun < 2 + 4  # with what a loaded machine adds
    assert process.returncode == 130
    assert "Traceback" not in err
    assert sum("interrupted" in line for line in err.splitlines()) == 1
