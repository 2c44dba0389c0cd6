"""Runs seen from outside: what status.json says, when a run has gone, damaged and vanishing files."""

import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.runs import following
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.following import Follower, duration, followed, news
from mpdviz.runs.status import POINTS, Curve, LayerShare, Status, last_known, read_status, write_status


def status(**facts):
    own = {"host": platform.node(), "process": os.getpid(), "written": time.time()}
    return Status(**own | {"epoch": 2, "epochs": 4, "step": 3, "steps": 10} | facts)


@pytest.fixture
def folder(tmp_path):
    found = RunFolder(tmp_path / "run")
    found.path.mkdir()
    found.config.write_text(RunConfig().to_toml())
    return found


@pytest.fixture
def gone():
    """The number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("steps", [1, 5, 63, 64, 65, 200, 1000, 4097])
def test_a_curve_is_means_over_equally_many_steps(steps):
    losses = np.random.default_rng(steps).random(steps)
    curve = Curve()
    for loss in losses:
        curve.add(float(loss))
    each = 1
    while steps // each >= POINTS:
        each *= 2
    expected = [losses[at : at + each].mean() for at in range(0, steps, each)]
    assert curve.points() == pytest.approx(expected)
    assert len(curve.points()) <= POINTS


def test_many_steps_at_once_are_as_many_steps():
    one, other = Curve(), Curve()
    for value, steps in ((2.0, 700), (1.0, 41), (0.5, 300)):
        one.add(value, steps)
        for _ in range(steps):
            other.add(value)
    assert one.points() == pytest.approx(other.points())


def test_what_is_written_is_read(folder):
    layers = [LayerShare(layer=1, name="a", lowest=0.2, at=3), LayerShare(layer=2, name="β")]
    written = status(loss=0.5, losses=[1.0, 0.5], layers=layers, ended="interrupted")
    assert read_status(folder) is None
    write_status(folder, written)
    assert read_status(folder) == written
    assert (written.done, written.of) == (13, 40)


def test_what_is_not_finite_is_null_as_json_has_it(folder):
    write_status(folder, status(loss=float("nan"), losses=[1.0, float("inf")]))
    text = folder.status.read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    found = read_status(folder)
    assert found.loss is None
    assert found.losses == [1.0, None]


def test_the_worst_come_first_and_the_unknown_last():
    lowest = {1: 0.5, 2: None, 3: 0.05, 4: 0.5, 5: 0.0}
    layers = [LayerShare(layer=number, name="n", lowest=share) for number, share in lowest.items()]
    assert [layer.layer for layer in status(layers=layers).worst_first()] == [5, 3, 1, 4, 2]


DAMAGED = [
    "",
    "{",
    "[]",
    "{}",
    '{"host": 1}',
    '{"host":"a","process":-1,"written":0}',
    "\udcff",
    "[" * 100_000,
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damage_is_one_line_and_breaks_no_follower(folder, text):
    write_status(folder, status())
    follower = Follower(folder.path)
    before = follower.look()
    folder.status.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadInput, match=r"status .*status\.json.*; remove it"):
        read_status(folder)
    assert last_known(folder) is None
    after = follower.look()
    assert (after.phase, after.status) == ("runs", before.status)


def test_files_may_vanish_or_be_something_else(folder):
    follower = Follower(folder.path)
    write_status(folder, status())
    seen = follower.look()
    folder.status.unlink()
    folder.config.unlink()
    assert follower.look().status == seen.status
    folder.path.rmdir()
    assert follower.look().status == seen.status
    assert Follower(folder.path).look().phase == "waits"
    folder.path.mkdir()
    os.mkfifo(folder.status)  # reading it would wait for ever
    assert follower.look().status == seen.status


def test_how_a_run_stands(folder, gone):
    look = Follower(folder.path).look
    seen = look()
    assert (seen.phase, seen.status, news(seen)) == ("runs", None, "it has said nothing yet")
    write_status(folder, status())
    seen = look()
    assert (seen.phase, news(seen)) == ("runs", "")
    assert 0 <= seen.quiet < 5
    write_status(folder, status(written=time.time() - 185, process=gone))
    seen = Follower(folder.path).look()
    assert seen.phase == "stopped"
    assert news(seen).startswith(f"no news for 3 min; process {gone} on this host has gone; go on")
    write_status(folder, status(written=time.time() - 185))
    assert news(Follower(folder.path).look()).endswith(f"process {os.getpid()} on this host still runs")
    write_status(folder, status(written=time.time() - 185, host="another", process=gone))
    seen = Follower(folder.path).look()
    assert seen.phase == "runs"
    assert "is one of another, whether it still runs cannot be told from here" in news(seen)
    write_status(folder, status(ended="diverged", process=gone))
    seen = look()
    assert (seen.phase, news(seen)) == ("stopped", "diverged in epoch 2; go on with `resume`")
    folder.result.write_text(json.dumps({"finished": True}))
    assert (look().phase, news(look())) == ("finished", "finished")


def test_another_machine_s_clock_is_not_believed(folder, monkeypatch):
    follower = Follower(folder.path)
    write_status(folder, status(host="another", written=time.time() + 5000))
    assert follower.look().quiet < 5
    write_status(folder, status(host="another", written=time.time() - 5000))
    assert follower.look().quiet < 5  # it has just changed
    assert Follower(folder.path).look().quiet > following.QUIET


def test_a_study_is_followed_run_by_run(tmp_path):
    (tmp_path / "comparison.toml").write_text(
        "seeds = [0, 1]\n[settings]\nepochs = 1\n[grid]\nlr = [0.1, 0.2]\n"
        '[[arms]]\nname = "fixed"\n[[arms]]\nname = "mpd-agl"\n'
    )
    followers, several = followed(tmp_path)
    assert several
    assert [str(one.folder.path.relative_to(tmp_path)) for one in followers] == [
        f"runs/{arm}/lr={lr}/seed-{seed}"
        for arm in ("fixed", "mpd-agl")
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]
    assert {one.look().phase for one in followers} == {"waits"}


def test_what_holds_no_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nowhere is not there"):
        followed(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no run"):
        followed(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (185, "3 min"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
