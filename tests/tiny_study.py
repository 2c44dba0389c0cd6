"""A tiny study through `mpdviz compare` in a process of its own, and a look at the processes of its runs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from networks import TRAINING

SETTINGS = TRAINING | {"planes": "4,4", "epochs": 6, "save_every": 20}
STUDY = ["--strategies", "fixed,mpd-agl", "--seeds", "0-1", "--jobs", "2"]
STUDY += [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
LONGEST = 300
"""Seconds for what takes a fraction of them on a machine of its own."""


def compare(*words, environment=ENVIRONMENT):
    command = [sys.executable, "-m", "mpdviz.cli", "compare", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def through(process):
    """What it said; its exit code is 0."""
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    return err.replace("\n", " ")


def until(found):
    """What `found` gives as soon as that is something."""
    deadline = time.monotonic() + LONGEST
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def training(folder):
    """Processes of runs in a folder, by run folder."""
    found = {}
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0") if place.name.isdigit() else []
        except OSError:  # it has ended
            continue
        if "mpdviz.training" in words and words[words.index("mpdviz.training") + 1].startswith(f"{folder}/"):
            found[Path(words[words.index("mpdviz.training") + 1])] = int(place.name)
    return found


def saved(folder):
    """Processes of runs that have a save to go on from and are not through with it."""
    return {path: pid for path, pid in training(folder).items() if (path / "checkpoints/last.pt").exists()}


def same_tables(a, b):
    for name in ("runs.csv", "accuracy.csv", "differences.csv"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    for path in a.rglob("metrics.csv"):
        pd.testing.assert_frame_equal(
            *(pd.read_csv(each).drop(columns="seconds") for each in (path, b / path.relative_to(a))),
            check_exact=True,
        )
