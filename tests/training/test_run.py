"""Training: the run folder against plain torch, same seed same bits, stopping and going on, diverging."""

import csv
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from networks import TRAINING

import mpdviz
from mpdviz import checkpoint, data, networks
from mpdviz.config import validate
from mpdviz.errors import BadInput, Diverged, Interrupted, MpdvizError, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.system.signals import BURST
from mpdviz.training.diagnose import first_nonfinite
from mpdviz.training.rates import Rates
from mpdviz.training.run import Run, fit
from mpdviz.training.schedule import epoch_generator, remaining_batches

EPOCHS, STEPS, LAYERS = 3, 3, 5


def write_npz(path, x, y):
    np.savez(path, x=x, y=y)
    return f"npz:{path}"


def images(samples=60, classes=3):
    random = np.random.default_rng(0)
    y = np.arange(samples) % classes
    return (random.normal(size=(samples, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32), y


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """60 images of 3 classes: 48 to train on (3 steps of 16), 6 to validate, 6 to test."""
    return write_npz(tmp_path_factory.mktemp("data") / "sample.npz", *images())


@pytest.fixture(scope="module")
def config(sample):
    return validate({"data": sample, "epochs": EPOCHS, **TRAINING})


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """The folder of a run that went through without a break."""
    torch.set_num_threads(2)
    folder = tmp_path_factory.mktemp("run") / "whole"
    fit(config, folder)
    return RunFolder(folder)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def lasting(path):
    """The rows of a table without what the clock decides."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows(path)]


def plain(path):
    return torch.load(path, weights_only=True)


def same(a, b):
    """Whether two nested checkpoints hold the same bits, times apart."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a if key != "seconds")
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What a run leaves


def test_the_run_folder_holds_what_its_docstring_says(run, config):
    assert files(run.path) == [
        ".lock",
        ".mpdviz",
        "checkpoints",
        "checkpoints/best.pt",
        "checkpoints/last.pt",
        "classes.csv",
        "config.toml",
        "confusion.csv",
        "environment.json",
        "metrics.csv",
        "mpd.csv",
        "result.json",
        "status.json",
        "widths.csv",
    ]
    resolved = config.model_copy(update={"backend": "eager", "devices": 1})  # too short to compile
    assert validate(tomllib.loads(run.config.read_text())) == resolved


def test_the_result_names_what_was_reached_and_where_it_started(run, config, tmp_path):
    result = json.loads(run.result.read_text())
    metrics = checkpoint.load(run.best).metrics
    assert {name: result[name] for name in metrics} == metrics
    assert result["finished"]
    other = RunFolder(tmp_path / "other")
    Run(config.model_copy(update={"strategy": "fixed"}), other.path)
    begun = json.loads(other.result.read_text())
    hashes = {name: result[name] for name in ("initial_weights", "drawn_weights", "data_order")}
    assert begun == {**hashes, "finished": False}
    Run(config.model_copy(update={"seed": 1}), tmp_path / "seed")
    assert (
        json.loads((tmp_path / "seed" / "result.json").read_text())["initial_weights"]
        != result["initial_weights"]
    )


def test_the_order_of_the_data_is_kept_by_its_hash(config, tmp_path):
    """Of samples that hold their own numbers: what the first epoch shows is what the hash is of."""
    number = np.arange(150)
    x = np.zeros((150, 1, 8, 8), np.float32) + number[:, None, None, None]
    np.savez(tmp_path / "numbered.npz", x=x, y=number % 3)
    settings = config.model_copy(update={"data": f"npz:{tmp_path / 'numbered.npz'}", "augment": False})
    Run(settings, tmp_path / "run")
    dataset = data.load(settings.data, timesteps=settings.timesteps)
    stored = dataset.train.x[:, 0, 0, 0].tolist()
    shown = [
        stored.index(value)
        for x, _ in remaining_batches(settings, dataset, 0, 0)
        for value in x[:, 0, 0, 0].tolist()
    ]
    kept = json.loads((tmp_path / "run" / "result.json").read_text())["data_order"]
    assert kept == hashlib.sha256(np.array(shown, np.int64).tobytes()).hexdigest()
    Run(settings.model_copy(update={"strategy": "fixed", "lr": 0.5}), tmp_path / "other")
    assert json.loads((tmp_path / "other" / "result.json").read_text())["data_order"] == kept


def test_mpd_rows_are_those_of_the_first_validation_samples(run, config):
    table = pd.read_csv(run.mpd, dtype={"fires": str}).fillna({"fires": ""})
    assert list(table["epoch"].unique()) == list(range(1, EPOCHS + 1))
    assert (table["step"] == STEPS).all()
    network = checkpoint.load(run.last).network.channels_last().eval()
    dataset = data.load(config.data, timesteps=config.timesteps)
    x, _ = next(data.batches(dataset, "val", 32))
    with mpdviz.record(network) as mpd, torch.no_grad():
        network(x)
    last = table[table["epoch"] == EPOCHS].drop(columns=["epoch", "step"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(last, mpd.table()[list(last)], check_dtype=False, rtol=1e-12)


def test_mpd_rows_every_few_steps(config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit(config.model_copy(update={"record_every": 2}), folder.path)
    seen = pd.read_csv(folder.mpd)[["epoch", "step"]].drop_duplicates().itertuples(index=False)
    assert [tuple(at) for at in seen] == [
        (e, s) for e in range(1, EPOCHS + 1) for s in range(2, STEPS + 1, 2)
    ]


def test_metrics_have_one_row_an_epoch_with_the_cosine_learning_rate(run):
    metrics = rows(run.metrics)
    assert list(metrics[0]) == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
        "seconds",
    ]
    assert [row["epoch"] for row in metrics] == ["1", "2", "3"]
    # lr (1 + cos(pi e / 3)) / 2 for e = 0, 1, 2: cosines 1, 1/2, -1/2.
    assert [float(row["lr"]) for row in metrics] == pytest.approx([0.1, 0.075, 0.025], rel=1e-15)
    for row in metrics:
        assert all(math.isfinite(float(value)) for value in row.values())
        assert 0 <= float(row["train_accuracy"]) <= 1
        assert float(row["seconds"]) > 0


def by_hand(config, epochs):
    """The same training in plain torch: states and (loss, accuracy) after each epoch."""
    dataset = data.load(config.data, timesteps=config.timesteps)
    torch.manual_seed(config.seed)
    network = networks.build(
        config.model, num_classes=3, in_channels=1, image_size=8, **config.network_options()
    )
    velocity = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    for epoch in range(epochs):
        lr = config.lr * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
        order = torch.randperm(48, generator=epoch_generator(config.seed, epoch))
        network.train()
        losses, hits = [], 0
        for chosen in order.split(16):
            x, y = dataset.train.x[chosen], dataset.train.y[chosen]
            logits = network(x).mean(0)
            loss = F.cross_entropy(logits, y)
            network.zero_grad()
            loss.backward()
            with torch.no_grad():
                for name, p in network.named_parameters():
                    slope = p.grad + config.weight_decay * p
                    velocity[name] = config.momentum * velocity[name] + slope
                    p -= lr * velocity[name]
            losses.append(loss.item())
            hits += int((logits.argmax(1) == y).sum())
    return network, sum(losses) / len(losses), hits / 48


def test_training_is_sgd_with_momentum_weight_decay_and_the_cosine(run, config):
    network, loss, accuracy = by_hand(config, EPOCHS)
    last = rows(run.metrics)[-1]
    assert float(last["train_loss"]) == pytest.approx(loss, rel=1e-5)
    assert float(last["train_accuracy"]) == pytest.approx(accuracy)
    trained = plain(run.last)["state"]
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(trained[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("split", ["val", "test"])
def test_reported_accuracy_is_that_of_the_saved_weights(run, config, split):
    """In one batch and float64 sums; `best.pt` holds both accuracies, `last.pt` the last row's."""
    part = data.load(config.data).split(split)
    loaded = checkpoint.load(run.best)
    with torch.no_grad():
        logits = loaded.network(part.x).mean(0)
    assert loaded.metrics[f"{split}_accuracy"] == float((logits.argmax(1) == part.y).double().mean())
    if split == "val":
        best = rows(run.metrics)[int(loaded.metrics["epoch"]) - 1]
        assert float(best["val_accuracy"]) == loaded.metrics["val_accuracy"]
        loss = F.cross_entropy(logits.double(), part.y).item()
        assert float(best["val_loss"]) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_best_is_the_best_epoch_on_validation_the_loss_settling_ties(config, tmp_path, seed):
    folder = RunFolder(tmp_path / "run")
    result = fit(config.model_copy(update={"seed": seed, "epochs": 4, "lr": 0.5}), folder.path)
    table = rows(folder.metrics)
    best = max(table, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    saved = plain(folder.best)["metrics"]
    assert saved["epoch"] == result.epoch == int(best["epoch"])
    assert saved["val_accuracy"] == result.val_accuracy == float(best["val_accuracy"])
    assert saved["test_accuracy"] == result.test_accuracy
    assert plain(folder.last)["metrics"]["epoch"] == 4
    if result.epoch == 4:
        assert same(plain(folder.best)["state"], plain(folder.last)["state"])


@pytest.mark.parametrize(
    "settings", [{}, {"neuron": "plif", "timesteps": 3, "v_th": 0.8}, {"strategy": "fixed:kappa=2.5"}]
)
def test_widths_are_the_closed_form_of_the_saved_weights(config, tmp_path, settings):
    folder = RunFolder(tmp_path / "run")
    config = config.model_copy(update={"epochs": 2, "decay": 0.3, **settings})
    fit(config, folder.path)
    table = rows(folder.widths)
    assert len(table) == 2 * LAYERS * config.timesteps
    saved = plain(folder.last)
    expected = []
    for number, (name, neuron) in enumerate(saved["neurons"].items(), start=1):
        gamma = saved["state"][f"{name}.norm.weight"].double()
        decay = neuron["decay"]
        if config.neuron == "plif":
            assert decay == pytest.approx(saved["state"][f"{name}.neuron.w"].sigmoid().item())
        for t in range(1, config.timesteps + 1):
            kappa = 2 * gamma.mean().item() * config.v_th * (1 if t == 1 else math.sqrt(1 + decay**2))
            kappa = 2.5 if "strategy" in settings else kappa
            expected.append(
                ("2", str(number), name, str(t), kappa, decay, gamma.mean().item(), gamma.min().item())
            )
    last = [row for row in table if row["epoch"] == "2"]
    for row, (*words, kappa, decay, mean, low) in zip(last, expected, strict=True):
        assert [row["epoch"], row["layer"], row["name"], row["timestep"]] == words
        assert float(row["kappa"]) == pytest.approx(kappa, rel=1e-6)
        assert float(row["decay"]) == pytest.approx(decay, rel=1e-6)
        assert float(row["gamma_mean"]) == pytest.approx(mean, rel=1e-6)
        assert float(row["gamma_min"]) == pytest.approx(low, rel=1e-6)
        assert row["gamma_negative"] == "0"


def test_event_frames_train_too(tmp_path):
    random = np.random.default_rng(1)
    x = random.integers(0, 3, (40, 3, 2, 8, 8), dtype=np.uint8)
    frames = write_npz(tmp_path / "frames.npz", x, np.arange(40) % 2)
    result = fit(validate({**TRAINING, "data": frames, "timesteps": 3, "epochs": 1}), tmp_path / "run")
    assert 0 <= result.test_accuracy <= 1
    assert plain(result.folder / "checkpoints" / "best.pt")["network"]["in_channels"] == 2


# Same seed, same bits


def test_same_seed_same_bits_whatever_was_drawn_before(run, config, tmp_path):
    torch.manual_seed(1234)
    fit(config, tmp_path / "again")
    again = RunFolder(tmp_path / "again")
    for name in ("last", "best"):
        assert same(plain(getattr(run, name)), plain(getattr(again, name)))
    assert lasting(run.metrics) == lasting(again.metrics)
    assert run.widths.read_bytes() == again.widths.read_bytes()
    assert run.config.read_bytes() == again.config.read_bytes()


def test_torchs_own_random_numbers_are_left_alone(config, tmp_path):
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    fit(config, tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seeds_differ(run, config, tmp_path):
    fit(config.model_copy(update={"seed": 1}), tmp_path / "other")
    other = RunFolder(tmp_path / "other")
    ours, theirs = plain(run.last)["state"], plain(other.last)["state"]
    assert not any(torch.equal(ours[name], theirs[name]) for name in ours if name.endswith("weight"))
    assert lasting(run.metrics) != lasting(other.metrics)


def test_initial_weights_do_not_depend_on_the_strategy_nor_on_torchs_state(config, tmp_path):
    first = Run(config, tmp_path / "a").network.state_dict()
    torch.manual_seed(99)
    fixed = Run(config.model_copy(update={"strategy": "fixed", "lr": 0.5}), tmp_path / "b")
    assert same(dict(first), dict(fixed.network.state_dict()))


def test_each_epoch_draws_its_own_numbers():
    """A generator knows (seed, epoch) alone: not what was drawn before, and no two share a stream."""
    alone = torch.randperm(1000, generator=epoch_generator(3, 7))
    for epoch in range(7):
        torch.rand(epoch * 10, generator=epoch_generator(3, epoch))
    assert torch.equal(torch.randperm(1000, generator=epoch_generator(3, 7)), alone)
    pairs = [(seed, epoch) for seed in (0, 1, 2, 2**32, 2**63 - 1) for epoch in range(20)]
    streams = {tuple(torch.rand(4, generator=epoch_generator(*pair)).tolist()) for pair in pairs}
    assert len(streams) == len(pairs)


def test_learning_rate_is_the_cosine():
    config = validate({"lr": 0.4, "epochs": 6})
    cosines = [1, math.sqrt(3) / 2, 0.5, 0, -0.5, -math.sqrt(3) / 2]
    rates = [Rates(config).at(epoch, 0, 1) for epoch in range(6)]
    assert rates == pytest.approx([0.2 * (1 + cosine) for cosine in cosines], rel=1e-14)


# Stopping and going on


def stop_at(epoch, step, number=signal.SIGINT, times=1, pause=0.0):
    """Watcher that sends this very process a signal after a step, and waits."""

    def watch(progress):
        if (progress.epoch, progress.step) == (epoch, step):
            for _ in range(times):
                signal.raise_signal(number)  # unlike os.kill, handled before it returns
                time.sleep(pause)

    return watch


def assert_same_run(a, b):
    for name in ("last", "best"):
        assert same(plain(getattr(a, name)), plain(getattr(b, name)))
    assert lasting(a.metrics) == lasting(b.metrics)
    for name in ("widths", "mpd", "result"):
        assert getattr(a, name).read_bytes() == getattr(b, name).read_bytes()
    assert files(a.path) == files(b.path)


@pytest.mark.parametrize(
    ("epoch", "step", "number"),
    [
        (1, 1, signal.SIGINT),
        (2, 2, signal.SIGTERM),
        (2, STEPS, signal.SIGINT),
        (EPOCHS, STEPS, signal.SIGINT),
    ],
)
def test_interrupted_and_resumed_is_the_uninterrupted_run(run, config, tmp_path, epoch, step, number):
    folder = RunFolder(tmp_path / "run")
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=f"epoch {epoch}, state saved in .*last.pt; .*`resume`") as caught:
        Run(config, folder.path).fit(on_step=stop_at(epoch, step, number))
    assert caught.value.exit_code == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    saved = plain(folder.last)["training"]["position"]
    assert (saved["epoch"], saved["step"]) == (epoch - 1, step)
    torch.manual_seed(7)
    steps = []
    Run(config, folder.path, resume=True).fit(on_step=lambda now: steps.append((now.epoch, now.step)))
    every = [(e, s) for e in range(1, EPOCHS + 1) for s in range(1, STEPS + 1)]
    assert steps == every[every.index((epoch, step)) + 1 :]
    assert_same_run(folder, run)


def test_interrupted_at_every_step_is_still_the_same_run(run, config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    for _ in range(EPOCHS * STEPS):
        with pytest.raises(Interrupted):
            Run(config, folder.path, resume=True).fit(on_step=lambda _: os.kill(os.getpid(), signal.SIGINT))
    fit(config, folder.path, resume=True)
    assert_same_run(folder, run)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "strategy", ["observed:momentum=0.5", "ds-atgo", "deeptage", "asgl", "mpd-agl-correlated"]
)
def test_a_strategy_that_keeps_averages_or_draws_resumes_with_them(config, tmp_path, strategy):
    settings = config.model_copy(update={"strategy": strategy})
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    fit(settings, whole.path)
    with pytest.raises(Interrupted):
        Run(settings, folder.path).fit(on_step=stop_at(2, 2, signal.SIGINT))
    fit(settings, folder.path, resume=True)
    assert_same_run(folder, whole)
    widths = pd.read_csv(whole.widths)
    assert widths.groupby("epoch")["kappa"].nunique().min() > 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "warmup": 1.5, "mixup": 0.4, "label_smoothing": 0.1, "clip": 0.5, "ema": 0.9},
        {"schedule": "step:every=2", "ema": 0.99, "accumulate": 2, "loss": "tet", "mixup": 1},
        {"model": "spikformer:dim=8:depth=1:heads=2:patch=2", "patience": 1, "clip": 1e-3, "momentum": 0.0},
        {"model": "mlp:hidden=8-8", "optimizer": "adamw", "lr": 0.05, "patience": 1},
    ],
)
def test_every_recipe_resumes_bit_for_bit(config, tmp_path, settings):
    settings = validate(config.model_dump(mode="json", exclude_none=True) | settings)
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    fit(settings, whole.path)
    with pytest.raises(Interrupted):
        Run(settings, folder.path).fit(on_step=stop_at(2, 2, signal.SIGINT))
    fit(settings, folder.path, resume=True)
    assert_same_run(folder, whole)


def test_patience_ends_a_run_that_gets_no_better(sample, tmp_path):
    settings = validate({"data": sample, **TRAINING, "epochs": 9, "lr": 1e-9, "patience": 2})
    result = fit(settings, tmp_path / "run")
    # Steps too small to move a float32: nothing gets better but by the running statistics.
    table = pd.read_csv(tmp_path / "run" / "metrics.csv")
    scores = list(zip(table["val_accuracy"], -table["val_loss"], strict=True))
    assert result.epochs == len(table) < 9
    assert scores.index(max(scores)) == len(scores) - 3 == result.epoch - 1
    last = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()
    assert fit(settings, tmp_path / "run", resume=True) == result
    assert (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes() == last


def test_the_best_of_an_averaged_run_holds_the_averages(config, tmp_path):
    settings = config.model_copy(update={"ema": 0.9, "epochs": 1})
    fit(settings, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    averaged = plain(folder.last)["training"]["averaged"]
    assert same(plain(folder.best)["state"], averaged)
    assert not same(plain(folder.last)["state"], averaged)


def test_clipping_bounds_the_step(config, tmp_path):
    """One step of plain SGD moves the weights by lr times the clipped gradient."""
    lengths = []
    for clip in (None, 1e-2):
        settings = config.model_copy(
            update={"clip": clip, "momentum": 0.0, "weight_decay": 0.0, "epochs": 1, "lr": 1.0}
        )
        run, before = Run(settings, tmp_path / f"run-{clip}"), {}
        before = {name: value.detach().clone() for name, value in run.network.named_parameters()}
        moved = []

        def note(_, run=run, before=before, moved=moved):
            own = run.network.named_parameters()
            moved.append(
                sum(float((value.detach() - before[name]).square().sum()) for name, value in own) ** 0.5
            )
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(Interrupted):
            run.fit(on_step=note)
        lengths += moved[:1]
    assert lengths[0] > 0.02
    assert lengths[1] == pytest.approx(1e-2, rel=1e-3)


def test_fine_tuning_starts_from_the_weights_that_fit(run, config, sample, tmp_path):
    settings = config.model_copy(update={"init": run.path, "epochs": 1})
    started = Run(settings, tmp_path / "same")
    assert same(dict(started.network.state_dict()), plain(run.best)["state"])
    started.folder.release()
    wider = validate({**config.model_dump(mode="json", exclude_none=True), "init": str(run.best)})
    wider = wider.model_copy(update={"model": "convsnn:encode_channels=4:planes=4-6"})
    with pytest.warns(MpdvizWarning, match=r"7 weights are not in .*best.pt and start fresh: features.2"):
        other = Run(wider, tmp_path / "wider")
    other.folder.release()
    own, before = other.network.state_dict(), plain(run.best)["state"]
    assert torch.equal(own["encode.conv.weight"], before["encode.conv.weight"])
    torch.save({"other": torch.zeros(3)}, tmp_path / "others.pt")
    with pytest.raises(BadInput, match=r"no weights of .* fit the network"):
        Run(settings.model_copy(update={"init": tmp_path / "others.pt"}), tmp_path / "none")


def test_classes_and_confusions_are_those_of_the_best_checkpoint(run, config):
    dataset, network = data.load(config.data), checkpoint.load(run.best).network
    confusion, classes = pd.read_csv(run.confusion), pd.read_csv(run.classes)
    for split in ("val", "test"):
        x, y = next(data.batches(dataset, split, 100))
        with torch.no_grad():
            guessed = network(x).mean(0).argmax(1)
        pairs = confusion[confusion["split"] == split].set_index(["label", "predicted"])["count"]
        found = pd.Series(1, index=pd.MultiIndex.from_arrays([y.numpy(), guessed.numpy()])).groupby(
            level=[0, 1]
        )
        assert pairs.to_dict() == found.sum().to_dict()
        assert classes[classes["split"] == split]["samples"].tolist() == [2, 2, 2]
    recall = classes[classes["split"] == "test"]["recall"]
    assert json.loads(run.result.read_text())["balanced_accuracy"] == pytest.approx(recall.mean())


def test_a_second_signal_acts_at_once(config, tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a script started us behind an &
    with pytest.raises(KeyboardInterrupt):
        Run(config, tmp_path / "run").fit(on_step=stop_at(1, 2, times=2, pause=2 * BURST))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not RunFolder(tmp_path / "run").last.exists()


def test_a_run_in_another_thread_needs_no_signals(run, config, tmp_path):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(fit(config, tmp_path / "run")))
    thread.start()
    thread.join()
    assert len(ended) == 1
    assert_same_run(RunFolder(tmp_path / "run"), run)


def command(config, folder):
    return [
        Path(sys.executable).with_name("mpdviz"),
        "train",
        *("--data", config.data, "--model", "convsnn:encode_channels=4:planes=4-4", "--timesteps", "2"),
        *("--epochs", str(config.epochs), "--batch-size", str(config.batch_size), "--device", "cpu"),
        *("--out", folder),
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_real_process_stopped_in_the_middle(sample, tmp_path, number):
    """Ctrl-C exits 130 with its state saved; a kill loses no more than the epoch under way."""
    config = validate({**TRAINING, "data": sample, "epochs": 15, "batch_size": 4})
    folder, whole = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "whole")
    process = subprocess.Popen(
        command(config, folder.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    seen = [process.stderr.readline() for _ in range(3)]
    assert seen[2].startswith("epoch   2"), seen
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert out == ""
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("mpdviz: interrupted in epoch ")
        assert err.splitlines()[-1].endswith("; continue with --resume")
    else:
        assert process.returncode == -signal.SIGKILL
    finished = plain(folder.last)["training"]["position"]["epoch"]
    assert 2 <= finished < config.epochs
    fit(config, folder.path, resume=True)
    fit(config, whole.path)
    for left in folder.path.rglob(".*.*"):  # a killed writer's own temporary file
        left.unlink()
    assert_same_run(folder, whole)


@pytest.mark.parametrize("table", ["metrics.csv", "widths.csv"])
def test_a_crash_between_checkpoint_and_tables_loses_no_row(run, config, tmp_path, monkeypatch, table):
    """The last epoch is in `last.pt` but not yet in the tables: --resume writes them."""
    folder = RunFolder(tmp_path / "run")
    write = RunFolder.write_table

    def crash(self, path, table_rows):
        if path.name == table and max(row["epoch"] for row in table_rows) == EPOCHS:
            raise KeyboardInterrupt
        write(self, path, table_rows)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_table", crash)
        with pytest.raises(KeyboardInterrupt):
            fit(config, folder.path)
    fit(config, folder.path, resume=True)
    assert_same_run(folder, run)


def test_resume_of_an_empty_folder_starts_fresh(run, config, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in ("empty", "missing"):
        fit(config, tmp_path / place, resume=True)
        assert_same_run(RunFolder(tmp_path / place), run)


def test_resume_of_a_finished_run_trains_nothing(run, config):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    times = [path.stat().st_mtime_ns for path in (run.last, run.best)]
    steps = []
    result = Run(config, run.path, resume=True).fit(on_step=steps.append)
    assert steps == []
    assert result.test_accuracy == plain(run.best)["metrics"]["test_accuracy"]
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert times == [path.stat().st_mtime_ns for path in (run.last, run.best)]


def test_a_folder_that_holds_a_run_is_refused(run, config):
    before = run.last.read_bytes()
    with pytest.raises(BadInput, match=r"already holds a run; add `resume` .*another `out`"):
        Run(config, run.path)
    assert run.last.read_bytes() == before


def test_resume_with_changed_settings_names_them(run, config):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    changed = config.model_copy(update={"lr": 0.2, "epochs": 9})
    with pytest.raises(BadInput, match=r"epochs was 3, now 9, lr was 0.1, now 0.2; .*same settings"):
        Run(changed, run.path, resume=True)
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "convsnn:planes=5-6"}, "model was .* now"),
        ({"neuron": "plif"}, "neuron was lif, now plif"),
        ({"data": "digits"}, "data was .*, now digits"),
        (
            {"data": "digits", "model": "resnet19:encode_channels=4:planes=4-4-4"},
            "data was .*model was convsnn.*, now resnet19",
        ),
    ],
)
def test_resume_from_another_architecture_or_data_set_names_it(run, config, change, words):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(BadInput, match=words):
        Run(config.model_copy(update=change), run.path, resume=True)
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


# What cannot be trained


@pytest.mark.parametrize(
    ("samples", "settings", "message"),
    [
        (60, {"batch_size": 49}, "batch size 49 is larger than the 48 training samples of npz:"),
        (5, {"batch_size": 2}, "too small to keep a val split"),
        (60, {"model": "vggsnn:planes=4-4"}, "`planes` .* give 3 numbers"),
        (60, {"model": "vggsnn"}, "halves the image 4 times"),
        (60, {"batch_size": 1, "timesteps": 1}, "one single value per channel"),
        (60, {"device": "meta"}, "'meta' is not usable here"),
        (60, {"device": "cuda:99"}, "'cuda:99' is not usable here"),
        (60, {"device": "toaster"}, "'toaster' is not usable here"),
        (60, {"device": ""}, "is not usable here"),
        (60, {"neuron": "plif", "decay": 0.0}, "`decay` 0.0 to start from"),
    ],
)
def test_settings_that_contradict_the_data_leave_no_folder(tmp_path, samples, settings, message):
    tiny = write_npz(tmp_path / "tiny.npz", *images(samples))
    with pytest.raises(BadInput, match=message):
        fit(validate({**TRAINING, "data": tiny, "epochs": 1, **settings}), tmp_path / "run")
    assert files(tmp_path) == ["tiny.npz"]


# Diverging

unusual_widths = pytest.mark.filterwarnings("ignore:mpd-agl. a layer's mean:mpdviz.errors.MpdvizWarning")


def all_finite(path):
    content = plain(path)
    loaded = checkpoint.load(path)
    assert all(bool(tensor.isfinite().all()) for tensor in content["state"].values())
    return loaded


@unusual_widths
def test_a_learning_rate_far_too_high(sample, tmp_path):
    folder = RunFolder(tmp_path / "run")
    config = validate({**TRAINING, "data": sample, "epochs": 5, "lr": 1e12})
    with pytest.raises(Diverged, match=r"diverged in epoch \d.*first non-finite: .*; lower `lr`") as e:
        fit(config, folder.path)
    assert e.value.exit_code == 2
    if folder.last.exists():
        all_finite(folder.last)
        assert f"{folder.last} is from before" in str(e.value)
    else:
        assert "no checkpoint was written yet" in str(e.value)


def test_a_huge_sample_met_late_keeps_the_last_good_epoch(tmp_path):
    """One sample of 3e38 that the incomplete batch leaves out in epoch 1, and epoch 2 does not."""
    x, y = images(64)
    place = write_npz(tmp_path / "late.npz", x, y)
    train = data.load(place).train
    steps = len(train) // 16
    assert steps * 16 < len(train)
    left_out = [
        set(torch.randperm(len(train), generator=epoch_generator(0, epoch))[steps * 16 :].tolist())
        for epoch in range(2)
    ]
    late = min(left_out[0] - left_out[1])
    (original,) = np.flatnonzero((x == train.x[late].numpy()).all((1, 2, 3)))
    x[original] = 3e38
    write_npz(tmp_path / "late.npz", x, y)
    folder = RunFolder(tmp_path / "run")
    config = validate({**TRAINING, "data": place, "epochs": 3})
    with pytest.raises(Diverged) as caught:
        fit(config, folder.path)
    message = str(caught.value)
    assert "diverged in epoch 2" in message
    assert "(step " in message
    assert "output of layer encode." in message
    assert f"{folder.last} is from before" in message
    loaded = all_finite(folder.last)
    assert loaded.metrics["epoch"] == 1
    assert [row["epoch"] for row in rows(folder.metrics)] == ["1"]
    # Up to there the run is that of a file without the giant.
    x[original] = 0
    clean = write_npz(tmp_path / "clean.npz", x, y)
    with pytest.raises(Interrupted):
        Run(config.model_copy(update={"data": clean}), tmp_path / "clean").fit(on_step=stop_at(1, steps))
    assert same(plain(folder.last)["state"], plain(RunFolder(tmp_path / "clean").last)["state"])


@unusual_widths
@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e300},
        {"lr": 1e-300},
        {"weight_decay": 1e300},
        {"v_th": 1e300},
        {"v_th": 1e-300},
        {"decay": 1e-300},
        {"strategy": "fixed:kappa=1e300"},
        {"strategy": "fixed:kappa=1e-300"},
        {"seed": 2**63 - 1},
    ],
)
def test_the_ends_of_the_number_line_give_a_run_or_a_plain_refusal(sample, tmp_path, settings):
    try:
        config = validate({**TRAINING, "data": sample, "epochs": 1, "batch_size": 24, **settings})
        ended = fit(config, tmp_path / "run").test_accuracy
    except MpdvizError as error:
        ended = error.exit_code
    assert ended == 2 or 0 <= ended <= 1


@unusual_widths
@pytest.mark.parametrize(
    ("scale", "settings"),
    [
        (1, {"lr": 3e38, "strategy": "fixed:kappa=0.001", "batch_size": 48}),
        (1e25, {}),
        (1e25, {"batch_size": 48}),
    ],
)
def test_no_checkpoint_is_ever_written_with_numbers_that_are_not_finite(tmp_path, scale, settings):
    """A step too long for float32, a variance that overflows: seen before an epoch is saved."""
    x, y = images()
    place = write_npz(tmp_path / "x.npz", x * np.float32(scale), y)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Diverged, match="diverged in epoch"):
        fit(validate({**TRAINING, "data": place, "epochs": 4, **settings}), folder.path)
    for path in (folder.last, folder.best):
        if path.exists():
            all_finite(path)


# Where numbers stop being finite


@pytest.fixture
def network():
    network = networks.build("convsnn", timesteps=2, num_classes=3, encode_channels=4, planes=(4, 4)).train()
    network(torch.randn(8, 1, 8, 8)).mean(0).sum().backward()
    return network


def test_the_first_layer_with_nan_weights_is_named(network):
    x = torch.randn(8, 1, 8, 8)
    third = [name for name, _ in network.spiking_layers()][2]
    with torch.no_grad():
        dict(network.named_modules())[third].conv.weight[1, 2, 0, 0] = math.nan
        network.head.weight[0, 0] = math.inf  # later, so not the first
    assert first_nonfinite(network, x) == f"weights of layer {third}.conv"


def test_an_output_that_overflows_is_named(network):
    with torch.no_grad():
        network.features[0].conv.weight.fill_(3e38)
        network.encode.norm.bias.fill_(1)  # everyone fires
    assert first_nonfinite(network, torch.randn(8, 1, 8, 8)) == "output of layer features.0.conv"
    assert first_nonfinite(network, torch.full((8, 1, 8, 8), math.nan)) == "output of layer encode.conv"


def test_a_finite_forward_pass_leaves_the_gradient_or_the_loss(network):
    x = torch.randn(8, 1, 8, 8)
    assert first_nonfinite(network, x) == "the loss itself"
    network.encode.conv.weight.grad[0, 0, 0, 0] = math.nan
    assert first_nonfinite(network, x) == "gradient of encode.conv.weight"
    network.features[2].conv.weight.grad[0, 0, 0, 0] = math.inf  # runs later, so overflowed earlier
    assert first_nonfinite(network, x) == "gradient of features.2.conv.weight"


@pytest.mark.parametrize("broken", [False, True])
def test_looking_changes_nothing(network, broken):
    if broken:
        with torch.no_grad():
            network.features[2].conv.weight.fill_(math.nan)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    slopes = {name: p.grad.clone() for name, p in network.named_parameters()}
    first_nonfinite(network, torch.randn(8, 1, 8, 8))
    after = network.state_dict()
    assert all(torch.equal(before[n].nan_to_num(9), after[n].nan_to_num(9)) for n in before)
    assert all(torch.equal(slopes[name], p.grad) for name, p in network.named_parameters())
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
