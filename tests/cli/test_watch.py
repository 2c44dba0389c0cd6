"""`mpdviz train --live` and `mpdviz watch`: on terminals, in pipes, of runs that end, die or are damaged."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpdviz.cli import view
from places import train
from rich.cells import cell_len
from terminals import on_terminal

from mpdviz.runs.folder import RunFolder
from mpdviz.runs.status import LayerShare, Status, read_status, write_status

TINY = ("--model", "convsnn:encode_channels=4:planes=4-4", "--epochs", "2")


def status(**facts):
    own = {"host": "here", "process": 1, "written": 0.0, "epoch": 3, "epochs": 30, "step": 5, "steps": 100}
    return Status(**own | {"loss": 0.25, "accuracy": 0.5, "images_per_second": 1234.0} | facts)


def layers(count):
    shares = np.random.default_rng(0).random(count)
    return [
        LayerShare(
            layer=n,
            name=f"backbone.stage{n}.residual.spiking_neuron",
            lowest=float(share),
            at=1,
            starved=bool(share < 0.1),
        )
        for n, share in enumerate(shares, 1)
    ]


def assert_fits(lines, width, height):
    assert len(lines) <= height
    for line in lines:
        assert cell_len(line.plain) <= width, line.plain


# The view


@pytest.mark.parametrize(("width", "height"), [(80, 23), (40, 12), (200, 60), (20, 5)])
@pytest.mark.parametrize("count", [0, 1, 5, 17, 100])
def test_the_view_fits_with_the_worst_layers_first(width, height, count):
    told = status(layers=layers(count), losses=[2.0, 1.0] * 32, recorded_epoch=2, recorded_step=100)
    told = told.model_copy(
        update={"val_epoch": 2, "val_loss": 1.0, "val_accuracy": 0.6, "seconds_left": 75.0}
    )
    lines = view.of_run("convsnn, " * 40, told, "", width, height)
    assert_fits(lines, width, height)
    if (width, height) == (20, 5) or not count:
        return
    rows = [line.plain for line in lines if re.match(r"[ !] +\d+  ", line.plain)]
    shares = sorted(layer.lowest for layer in told.layers)
    if width >= 80:
        assert [float(row.split(" %")[0].split()[-1]) for row in rows] == pytest.approx(
            [100 * share for share in shares[: len(rows)]], abs=0.051
        )
        assert [row[0] for row in rows] == ["!" if share < 0.1 else " " for share in shares[: len(rows)]]
    left = count - len(rows)
    assert left == 0 or lines[-1].plain.startswith(f"and {left} more: ")


def test_the_curve_goes_from_the_highest_to_the_lowest():
    bars = view.curve([3.0, 2.0, None, 1.0], 80)
    assert len(bars) == 4
    assert bars[2] == "?"
    marks = view.heights()
    assert marks.index(bars[0]) > marks.index(bars[1]) > marks.index(bars[3]) == 1
    assert len(view.curve(list(range(64)), 10)) == 10
    assert set(view.curve([1.0, 1.0], 10)) == {marks[1]}


def test_names_of_others_cannot_move_the_cursor():
    told = status(layers=[LayerShare(layer=1, name="\x1b[2J\nevil", lowest=0.5, at=1)])
    for line in view.of_run("run\x1b", told, "\x1b[2J", 80, 23):
        assert line.plain.isprintable()
    assert view.one_line("run", told, "\r").isprintable()


def test_before_the_first_step_nothing_is_made_up():
    said = [line.plain for line in view.of_run("run", status(epochs=0, steps=0, step=0), "", 80, 23)]
    assert said == ["run", "no training step done yet"]


# mpdviz train --live


@pytest.mark.thorough
def test_live_fits_a_terminal_and_leaves_the_last_state(tmp_path):
    out = tmp_path / "run"
    words = ("train", "--live", *TINY, "--record-every", 5, "--out", out)
    seen = on_terminal(*words, rows=24, PYTHONIOENCODING="utf-8", alone=True)
    assert seen.code == 0, seen.plain
    assert "Traceback" not in seen.plain
    assert "\x1b[?25h" in seen.raw  # the cursor is back
    said = seen.plain
    for words in ("epoch 2/2", "100 %", "images/s", "validation after epoch 2", "0 of 5 starved"):
        assert words in said
    mpd = pd.read_csv(out / "mpd.csv")
    last = mpd[(mpd["epoch"] == 2) & (mpd["step"] == mpd[mpd["epoch"] == 2]["step"].max())]
    lowest = last.groupby("name")["available_ratio"].min().sort_values()
    rows = [line for line in seen.lines if re.match(r"[ !] +\d+  ", line)]
    assert [row.split()[-5 if row[0] == "!" else 1] for row in rows] == list(lowest.index)
    assert [float(row.split(" %")[0].split()[-1]) for row in rows] == pytest.approx(100 * lowest, abs=0.051)
    assert f"{out}/checkpoints/best.pt: test accuracy" in seen.plain.replace("\n", "")
    assert "━" in said
    assert said.count("epoch 2/2") == 1  # drawn over, not again below
    assert len(set(re.findall(r"step (\d+)/", "\n".join(seen.drawn)))) > 1


@pytest.mark.thorough
@pytest.mark.parametrize("terminal", [False, True])
def test_live_falls_back_to_lines_and_says_so_once(tmp_path, terminal):
    words = ("train", "--live", *TINY, "--out", tmp_path / "run")
    if terminal:
        seen = on_terminal(*words, TERM="dumb", columns=200)
        code, err = seen.code, seen.plain
    else:
        command = [sys.executable, "-m", "mpdviz", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        code, err = done.returncode, done.stderr
        assert done.stdout.count("\n") == 1
    assert code == 0
    assert err.count("stderr is no terminal that can be drawn on; a line an epoch is printed instead") == 1
    assert len(re.findall(r"^epoch +\d  training", err, re.MULTILINE)) == 2
    assert "\x1b" not in err


# mpdviz watch


def watch(*words, **options):
    command = [sys.executable, "-m", "mpdviz", "watch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def test_a_finished_run_is_shown_once(place, mpdviz):
    code, out, err = mpdviz("watch", "--once", "run")
    assert (code, err) == (0, [])
    assert "run/checkpoints/best.pt: test accuracy" in out
    assert "epoch 1/1" in out
    code, out, err = mpdviz("watch", "run")
    assert code == 0
    assert out.startswith("run/checkpoints/best.pt: test accuracy")
    assert out.split()[-6:] == ["(best", "epoch", "1", "of", "1,", "seed", "0)"][-6:]
    assert len(err) == 2  # that stderr is no terminal, and the run's one line


def test_a_terminal_gets_the_view_and_the_result(place):
    seen = on_terminal("watch", place / "run", rows=24)
    assert seen.code == 0
    assert "epoch 1/1" in seen.plain
    assert "test accuracy" in seen.plain
    assert all(cell_len(line) <= 80 for line in seen.drawn if "best.pt" not in line)  # a path is whole


@pytest.mark.thorough
def test_a_run_under_way_is_followed_to_its_end(place):
    words = [sys.executable, "-m", "mpdviz", *map(str, train()[:-2]), "--out", "new", "--epochs", "60"]
    run = subprocess.Popen(words, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (place / "new" / "status.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        once = watch("--once", "new", cwd=place)
        assert once.returncode == 0, once.stderr
        done = watch("new", cwd=place)
    finally:
        run.wait(60)
    assert done.returncode == 0, done.stderr
    assert "new/checkpoints/best.pt: test accuracy" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("new  finished  epoch 60/60")


@pytest.mark.thorough
def test_a_run_that_was_killed_has_stopped(place):
    words = [sys.executable, "-m", "mpdviz", *map(str, train()[:-2]), "--out", "new", "--epochs", "9999"]
    run = subprocess.Popen(words, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = RunFolder(place / "new")
    deadline = time.monotonic() + 60
    while not ((found := read_status(folder)) and found.of):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    for words in (("--once", "new"), ("new",)):
        done = watch(*words, cwd=place)
        assert done.returncode == 1
        assert f"process {run.pid} on this host has gone; go on with --resume" in done.stdout + done.stderr


def test_an_interrupted_run_says_so(place, mpdviz):
    folder = RunFolder(place / "run")
    folder.result.write_text("{}")
    write_status(folder, read_status(folder).model_copy(update={"ended": "interrupted"}))
    code, out, _ = mpdviz("watch", "--once", "run")
    assert code == 1
    assert "interrupted in epoch 1; go on with --resume" in out


@pytest.mark.parametrize("name", ["status.json", "config.toml", "mpd.csv", "metrics.csv"])
def test_damaged_files_break_nothing(place, mpdviz, name):
    (place / "run" / name).write_bytes(b"\x00\xff{[")
    code, out, err = mpdviz("watch", "--once", "run")
    if name == "config.toml":  # of which the result's line is made
        assert (code, len(err)) == (2, 1)
        return
    assert code == 0
    assert "test accuracy" in out


def test_a_folder_of_runs_has_a_line_a_run(place, mpdviz):
    Path("runs").mkdir()
    for name in ("one", "two", "three"):
        shutil.copytree("run", f"runs/{name}")
    two = RunFolder(Path("runs/two"))
    now = {"ended": None, "written": time.time()}
    two.result.write_text("{}")
    write_status(two, read_status(two).model_copy(update=now | {"process": os.getpid()}))
    Path("runs/three/status.json").unlink()
    code, out, _ = mpdviz("watch", "--once", "runs")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "3 runs: 2 finished, 1 running"
    assert all(cell_len(line) <= 80 for line in lines)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["one", "finished"],
        ["three", "finished"],
        ["two", "runs"],
    ]
    write_status(two, read_status(two).model_copy(update={"ended": "failed"}))
    assert mpdviz("watch", "runs")[0] == 1


def test_what_is_no_run_is_refused(refused):
    refused("watch", "nowhere", words=["nowhere is not there"])
    refused("watch", "project", "--once", words=["project"])
