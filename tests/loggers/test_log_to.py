"""`Recording.log_to`: what each tracker keeps of potentials that are known, read back from the tracker."""

import csv
import math

import numpy as np
import pytest
import torch
from trackers import mlflow_client, mlflow_history, wandb_rows

import mpdviz
from mpdviz import neurons
from mpdviz.errors import BadInput
from mpdviz.loggers import contents

T, N, NEURONS = 2, 16, 40
OLDER = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""MLflow asks SQLAlchemy for what a newer one is to drop."""


class Net(torch.nn.Module):
    """Neurons without a memory: their potentials are the currents."""

    def __init__(self):
        super().__init__()
        self.one = neurons.LIF(decay=0.0, v_th=0.5)

    def forward(self, current):
        return self.one(current)


@pytest.fixture(scope="module")
def currents():
    drawn = torch.randn(T, N, NEURONS, generator=torch.Generator().manual_seed(3))
    return drawn * torch.tensor([0.5, 2.0]).reshape(T, 1, 1) + 0.4


@pytest.fixture(scope="module")
def recording(currents):
    net = Net()
    with mpdviz.record(net, gradients=True) as recording:
        x = currents.clone().requires_grad_()
        (net(x) * 3.0).sum().backward()
    return recording


@pytest.fixture(scope="module")
def expected(currents):
    """By NumPy: a rectangle of width 1 around a threshold of 0.5, and dL/dv = 3 inside it."""
    v = currents.numpy().astype(np.float64)
    inside = (v > 0) & (v < 1)
    by_timestep = inside.mean((1, 2))
    values = {
        "available_ratio/1 one": by_timestep.mean(),
        "kappa/1 one": 1.0,
        "reach_ratio/1 one": by_timestep.mean(),
        "firing_rate/1 one": (v >= 0.5).mean(),
        "available_ratio/lowest": by_timestep.min(),
        "grad_norm/1 one": 3 * math.sqrt(inside.sum()),
        "spike_grad_norm/1 one": 3 * math.sqrt(inside.sum()),
    }
    for t, share in enumerate(by_timestep, 1):
        values |= {
            f"available_ratio by timestep/1 one/t={t}": share,
            f"kappa by timestep/1 one/t={t}": 1.0,
        }
    return values


def same(found, expected, rel=1e-12):
    assert found == {tag: pytest.approx(value, rel=rel) for tag, value in expected.items()}


def test_what_is_logged_is_what_numpy_counts(recording, expected):
    same(contents.scalars(recording.layers), expected)  # weight_grad_norm was not measured: there is none


def test_the_histogram_holds_every_potential(recording, currents):
    (tag,), (found,) = zip(*contents.histograms(recording.layers).items(), strict=True)
    u = currents.numpy().astype(np.float64).ravel() / 0.5
    assert tag == "potentials/1 one"
    np.testing.assert_array_equal(found.counts, np.histogram(u, found.edges)[0])
    assert found.counts.sum() == u.size
    assert found.counts[0] > 0
    assert found.counts[-1] > 0
    assert (found.low, found.high) == (pytest.approx(u.min()), pytest.approx(u.max()))
    assert (found.total, found.squares) == (pytest.approx(u.sum()), pytest.approx((u**2).sum()))


def test_tensorboard(recording, expected, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        recording.log_to(writer, 7, prefix="val/")
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    found = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    assert {len(points) for points in found.values()} == {1}
    assert {points[0].step for points in found.values()} == {7}
    same({tag.removeprefix("val/"): points[0].value for tag, points in found.items()}, expected, rel=1e-6)
    (histogram,) = events.Histograms("val/potentials/1 one")
    assert histogram.histogram_value.num == T * N * NEURONS


@pytest.mark.parametrize("module", [False, True])
def test_wandb(recording, expected, currents, tmp_path, monkeypatch, module):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    settings = wandb.Settings(silent=True, console="off")
    with wandb.init(project="x", dir=str(tmp_path), settings=settings) as run:
        run.log({"loss": 1.0})
        recording.log_to(wandb if module else run)
        recording.log_to(wandb if module else run, 7)
    _, *rows = wandb_rows(tmp_path)
    assert [row.pop("_step") for row in rows] == [1, 7]
    for row in rows:
        row = {tag: value for tag, value in row.items() if not tag.startswith("_")}
        histogram = row.pop("potentials/1 one")
        same(row, expected)
        u = currents.numpy().astype(np.float64).ravel() / 0.5
        assert 256 < len(histogram["values"]) <= 512  # W&B takes no more
        np.testing.assert_array_equal(histogram["values"], np.histogram(u, histogram["bins"])[0])
        assert sum(histogram["values"]) == u.size
    with pytest.raises(BadInput, match=r"`target` wandb has no run under way; call wandb\.init first"):
        recording.log_to(wandb)


@OLDER
def test_mlflow(recording, expected, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    with mlflow.start_run() as run:
        recording.log_to(mlflow, 7)
    recording.log_to(run, 8)
    client = mlflow_client(tmp_path / "store.db")
    names = {tag.replace("=", "_"): value for tag, value in expected.items()}
    assert client.get_run(run.info.run_id).data.metrics.keys() == names.keys()
    for name, value in names.items():
        history = mlflow_history(client, run.info.run_id, name)
        assert history == [(7, pytest.approx(value)), (8, pytest.approx(value))]


def test_lightning_s_loggers(recording, expected, tmp_path, monkeypatch):
    loggers = pytest.importorskip("pytorch_lightning.loggers")
    logger = loggers.CSVLogger(tmp_path, name="", version="")
    recording.log_to(logger, 7)
    logger.save()
    (row,) = csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())
    assert row.pop("step") == "7"
    same({tag: float(value) for tag, value in row.items()}, expected)


def test_a_logger_of_lightning_gets_histograms_where_it_has_them(recording, tmp_path):
    loggers = pytest.importorskip("pytorch_lightning.loggers")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = loggers.TensorBoardLogger(tmp_path, name="", version="")
    recording.log_to(logger, 7)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Histograms("potentials/1 one")] == [7]
    assert [event.step for event in events.Scalars("available_ratio/lowest")] == [7]


@OLDER
def test_a_logger_of_lightning_for_mlflow_is_given_names_that_it_takes(
    recording, tmp_path, monkeypatch, request
):
    loggers = pytest.importorskip("pytorch_lightning.loggers")
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    request.addfinalizer(lambda: mlflow.set_tracking_uri(None))  # which Lightning sets for the whole process
    logger = loggers.MLFlowLogger(tracking_uri=f"sqlite:///{tmp_path / 'store.db'}")
    recording.log_to(logger, 7)  # Lightning would warn of a name that it has to change
    client = mlflow_client(tmp_path / "store.db")
    name = "available_ratio by timestep/1 one/t_2"
    assert [step for step, _ in mlflow_history(client, logger.run_id, name)] == [7]


@pytest.mark.parametrize("target", ["tensorboard", [], None, print])
def test_anything_else_is_refused_with_what_is_taken(recording, target):
    with pytest.raises(
        BadInput, match="is nothing to log to; give a TensorBoard SummaryWriter, a W&B run or"
    ):
        recording.log_to(target)


def test_nothing_is_logged_of_what_was_not_measured():
    """Of a surrogate without a place, a threshold but no width is known."""

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            return (v >= 1).to(v.dtype)

        @staticmethod
        def backward(ctx, grad):
            raise RuntimeError("has no derivative")

    class Spiking(torch.nn.Module):
        def forward(self, v):
            return Own.apply(v)

    net = Spiking()
    with pytest.warns(), mpdviz.record(net) as recording:
        net(torch.randn(1, 4, 5))
    values = contents.scalars(recording.layers)
    assert not any(math.isnan(value) for value in values.values())
    assert not any(tag.startswith(("available_ratio", "kappa")) for tag in values)


def test_no_tracker_is_imported_to_know_a_target():
    import subprocess
    import sys

    code = (
        "import sys, mpdviz, torch\nwith mpdviz.record(torch.nn.ReLU()) as mpd: pass\n"
        "try: mpd.log_to(3)\nexcept mpdviz.errors.BadInput: pass\n"
        "print({'wandb', 'mlflow', 'tensorboard', 'pytorch_lightning', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
