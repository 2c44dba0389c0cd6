"""Every command that writes, with everything that it reads or that is somebody's as its target."""

import shutil

import numpy as np
import pytest
from places import BEST, snapshot, train

from mpdviz import load_recording

COMPARE = ("compare", "--strategies", "fixed", "--seeds", "0", *train()[1:-4])
WRITERS = {
    "inspect --out": lambda target: ("inspect", BEST, "--data", "npz:data.npz", "--out", target),
    "inspect --save": lambda target: ("inspect", BEST, "--data", "npz:data.npz", "--save", target),
    "train --out": lambda target: (*train(), "--out", target),
    "train --resume --out": lambda target: (*train(), "--out", target, "--resume"),
    "rerun --out": lambda target: ("rerun", "run", "--out", target),
    "figures --out": lambda target: ("figures", "run", "--out", target),
    "compare --out": lambda target: ("compare", BEST, "run/checkpoints/last.pt", "--out", target),
    "compare --strategies --out": lambda target: (*COMPARE, "--epochs", "1", "--out", target),
    "report --out": lambda target: ("report", BEST, "--data", "npz:data.npz", "--out", target),
    "advise --out": lambda target: ("advise", BEST, "--data", "npz:data.npz", "--out", target),
    "demo --out": lambda target: ("demo", "--out", target),
    "convert": lambda target: ("convert", BEST, target),
}
TARGETS = ["data.npz", BEST, "run/config.toml", "run/checkpoints", "project", "project/notes.npz", "."]


@pytest.fixture
def project(place):
    (place / "project").mkdir()
    (place / "project" / "config.toml").write_text("mine = 1\n")
    (place / "project" / "metrics.csv").write_text("mine\n")
    np.savez(place / "project" / "notes.npz", mine=np.arange(3))
    return place


GOES_ON = ("train --resume --out", "run")
"""The one command that is for its target."""


@pytest.mark.parametrize(
    ("writer", "target"),
    [(writer, target) for writer in WRITERS for target in [*TARGETS, "run"] if (writer, target) != GOES_ON],
)
def test_nobodys_file_is_overwritten(project, mpdviz, writer, target):
    before = snapshot(project)
    status, _, lines = mpdviz(*WRITERS[writer](target))
    assert (status, len(lines)) == (2, 1)
    assert snapshot(project) == before


@pytest.mark.thorough
def test_what_a_command_made_it_may_make_again(place, mpdviz):
    for _ in range(2):
        assert mpdviz("inspect", BEST, "--data", "npz:data.npz", "--out", "seen", "--save", "r.npz")[0] == 0
        assert mpdviz("figures", "run", "--out", "paper", "--limit", "6")[0] == 0
        assert mpdviz("report", BEST, "--data", "npz:data.npz", "--out", "r.html")[0] == 0
    assert load_recording(place / "r.npz").layers
    assert mpdviz("figures", "run", "--out", "seen")[0] == 2  # another command's


def test_a_recording_that_is_read_is_not_written_over(place, mpdviz):
    assert mpdviz("inspect", BEST, "--data", "npz:data.npz", "--save", "r.npz")[0] == 0
    before = snapshot(place)
    for name in ("r.npz", "./r.npz"):
        status, _, lines = mpdviz("inspect", "r.npz", "--save", name)
        assert (status, len(lines)) == (2, 1)
    assert snapshot(place) == before


def test_a_best_checkpoint_without_a_last_one_is_kept(place, mpdviz):
    best = (place / BEST).read_bytes()
    (place / "run/checkpoints/last.pt").unlink()
    status, _, lines = mpdviz(*train(), "--out", "run")
    assert (status, len(lines)) == (2, 1)
    assert "--resume" in lines[0]
    assert mpdviz(*train(), "--out", "run", "--resume")[0] == 0
    assert (place / "run/checkpoints/best-1.pt").read_bytes() == best


def test_a_run_folder_of_an_older_version_goes_on(place, mpdviz):
    (place / "run/.mpdviz").unlink()
    assert mpdviz("train", "--out", "run", "--resume")[0] == 0
    assert (place / "run/.mpdviz").is_file()


def test_what_killed_writers_left_goes_at_the_next_start(place, mpdviz):
    stale = place / "run/checkpoints/.last.pt.x1y2.part"
    stale.write_bytes(b"half")
    assert mpdviz("train", "--out", "run", "--resume")[0] == 0
    assert not stale.exists()


@pytest.mark.parametrize("command", ["inspect", "compare", "figures"])
def test_a_recording_takes_no_options_of_data(place, mpdviz, command):
    if command == "figures":
        words = ("figures", "run", "--out", "f", "--device", "toaster")
    else:
        for name in ("r.npz", "s.npz"):
            mpdviz("inspect", BEST, "--data", "npz:data.npz", "--save", name)
        words = (command, "r.npz", *(["s.npz"] if command == "compare" else []), "--data", "npz:data.npz")
    before = snapshot(place)
    status, _, lines = mpdviz(*words)
    assert (status, len(lines)) == (2, 1)
    assert snapshot(place) == before


def test_a_mark_of_another_kind_is_none(place, mpdviz):
    shutil.copytree(place / "run", place / "copy")
    (place / "copy/.mpdviz").write_bytes(b"\xff" * 300)
    (place / "copy/checkpoints/last.pt").unlink()
    (place / "copy/checkpoints/best.pt").unlink()
    status, _, lines = mpdviz(*train(), "--out", "copy")
    assert (status, len(lines)) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("inspect", BEST, "--data", "npz:data.npz", "--figure-format", "pdf"),
            "--figure-format without --out",
        ),
        (
            ("compare", BEST, "run/checkpoints/last.pt", "--figure-format", "pdf"),
            "--figure-format without --out",
        ),
        (("inspect", BEST, "--data", "npz:data.npz", "--what-if", "inf"), "--what-if"),
        (("inspect", BEST, "--data", "npz:data.npz", "--what-if", "nan"), "--what-if"),
        (("check", BEST, "--data", "npz:data.npz", "--starved", "nan"), "--starved nan"),
        (("figures", "run", "--out", "f", "--limit", "0"), "--limit 0"),
    ],
)
def test_options_that_do_nothing_or_mean_nothing_are_refused(refused, words, said):
    refused(*words, words=[said])
