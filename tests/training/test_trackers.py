"""What `--log wandb,mlflow` leaves, read back: the run's own tables, each step once, whatever fails."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from networks import TRAINING
from trackers import mlflow_client, mlflow_history, wandb_rows, wandb_run

from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training import train
from mpdviz.training.sinks import logged, required

pytest.importorskip("wandb")
pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")
# MLflow asks SQLAlchemy for what a newer one is to drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TINY = TRAINING | {"batch_size": 256, "epochs": 2, "backend": "eager", "log": "wandb, mlflow"}
STEPS = [4, 8]  # 1,437 - 20 % training digits make 4 whole batches of 256
TAGS = {"loss/train": "train_loss", "loss/val": "val_loss", "accuracy/val": "val_accuracy", "lr": "lr"}
OURS = ("WANDB_MODE", "WANDB_PROJECT", "WANDB_NAME", "WANDB_DIR", "MLFLOW_TRACKING_URI")
ROW = dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"), 0.5) | {"epoch": 1}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was ended after its first epoch, and went on."""
    out = tmp_path_factory.mktemp("tracked") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        with pytest.raises(KeyboardInterrupt):
            train(out=out, on_epoch=_stop, **TINY)
        first = mlflow_client(out / "mlflow" / "mlflow.db").get_run(_note(out, "mlflow")["run"])
        train(out=out, resume=True)
    return out, first


def _stop(row):
    raise KeyboardInterrupt


def _note(out, tracker):
    return json.loads((out / tracker / "run.json").read_text())


def expected(out):
    """The tables' own numbers: by tag, step and value."""
    metrics, mpd = pd.read_csv(out / "metrics.csv"), pd.read_csv(out / "mpd.csv")
    values = {tag: list(zip(STEPS, metrics[column], strict=True)) for tag, column in TAGS.items()}
    for (number, name), rows in mpd.groupby(["layer", "name"]):
        for column in ("available_ratio", "kappa", "firing_rate", "reach_ratio"):
            means = rows.groupby("epoch")[column].mean()
            values[f"{column}/{number} {name}"] = list(zip(STEPS, means, strict=True))
        for t, of in rows.groupby("timestep"):
            tag = f"available_ratio by timestep/{number} {name}/t={t}"
            values[tag] = list(zip(STEPS, of["available_ratio"], strict=True))
    lowest = mpd.groupby("epoch")["available_ratio"].min()
    values["available_ratio/lowest"] = list(zip(STEPS, lowest, strict=True))
    return {tag: [(step, pytest.approx(value)) for step, value in of] for tag, of in values.items()}


def test_wandb_has_the_tables_numbers_each_step_once_over_a_resume(run):
    out, _ = run
    rows = wandb_rows(out)
    for tag, points in expected(out).items():
        assert [(row["step"], row[tag]) for row in rows if tag in row] == points, tag
    histograms = [row["potentials/1 encode"] for row in rows if "potentials/1 encode" in row]
    counts = pd.read_csv(out / "mpd.csv").query("layer == 1").groupby("epoch")["count"].sum()
    assert [sum(histogram["values"]) for histogram in histograms] == counts.tolist()


def test_wandb_knows_the_run_and_its_settings(run):
    out, _ = run
    known = wandb_run(out)
    assert (known.project, known.display_name) == ("mpdviz", "tiny")
    config = {item.key: json.loads(item.value_json) for item in known.config.update}
    assert (config["batch_size"], config["strategy"], config["model"]) == (256, "mpd-agl", TINY["model"])
    ids = {file.stem.removeprefix("run-") for file in out.glob("wandb/offline-run-*/*.wandb")}
    assert ids == {known.run_id} == {_note(out, "wandb")["run"]}  # both parts of it are one run


def test_mlflow_has_the_tables_numbers_each_step_once_over_a_resume(run):
    out, first = run
    client, known = mlflow_client(out / "mlflow" / "mlflow.db"), _note(out, "mlflow")["run"]
    for tag, points in expected(out).items():
        assert mlflow_history(client, known, tag.replace("=", "_")) == points, tag
    found = client.get_run(known)
    assert found.info.run_name == "tiny"
    assert client.get_experiment(found.info.experiment_id).name == "mpdviz"
    assert found.data.params["batch_size"] == "256"
    assert (first.info.status, found.info.status) == ("KILLED", "FINISHED")
    assert len(client.search_runs([found.info.experiment_id])) == 1


@pytest.mark.thorough
def test_nothing_of_it_is_on_the_terminal_and_the_environment_rules(tmp_path):
    """A real process: the user's own project, names and store."""
    environment = os.environ | {
        "WANDB_PROJECT": "mine",
        "WANDB_NAME": "called",
        "WANDB_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'store.db'}",
        "MLFLOW_EXPERIMENT_NAME": "theirs",
        "MLFLOW_RUN_NAME": "named",
        "PYTHONWARNINGS": "ignore",
    }
    settings = TINY | {"epochs": 1}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    done = subprocess.run(
        [sys.executable, "-m", "mpdviz", "train", "--out", str(tmp_path / "run"), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout + done.stderr
    assert not [word for word in ("wandb", "mlflow", "alembic", "INFO") if word in said.lower()], said
    known = wandb_run(tmp_path)
    assert (known.project, known.display_name) == ("mine", "called")
    client = mlflow_client(tmp_path / "store.db")
    experiment = client.get_experiment_by_name("theirs")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "named"
    assert not (tmp_path / "run" / "mlflow" / "mlflow.db").exists()


def test_what_was_logged_after_the_last_save_is_not_logged_again(tmp_path):
    """The first process logged more than it saved."""
    for tracker in (logged.WandB, logged.MLflow):
        first = tracker(RunFolder(tmp_path), Position(), 0)
        for step in (4, 8, 12):
            first.epoch(ROW | {"val_loss": step}, [], step)
        first.close()
        again = tracker(RunFolder(tmp_path), Position(), 8)
        for step in (12, 16):
            again.epoch(ROW | {"val_loss": step}, [], step)
        again.close()
    points = [(4, 4), (8, 8), (12, 12), (16, 16)]
    assert [(row["step"], row["loss/val"]) for row in wandb_rows(tmp_path)] == points
    client = mlflow_client(tmp_path / "mlflow" / "mlflow.db")
    assert mlflow_history(client, _note(tmp_path, "mlflow")["run"], "loss/val") == points


def test_a_tracker_that_fails_on_the_way_is_said_once_and_the_run_goes_on(tmp_path):
    sink = logged.WandB(RunFolder(tmp_path), Position(), 0)
    sink._opened._run.finish()  # as where W&B's own process was killed
    with pytest.warns(MpdvizWarning, match="logging to W&B has stopped: .*finished.*; the run goes on"):
        sink.epoch(ROW, [], 1)
    sink.epoch(ROW, [], 2)
    sink.flush()
    sink.close()

    sink = logged.MLflow(RunFolder(tmp_path), Position(), 0)
    sink._opened._client.delete_run(sink._run)
    with pytest.warns(MpdvizWarning, match="logging to MLflow has stopped: .*; the run goes on"):
        sink.epoch(ROW, [], 1)
    sink.epoch(ROW, [], 2)
    sink.close()


def test_a_store_that_cannot_be_opened_is_said_and_the_run_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'file' / 'store.db'}")
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(MpdvizWarning, match="logging to MLflow has stopped: .*; the run goes on") as said:
        train(out=tmp_path / "run", **TINY | {"epochs": 1, "log": "mlflow"})
    assert sum("MLflow" in str(warning.message) for warning in said) == 1
    assert len(list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"run": "x"}', '{"run": "x", "told": {"epochs": "a"}}'])
def test_a_damaged_note_is_one_line(run, tmp_path, content):
    out, _ = run
    shutil.copytree(out, tmp_path / "run")
    (tmp_path / "run" / "wandb" / "run.json").write_text(content)
    with pytest.raises(BadInput, match=r"note .*run\.json .*; remove it: the run goes on as a new one there"):
        train(out=tmp_path / "run", resume=True)


def test_several_are_named_with_commas_and_each_is_looked_for():
    names = [kind.__name__ for kind in required("tensorboard,mlflow, wandb,mlflow,csv")]
    assert names == ["Tables", "TensorBoard", "MLflow", "WandB"]
    assert [kind.__name__ for kind in required(None)] == ["Tables"]
    for wrong in ("tensorboard,wandbb", "", "wandb,"):
        with pytest.raises(BadInput, match="unknown log "):
            required(wrong)


@pytest.mark.thorough
@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_missing_package_is_one_line_and_nothing_is_written(tmp_path, package):
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['mpdviz', 'train', '--log', "
        f"'csv,{package}', '--out', {str(tmp_path / 'run')!r}]; from mpdviz.cli.entry import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    line = f"mpdviz: --log {package} needs the package {package}; pip install 'mpdviz[{package}]'"
    assert " ".join(done.stderr.split()) == line
    assert not (tmp_path / "run").exists()


def test_wandb_without_a_key_and_without_anybody_to_ask_is_refused_before_anything_is_written(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-m", "mpdviz", "train", "--log", "wandb", "--out", str(tmp_path / "run")],
        env=environment | {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--log wandb: " in done.stderr
    assert "run `wandb login`, or set WANDB_MODE=offline" in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()
