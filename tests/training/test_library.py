"""`training.train` and the process of its own that comparisons start: the same run, the same words."""

import json
import os
import re
import subprocess
import sys
from typing import ClassVar

import pandas as pd
import pytest
from networks import TRAINING

from mpdviz import checkpoint
from mpdviz.config import validate
from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training import command, prepare, train
from mpdviz.training.sinks import SINKS, Recorded, Sink

TINY = TRAINING | {"batch_size": 256, "epochs": 2, "backend": "eager"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run through the function, with what was told of its epochs."""
    out, rows = tmp_path_factory.mktemp("library") / "run", []
    result = train(out=str(out), on_epoch=rows.append, strategy="fixed", **TINY)
    return out, result, rows


def process(words, **extra):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | extra
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240)


def same_tables(one, other):
    for name in ("metrics.csv", "widths.csv", "mpd.csv"):
        tables = [
            pd.read_csv(folder / name).drop(columns="seconds", errors="ignore") for folder in (one, other)
        ]
        pd.testing.assert_frame_equal(*tables, rtol=1e-6)


def test_train_takes_settings_by_name_and_returns_what_was_reached(trained):
    out, result, rows = trained
    assert result.folder == out
    metrics = checkpoint.load(RunFolder(out).best).metrics
    assert result.test_accuracy == metrics["test_accuracy"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert pd.read_csv(out / "metrics.csv")["val_loss"].tolist() == [row["val_loss"] for row in rows]


def test_settings_override_a_recipe_and_a_resumed_run_knows_its_own(trained, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epochs = 9\nstrategy = 'observed'\n")
    with pytest.raises(BadInput, match="epochs was 2, now 9") as caught:
        prepare({"strategy": "fixed", **TINY, "epochs": 9}, out=trained[0], resume=True)
    assert "choose another `out`" in str(caught.value)
    again = train(out=trained[0], resume=True)
    assert again == trained[1]
    run = prepare(TINY, out=tmp_path / "run", recipe=recipe)
    assert (run.config.strategy, run.config.epochs) == ("observed", 2)


def test_a_run_has_a_name_of_its_own_unless_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = prepare(TINY | {"strategy": "fixed:kappa=2.5", "seed": 3})
    assert str(run.folder.path) == "runs/digits-convsnn-encode_channels=4-planes=4-4-fixed-kappa=2.5-seed3"
    with pytest.raises(BadInput, match="`resume` without `out`"):
        train(resume=True)
    with pytest.raises(BadInput, match="did you mean 'epochs'"):
        train(epoch=3)


@pytest.mark.thorough
def test_a_process_of_its_own_trains_the_same_run_in_the_same_words(trained, tmp_path):
    """And what lies where it is started does not stand in for a library."""
    (tmp_path / "torch.py").write_text("raise SystemExit('not this one')")
    config = validate(TINY | {"strategy": "fixed"})
    words = command(config, tmp_path / "run")
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same_tables(tmp_path / "run", trained[0])
    cli = process([sys.executable, "-m", "mpdviz.cli", "train", "--resume", "--out", str(tmp_path / "run")])
    assert cli.stdout == done.stdout
    shown = [re.sub(r"[0-9.]+ s$", "", line) for line in done.stderr.splitlines()]
    assert [line[:10] for line in shown] == ["epoch   1 ", "epoch   2 "]


@pytest.mark.slow
def test_a_process_of_its_own_starts_the_others(trained, tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('not this one')")
    words = command(validate(TINY | {"strategy": "fixed", "devices": 2}), tmp_path / "run")
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1
    assert done.stderr.count("epoch   1") == 1
    assert "devices = 2" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.thorough
@pytest.mark.parametrize(("setting", "value"), [("lr", 1e12), ("data", "digit")])
def test_a_process_of_its_own_ends_with_one_line_and_the_error_s_exit_code(tmp_path, setting, value):
    done = process(command(validate(TINY | {setting: value}), tmp_path / "run"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("mpdviz: ")


# Where the numbers go -----------------------------------------------------------------------------------


def test_a_resumed_run_may_change_what_is_kept_but_not_where_it_is_computed(trained, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(out=out, on_epoch=stop, **TINY)
    with pytest.raises(BadInput, match="compile was False, now True"):
        train(out=out, resume=True, compile=True)
    train(out=out, resume=True, record_every=2, save_every=1, log="tensorboard")
    mpd = pd.read_csv(out / "mpd.csv")
    assert mpd.groupby("epoch")["step"].unique().map(list).to_dict() == {1: [4], 2: [2, 4]}
    assert list((out / "tensorboard").iterdir())


def stop(row):
    raise KeyboardInterrupt


def test_an_unknown_log_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(BadInput, match=r"unknown log 'tensorbord'; did you mean 'tensorboard'\?"):
        train(out=tmp_path / "run", log="tensorbord", **TINY)
    assert not list(tmp_path.iterdir())


class Kept(Sink):
    """Somebody else's sink, as an entry point would name it."""

    made: ClassVar[list["Kept"]] = []

    def __init__(self, folder: RunFolder, position: Position, done: int):
        self.seen = [("open", done)]
        self.made.append(self)

    def epoch(self, row, widths, step):
        self.seen.append(("epoch", row["epoch"], len(widths), step))

    def recorded(self, recorded: Recorded, step: int):
        assert list(recorded.layers) == sorted(recorded.table["layer"].unique())
        self.seen.append(("recorded", recorded.epoch, recorded.step, step))

    def flush(self):
        self.seen.append("flush")

    def close(self):
        self.seen.append("close")


def test_a_sink_hears_of_every_recording_and_epoch_before_the_run_is_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(SINKS._loaded, "kept", Kept)
    monkeypatch.setitem(SINKS._places, "kept", "")
    with pytest.raises(KeyboardInterrupt):
        train(out=tmp_path / "run", log="kept", on_epoch=stop, **TINY)
    train(out=tmp_path / "run", resume=True)
    first, second = (sink.seen for sink in Kept.made)
    rows = 2 * len(pd.read_csv(tmp_path / "run" / "mpd.csv")["layer"].unique())
    assert first == [("open", 0), ("recorded", 1, 4, 4), ("epoch", 1, rows, 4), "flush", "close"]
    assert second == [("open", 4), ("recorded", 2, 4, 8), ("epoch", 2, rows, 8), "flush", "close"]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["finished"]
