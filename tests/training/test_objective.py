"""What a run minimises: other losses, regularisers and norms, by hand, resumed, refused, from older files."""

import signal

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from mpdviz.cli.entry import run as command_line
from networks import TRAINING

import mpdviz
from mpdviz import checkpoint, data, networks
from mpdviz.compare import arms, plan
from mpdviz.config import RunConfig, differences, role, validate
from mpdviz.errors import BadInput, Diverged, Interrupted
from mpdviz.runs.folder import RunFolder
from mpdviz.training.lines import first_line
from mpdviz.training.run import Run, fit
from mpdviz.training.schedule import epoch_generator

ALL = {"loss": "tet:lambda=0.2", "regularize": "im-loss:weight=0.5", "norm": "tebn", "neuron": "plif"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """60 images of 3 classes: 48 to train on, 3 steps of 16."""
    random, y = np.random.default_rng(0), np.arange(60) % 3
    path = tmp_path_factory.mktemp("data") / "sample.npz"
    np.savez(path, x=(random.normal(size=(60, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32), y=y)
    return f"npz:{path}"


def config(sample, **settings):
    return validate({"data": sample, "epochs": 2, **TRAINING, **settings})


def by_hand(config):
    """The first epoch in plain torch: weights, mean loss and mean penalty, potentials by autograd."""
    dataset = data.load(config.data, timesteps=config.timesteps)
    torch.manual_seed(config.seed)
    network = networks.build(
        config.model, num_classes=3, in_channels=1, image_size=8, **config.network_options()
    )
    seen = []
    for _, layer in network.spiking_layers():
        layer.neuron.observers.append(
            lambda current, v, spikes, *_, neuron=layer.neuron: seen.append((neuron.decay, current, spikes))
        )
    velocity = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    losses, penalties = [], []
    for chosen in torch.randperm(48, generator=epoch_generator(config.seed, 0)).split(16):
        x, y = dataset.train.x[chosen], dataset.train.y[chosen]
        seen.clear()
        logits = network.train()(x)
        loss = 0.8 * sum(F.cross_entropy(step, y) for step in logits) / len(logits)
        loss = loss + 0.2 * F.mse_loss(logits, torch.full_like(logits, 0.5))
        penalty = 0
        for decay, current, spikes in seen:
            v = [current[0]]
            for t in range(1, len(current)):
                v.append(decay * v[-1] * (1 - spikes[t - 1]) + current[t])
            penalty = penalty + 0.5 * (torch.stack(v).mean() - 0.5 / len(v)) ** 2
        network.zero_grad()
        (loss + penalty).backward()
        with torch.no_grad():
            for name, p in network.named_parameters():
                velocity[name] = config.momentum * velocity[name] + p.grad + config.weight_decay * p
                p -= config.lr * velocity[name]
        losses.append((loss + penalty).item())
        penalties.append(penalty.item())
    return network, np.mean(losses), np.mean(penalties)


def test_training_minimises_loss_and_penalty(sample, tmp_path):
    settings = config(sample, epochs=1, **ALL)
    fit(settings, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    network, loss, penalty = by_hand(settings)
    (row,) = pd.read_csv(folder.metrics).to_dict("records")
    assert row["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert row["train_penalty"] == pytest.approx(penalty, rel=1e-5)
    assert penalty > 1e-3
    trained = checkpoint.load(folder.last)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(trained.network.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
    assert trained.config.loss == ALL["loss"]
    # Whatever is minimised, validation is cross-entropy of the mean logits.
    part = data.load(settings.data).val
    with torch.no_grad():
        expected = F.cross_entropy(trained.network(part.x).mean(0), part.y).item()
    assert row["val_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("settings", [ALL, {"regularize": "mpd-sgr", "norm": "tebn"}, {"loss": "tet"}])
def test_a_resumed_run_is_the_same_bit_for_bit(sample, tmp_path, settings):
    settings = config(sample, **settings)
    fit(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        Run(settings, tmp_path / "parts").fit(
            on_step=lambda now: signal.raise_signal(signal.SIGTERM) if now.done == 2 else None
        )
    mpdviz.train(out=tmp_path / "parts", resume=True)
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    states = [checkpoint.load(folder.last).network.state_dict() for folder in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    tables = [pd.read_csv(folder.metrics).drop(columns="seconds") for folder in (whole, parts)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert ("train_penalty" in tables[0]) is (settings.regularize is not None)
    assert whole.widths.read_bytes() == parts.widths.read_bytes()


def test_a_run_of_before_these_settings_goes_on(sample, tmp_path):
    """Older files have none of these settings, and no penalties in their position."""
    settings = config(sample)
    fit(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        Run(settings, tmp_path / "old").fit(on_step=lambda now: signal.raise_signal(signal.SIGTERM))
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "old")
    content = torch.load(folder.last, weights_only=True)
    for part in ("config", "network"):
        for name in ("loss", "regularize", "norm"):
            content[part].pop(name, None)
    del content["training"]["position"]["penalty"]
    torch.save(content, folder.last)
    kept = [
        line for line in folder.config.read_text().splitlines() if line.split()[0] not in ("loss", "norm")
    ]
    folder.config.write_text("\n".join(kept))
    mpdviz.train(out=folder.path, resume=True)
    states = [checkpoint.load(each.last).network.state_dict() for each in (whole, folder)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_shipped_checkpoints_are_of_tdbn_and_ce():
    found = mpdviz.load_checkpoint("sample:mpd_agl")
    assert (found.architecture.norm, found.config.loss, found.config.regularize) == ("tdbn", "ce", None)


def test_other_settings_decide_about_the_result(sample, tmp_path):
    assert {role(name) for name in ("loss", "regularize", "norm")} == {"result"}
    assert set(differences(RunConfig(), validate(ALL))) == set(ALL)
    Run(config(sample), tmp_path / "run").fit()
    with pytest.raises(BadInput, match="other settings: loss was ce, now tet"):
        Run(config(sample, loss="tet"), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "tte"}, "unknown loss 'tte'"),
        ({"regularize": "sgr"}, "unknown regularizer 'sgr'"),
        ({"norm": "bn"}, "unknown norm 'bn'"),
        ({"regularize": "im-loss", "compile": True}, "`regularize` im-loss with `compile`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(sample, tmp_path, settings, words):
    with pytest.raises(BadInput, match=words):
        Run(config(sample, **settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    study = plan.plan(
        arms.of_strategies(["fixed"]),
        [0],
        config(sample, **settings).model_dump(exclude={"strategy", "seed"}),
        tmp_path,
    )
    with pytest.raises(BadInput, match=words):
        plan.check(study)


def test_a_penalty_that_is_not_finite_stops_the_run(sample, tmp_path):
    with pytest.raises(Diverged, match=r"loss (nan|inf), of it a penalty of (nan|inf)"):
        fit(config(sample, regularize="im-loss:weight=1e39"), tmp_path / "run")


def test_the_first_line_says_what_is_minimised(tmp_path):
    assert "minimising" not in first_line(RunConfig(), tmp_path)
    assert "tebn, minimising tet:lambda=0.2 + im-loss:weight=0.5 ->" in first_line(validate(ALL), tmp_path)


def test_a_training_loss_is_no_function_of_inspect_s(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mpdviz", "compare", "sample:fixed", "sample:mpd_agl", "--loss", "tet"])
    with pytest.raises(SystemExit) as ended:
        command_line()
    assert ended.value.code == 2
    assert "--loss is for training" in " ".join(capsys.readouterr().err.split())
