"""What `--log tensorboard` leaves, read back by TensorBoard itself."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from mpdviz import data
from mpdviz.config import RunConfig
from mpdviz.errors import MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training.run import Run, fit
from mpdviz.training.sinks.logged import TensorBoard

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CONFIG = RunConfig(epochs=2, timesteps=2, batch_size=256, backend="eager", device="cpu", log="tensorboard")


def read(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    return events.Reload()


def scalars(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(tag)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("board") / "run"
    run = Run(CONFIG, out)
    run.fit()
    return run, out, read(out / "tensorboard")


def test_epochs_are_the_rows_of_metrics_csv(run):
    _, out, events = run
    metrics = pd.read_csv(out / "metrics.csv")
    steps = [4, 8]  # 1,437 - 20 % training digits make 4 whole batches of 256
    for tag, column in {"loss/val": "val_loss", "accuracy/train": "train_accuracy", "lr": "lr"}.items():
        found = scalars(events, tag)
        assert [step for step, _ in found] == steps
        np.testing.assert_allclose([value for _, value in found], metrics[column], rtol=1e-6)


def test_ratios_and_widths_are_those_of_mpd_csv(run):
    _, out, events = run
    mpd = pd.read_csv(out / "mpd.csv")
    for (number, name, epoch), rows in mpd.groupby(["layer", "name", "epoch"]):
        for column in ("available_ratio", "kappa"):
            layer = dict(scalars(events, f"{column}/{number} {name}"))
            assert layer[4 * epoch] == pytest.approx(rows[column].mean(), rel=1e-6)
            for t, value in zip(rows["timestep"], rows[column], strict=True):
                each = dict(scalars(events, f"{column} by timestep/{number} {name}/t={t}"))
                assert each[4 * epoch] == pytest.approx(value, rel=1e-6)


def test_histograms_are_the_exact_counts_of_the_potentials(run):
    """Against numpy's histogram of the potentials themselves, collected by another hook."""
    trained, _, events = run
    # The test of the last epoch loaded the best weights; take them all from one forward of our own.
    x, _ = next(data.batches(trained.dataset, "val", trained.config.record_samples))
    potentials: dict[int, list] = {}
    layers = [layer for _, layer in trained.network.spiking_layers()]
    for number, layer in enumerate(layers, 1):
        layer.neuron.observers.append(
            lambda _, v, *__, number=number: potentials.setdefault(number, []).append(v.numpy().copy())
        )
    trained.network.eval()(x)
    for layer in layers:
        layer.neuron.observers.pop()
    best = json.loads(trained.folder.result.read_text())["epoch"] - 1
    for number, layer in enumerate(layers, 1):
        tag = next(tag for tag in events.Tags()["histograms"] if tag.startswith(f"potentials/{number} "))
        found = events.Histograms(tag)[best].histogram_value
        u = np.concatenate(potentials[number]).ravel().astype(np.float64) / layer.neuron.v_th
        assert found.num == u.size == sum(found.bucket)
        assert found.min == pytest.approx(u.min(), rel=1e-5)
        assert found.max == pytest.approx(u.max(), rel=1e-5)
        assert found.sum == pytest.approx(u.sum(), rel=1e-5, abs=1e-5)
        assert found.sum_squares == pytest.approx((u**2).sum(), rel=1e-5)
        limits = np.asarray(found.bucket_limit)
        below_one = sum(np.asarray(found.bucket)[limits <= 1])
        assert below_one == (u < 1).sum()  # the threshold is an edge: spikes are counted exactly
        inside = np.histogram(u, limits[limits <= 8])[0]
        np.testing.assert_array_equal(np.asarray(found.bucket)[1 : len(inside) + 1], inside)


def test_a_resumed_run_shows_no_step_twice(tmp_path):
    """The first process wrote more events than it saved: TensorBoard is to drop them."""
    folder = RunFolder(tmp_path)
    board = TensorBoard(folder, Position(), 0)
    for step in (4, 8, 12):
        board.epoch(dict.fromkeys(_COLUMNS, step), [], step)
    board.close()
    again = TensorBoard(folder, Position(), 8)
    again.epoch(dict.fromkeys(_COLUMNS, 120), [], 12)
    again.close()
    assert scalars(read(tmp_path / "tensorboard"), "loss/train") == [(4, 4), (8, 8), (12, 120)]


_COLUMNS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr", "seconds")


def test_logging_changes_nothing(run, tmp_path):
    _, out, _ = run
    fit(CONFIG.model_copy(update={"log": None}), tmp_path / "plain")
    for name in ("mpd.csv", "widths.csv"):
        assert (tmp_path / "plain" / name).read_text() == (out / name).read_text()


def test_a_run_may_be_resumed_without_the_log(run, tmp_path):
    _, out, _ = run
    shutil.copytree(out, tmp_path / "run")
    fit(CONFIG.model_copy(update={"log": None}), tmp_path / "run", resume=True)


def test_a_missing_package_is_one_line_and_nothing_is_written(tmp_path):
    code = (
        "import sys; sys.modules['tensorboard'] = None; sys.argv = ['mpdviz', 'train', '--log', "
        f"'tensorboard', '--out', {str(tmp_path / 'run')!r}]; from mpdviz.cli.entry import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    line = "mpdviz: --log tensorboard needs the package tensorboard; pip install 'mpdviz[tensorboard]'"
    assert " ".join(done.stderr.split()) == line
    assert not (tmp_path / "run").exists()


class FullDisk:
    def __getattr__(self, name):
        raise OSError(28, "No space left on device")


def test_a_full_disk_ends_the_logging_and_not_the_run(tmp_path):
    sink = TensorBoard(RunFolder(tmp_path), Position(), 0)
    sink.close()
    sink._opened.writer = FullDisk()
    row = dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"), 0.5)
    with pytest.warns(MpdvizWarning, match="has stopped: No space left on device; the run goes on"):
        sink.epoch(row, [], 1)
    sink.epoch(row, [], 2)
    sink.flush()
    sink.close()
