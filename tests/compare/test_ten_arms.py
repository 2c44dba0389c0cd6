"""A study of ten arms and five seeds on digits: planned, run, interrupted, resumed, collected, drawn."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import TINY

import mpdviz
from mpdviz.compare.executors.process import threads_for
from mpdviz.errors import BadInput
from mpdviz.figures.style import spelled
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import is_finished, read_config, read_result
from mpdviz.training import command

pytestmark = pytest.mark.slow

ARMS = """
[settings]
epochs = 1

[[arms]]
name = "control"
[[arms]]
name = "control again"
[[arms]]
name = "fast sigmoid"
strategy = "fixed:shape=fast-sigmoid"
[[arms]]
name = "mpd-agl"
strategy = "mpd-agl"
[[arms]]
name = "correlated"
strategy = "mpd-agl-correlated"
[[arms]]
name = "long decay"
decay = 0.9
[[arms]]
name = "low gamma"
gamma = 0.25
[[arms]]
name = "klif"
neuron = "klif"
[[arms]]
name = "tet"
loss = "tet"
[[arms]]
name = "small steps"
lr = 0.01
"""
NAMES = [line.split('"')[1] for line in ARMS.splitlines() if line.startswith("name")]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder, interrupted thrice and resumed; what the last command printed."""
    place = tmp_path_factory.mktemp("ten")
    (place / "arms.toml").write_text(ARMS)
    command = [sys.executable, "-m", "mpdviz", "compare", "--arms", "arms.toml", "--seeds", "0-4"]
    command += ["--jobs", "2", "--out", "study", "--data", "digits", "--strategy", "fixed", *TINY]
    for finished in (0, 7, 23):
        process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 600
        while _finished(place) <= finished and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 130, said
        assert "give the same command again" in said.replace("\n", " ")
        assert _finished(place) < 50
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "runs are finished already" in done.stderr
    return place / "study", done.stdout


def _finished(place):
    return sum(is_finished(RunFolder(path.parent)) for path in place.glob("study/runs/*/*/result.json"))


def test_every_arm_and_seed_is_there_and_equals_a_run_by_itself(study):
    folder, printed = study
    runs = mpdviz.compare.collect(folder).runs
    assert list(runs.groupby("arm", sort=False).size().items()) == [(name, 5) for name in NAMES]
    assert runs["finished"].all()
    for name in NAMES:
        assert name in printed
    # What was trained in the study, interrupted or not, is what is trained alone on as many threads.
    threads = {name: str(threads_for(2)) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    for row in runs[runs["seed"] == 3].iloc[[0, 4, 7]].to_dict("records"):
        alone = RunFolder(folder.parent / "alone" / Path(row["folder"]).parent.name)
        words = command(read_config(RunFolder(folder / row["folder"])), alone.path)
        subprocess.run(words, env=os.environ | threads, check=True, capture_output=True)
        assert read_result(alone)["test_accuracy"] == row["test_accuracy"]


def test_means_and_differences_are_numpy_s(study):
    folder, _ = study
    found = mpdviz.compare.collect(folder)
    wide = found.runs.pivot_table(index="seed", columns="arm", values="test_accuracy")
    accuracy, apart = found.accuracy.set_index("arm"), found.differences.set_index("arm")
    for name in NAMES:
        assert accuracy.loc[name, "mean"] == pytest.approx(wide[name].mean())
        assert accuracy.loc[name, "std"] == pytest.approx(wide[name].std())
        if name != "control":
            assert apart.loc[name, "difference"] == pytest.approx((wide[name] - wide["control"]).mean())
    assert apart.loc["control again", "difference"] == 0
    assert (wide["control again"] == wide["control"]).all()
    assert len(apart) == np.isfinite(apart["p_holm"]).sum() + 1  # that pair has no spread, and no p
    assert "same drawn weights, by hash" in found.weights
    written = pd.read_csv(folder / "differences.csv").set_index("arm")
    pd.testing.assert_series_equal(written["difference"], apart["difference"])


def test_figures_and_report_show_every_arm(study):
    folder, _ = study
    command = [sys.executable, "-m", "mpdviz"]
    subprocess.run(
        [*command, "figures", str(folder), "--out", str(folder.parent / "figures"), "--format", "svg"],
        check=True,
        capture_output=True,
    )
    page = folder.parent / "report.html"
    subprocess.run([*command, "report", str(folder), "--out", str(page)], check=True, capture_output=True)
    shown = page.read_text()
    differences = pd.read_csv(folder.parent / "figures" / "differences.csv")
    assert set(differences["variant"]) == set(NAMES) - {"control"}
    for name in NAMES:
        assert spelled(name) in shown


def test_what_is_of_other_data_timesteps_or_settings_is_refused(study):
    folder, _ = study
    path = folder / "runs" / "tet" / "seed-0" / "config.toml"
    before = path.read_text()
    for old, new in (('data = "digits"', 'data = "digits-dvs"'), ("timesteps = 2", "timesteps = 4")):
        assert old in before
        path.write_text(before.replace(old, new))
        with pytest.raises(BadInput, match="holds another run than that of tet"):
            mpdviz.compare.collect(folder)
    path.write_text(before)
