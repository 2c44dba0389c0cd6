"""A run that cannot be lost: killed at any step, on a full disk, twice at once; then resumed bit for bit."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from networks import TRAINING

from mpdviz import checkpoint
from mpdviz.config import validate
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.training.run import Run, fit

EPOCHS, STEPS = 6, 3
# Steps in all after which the process is gone: 0 is before the first, one more than there are is at the end.
FEW = (0, 1, 7, EPOCHS * STEPS + 1)
OTHERS = [step for step in range(EPOCHS * STEPS + 1) if step not in FEW]

CHILD = """
import os, signal, sys
from pathlib import Path
import torch
from mpdviz.config import read_recipe, validate
from mpdviz.training.run import Run
torch.set_num_threads(2)
recipe, out, last = sys.argv[1:]
run = Run(validate(read_recipe(Path(recipe))), Path(out), resume=True)
done = 0
def step(now):
    global done
    done += 1
    if done == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
if last == "0":
    os.kill(os.getpid(), signal.SIGKILL)
run.fit(on_step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (random.normal(size=(60, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32)
    path = tmp_path_factory.mktemp("data") / "sample.npz"
    np.savez(path, x=x, y=y)
    return validate(TRAINING | {"data": f"npz:{path}", "epochs": EPOCHS, "save_every": 2})


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(config, folder)
    return RunFolder(folder)


def killed(config, folder, after):
    """Train in a process of its own that is killed after so many steps."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder.parent / "recipe.toml"
    recipe.write_text(config.to_toml())
    command = [sys.executable, "-c", CHILD, str(recipe), str(folder), str(after)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_same(folder, whole):
    ours, theirs = RunFolder(folder), whole
    for name in ("best", "last"):
        mine, other = (checkpoint.load(getattr(place, name)).network.state_dict() for place in (ours, theirs))
        assert all(torch.equal(mine[key], other[key]) for key in other)
    for name in ("metrics", "widths", "mpd"):
        mine, other = (pd.read_csv(getattr(place, name)) for place in (ours, theirs))
        pd.testing.assert_frame_equal(
            mine.drop(columns="seconds", errors="ignore"),
            other.drop(columns="seconds", errors="ignore"),
            check_exact=True,
        )
    assert ours.result.read_text() == theirs.result.read_text()


@pytest.mark.thorough
@pytest.mark.parametrize("after", FEW)
def test_killed_and_resumed_is_the_run_never_killed(config, whole, tmp_path, after):
    killed(config, tmp_path / "run", after)
    fit(config, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("after", OTHERS)
def test_killed_at_every_other_step(config, whole, tmp_path, after):
    killed(config, tmp_path / "run", after)
    fit(config, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
def test_killed_again_and_again(config, whole, tmp_path):
    # Three steps each time: at least one save every time, so it gets on.
    for _ in range(EPOCHS * STEPS // 2):
        killed(config, tmp_path / "run", 3)
    fit(config, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


def test_how_often_it_saves_changes_nothing_and_may_change(config, whole, tmp_path):
    often = config.model_copy(update={"save_every": 1})
    with pytest.raises(KeyboardInterrupt):
        Run(often, tmp_path / "run").fit(on_step=stop_at(4))
    seldom = config.model_copy(update={"save_every": None})
    fit(seldom, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


def stop_at(step):
    done = []

    def stop(_):
        done.append(1)
        if len(done) == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.thorough
def test_a_second_process_is_refused_while_the_first_trains(config, whole, tmp_path):
    seen = []

    def another(_):
        if not seen:
            command = [
                sys.executable,
                "-m",
                "mpdviz.cli",
                "train",
                "--out",
                str(tmp_path / "run"),
                "--resume",
            ]
            seen.append(subprocess.run(command, capture_output=True, text=True, check=False))

    Run(config, tmp_path / "run").fit(on_step=another)
    assert seen[0].returncode == 2
    assert "is training in" in seen[0].stderr.replace("\n", " ")
    assert_same(tmp_path / "run", whole)
    fit(config, tmp_path / "run", resume=True)  # the lock went with the run


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_keeps_the_last_good_checkpoint(config, whole, tmp_path):
    import resource

    run = Run(config, tmp_path / "run")
    before, saved = resource.getrlimit(resource.RLIMIT_FSIZE), []

    def fill(now):
        if now.epoch == 3 and now.step == 1:
            saved.append(run.folder.last.read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(saved[0]) // 2, before[1]))

    try:
        with pytest.raises(BadInput, match=r"cannot write .*last\.pt: File too large"):
            run.fit(on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert run.folder.last.read_bytes() == saved[0]
    assert not list(Path(tmp_path).rglob(".last.pt.*"))
    fit(config, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)
