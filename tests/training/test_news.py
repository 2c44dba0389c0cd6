"""What a run says of itself on the way: equal to its tables, at most once a second, never in its way."""

import json
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
from networks import TRAINING

import mpdviz
from mpdviz.config import validate
from mpdviz.errors import Diverged, Interrupted, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.status import read_status
from mpdviz.training.run import Run, fit
from mpdviz.training.sinks import news

STEPS = 3


@pytest.fixture
def config(tmp_path):
    y = np.arange(60) % 3
    x = np.random.default_rng(0).normal(size=(60, 1, 8, 8)).astype(np.float32) + y[:, None, None, None]
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), y=y)
    return validate({"data": f"npz:{tmp_path / 'data.npz'}", "epochs": 2, **TRAINING})


def test_it_says_what_the_tables_say(config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    losses = []
    run = Run(config, folder.path)
    begun = read_status(folder)
    assert (begun.epoch, begun.of, begun.ended, begun.process) == (1, 0, None, os.getpid())
    run.fit(on_step=lambda now: losses.append((now.epoch, now.step, now.loss)))
    found = read_status(folder)
    assert (found.epoch, found.epochs, found.step, found.steps, found.ended) == (
        2,
        2,
        STEPS,
        STEPS,
        "finished",
    )
    last = pd.read_csv(folder.metrics).iloc[-1]
    assert found.loss == pytest.approx(last["train_loss"])
    assert found.accuracy == pytest.approx(last["train_accuracy"])
    assert (found.val_epoch, found.val_loss) == (2, pytest.approx(last["val_loss"]))
    sums = {(epoch, step): step * loss for epoch, step, loss in losses}
    single = [total - sums.get((epoch, step - 1), 0.0) for (epoch, step), total in sums.items()]
    assert found.losses == pytest.approx(single)
    mpd = pd.read_csv(folder.mpd)
    mpd = mpd[mpd["epoch"] == 2].set_index("timestep")
    for layer in found.layers:
        rows = mpd[mpd["layer"] == layer.layer]
        assert layer.name == rows["name"].iloc[0]
        assert layer.lowest == pytest.approx(rows["available_ratio"].min())
        assert layer.at == rows["available_ratio"].idxmin()
        assert layer.starved == (layer.lowest < 0.1)
    assert len(found.layers) == mpd["layer"].nunique()
    assert (found.recorded_epoch, found.recorded_step) == (2, STEPS)


def test_it_writes_at_most_once_a_second(config, tmp_path, monkeypatch):
    folder, seen = RunFolder(tmp_path / "run"), set()

    def slow(_):
        seen.add(folder.status.read_text())
        time.sleep(0.05)

    started = time.monotonic()
    Run(config.model_copy(update={"epochs": 10}), folder.path).fit(on_step=slow)
    took = time.monotonic() - started
    assert took > 1.5
    assert 2 <= len(seen) <= took / news.PAUSE + 2


def test_a_resumed_run_tells_of_the_whole(config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    run = Run(config, folder.path)
    with pytest.raises(Interrupted):
        run.fit(on_epoch=lambda _: signal.raise_signal(signal.SIGTERM))
    found = read_status(folder)
    assert (found.epoch, found.ended) == (2, "interrupted")
    before = found.losses[:STEPS]
    run = Run(config, folder.path, resume=True)
    begun = read_status(folder)
    assert (begun.ended, begun.val_epoch) == (None, 1)
    run.fit()
    found = read_status(folder)
    assert found.ended == "finished"
    assert len(found.losses) == 2 * STEPS
    assert np.mean(found.losses[:STEPS]) == pytest.approx(np.mean(before))


def test_it_says_that_a_run_diverged(config, tmp_path):
    with pytest.raises(Diverged):
        fit(config.model_copy(update={"lr": 1e30, "strategy": "fixed"}), tmp_path / "run")
    assert read_status(RunFolder(tmp_path / "run")).ended == "diverged"


def test_success_in_the_wake_of_an_error_is_success(config, tmp_path):
    try:
        raise RuntimeError("another's")
    except RuntimeError:
        fit(config, tmp_path / "run")
    assert read_status(RunFolder(tmp_path / "run")).ended == "finished"


def test_where_it_cannot_be_written_the_run_goes_on(config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / ".mpdviz").write_bytes(
        b"This folder was made by mpdviz train, which may write over what is in it.\n"
    )
    (folder.status / "full").mkdir(parents=True)
    with pytest.warns(MpdvizWarning, match=r"nobody can look on: cannot write .*status\.json") as told:
        fit(config, folder.path)
    assert len(told) == 1
    assert json.loads(folder.result.read_text())["finished"]


# Which processes took part


def processes(folder):
    return json.loads((folder / "environment.json").read_text())["processes"]


def test_every_process_that_took_part_is_noted(config, tmp_path):
    folder = tmp_path / "run"
    settings = config.model_dump(exclude_none=True)
    run = Run(config, folder)
    with pytest.raises(Interrupted):
        run.fit(on_epoch=lambda _: signal.raise_signal(signal.SIGTERM))
    mpdviz.train(out=folder, resume=True)
    first, second = processes(folder)
    assert second["command"] == f"mpdviz.train(out={str(folder)!r}, resume=True)"
    told = ("started", "command")
    assert {k: v for k, v in first.items() if k not in told} == {
        k: v for k, v in second.items() if k not in told
    }
    mpdviz.train(out=folder, resume=True)  # finished: nothing is trained
    assert processes(folder) == [first, second]
    mpdviz.train(out=tmp_path / "other", **settings)
    assert "strategy='mpd-agl'" in processes(tmp_path / "other")[0]["command"]


@pytest.mark.parametrize("text", ["", "{}", '{"processes": []}', '{"processes": [{"started": 1}]}', "["])
def test_a_damaged_note_is_said_and_ends_no_run(config, tmp_path, text):
    from mpdviz.errors import BadInput
    from mpdviz.runs.reading import StoredRun

    folder = tmp_path / "run"
    fit(config.model_copy(update={"epochs": 1}), folder)
    (folder / "environment.json").write_text(text)
    with pytest.raises(BadInput, match=r"environment .*; (remove|make)"):
        StoredRun.of_folder(folder)
    (folder / "result.json").unlink()
    with pytest.warns(MpdvizWarning, match="begun anew"):
        fit(config.model_copy(update={"epochs": 1}), folder, resume=True)
    assert len(processes(folder)) == 1
