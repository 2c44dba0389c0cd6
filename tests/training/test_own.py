"""Networks of the user's own in `train`: fed as they take their input, recorded, resumed and compared."""

import signal
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch

import mpdviz
from mpdviz import checkpoint
from mpdviz.compare import arms, study
from mpdviz.config import validate
from mpdviz.errors import BadInput, Interrupted, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.training.run import Run, fit

NETS = """
    import torch
    from torch import nn

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return (v >= 0).float()

        @staticmethod
        def backward(ctx, grad):
            (v,) = ctx.saved_tensors
            return grad * (v.abs() < 0.5)

    class Loop(nn.Module):
        '''Repeats images itself and returns scores.'''

        def __init__(self, width, steps):
            super().__init__()
            self.first, self.norm = nn.Linear(64, width), nn.BatchNorm1d(width)
            self.head, self.steps = nn.Linear(width, 3), steps

        def forward(self, x):
            v, total = 0, 0
            for _ in range(self.steps):
                v = 0.5 * v + self.norm(self.first(x.flatten(1)))
                spike = Spike.apply(v - 1)
                v, total = v * (1 - spike), total + self.head(spike)
            return total / self.steps

    class Step(nn.Module):
        '''Keeps its potential from call to call.'''

        def __init__(self):
            super().__init__()
            self.first, self.head, self.v = nn.Linear(64, 8), nn.Linear(8, 3), None

        def forward(self, x):
            current = self.first(x.flatten(1))
            v = current if self.v is None else 0.5 * self.v + current
            spike = Spike.apply(v - 0.2)
            self.v = v * (1 - spike)
            return self.head(spike)

    def loop(width=8, steps=3):
        return Loop(width, steps)

    def step():
        return Step()

    def wrong():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

    def five():
        net = Loop(8, 2)
        net.head = nn.Linear(8, 5)
        return net

    def jelly():
        from spikingjelly.activation_based import layer, neuron, surrogate
        lif = neuron.LIFNode(surrogate_function=surrogate.ATan())
        return nn.Sequential(layer.Flatten(), layer.Linear(64, 8), lif, layer.Linear(8, 3))
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A folder with the user's module and data, to work in."""
    (tmp_path / "own_nets.py").write_text(textwrap.dedent(NETS), encoding="utf-8")
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    x = (rng.normal(size=(60, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "frames.npz", x=np.repeat(x[:, None], 4, 1), y=y)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_nets", None)


def settings(model, **others):
    given = {
        "data": "npz:data.npz",
        "model": f"own_nets:{model}",
        "epochs": 3,
        "batch_size": 16,
        "device": "cpu",
    }
    return validate(given | others)


def by_hand(config, x, y, make, feed, epochs_order):
    """SGD as torch's documentation writes it, over the same batches."""
    torch.manual_seed(config.seed)
    net = make()
    optimizer = torch.optim.SGD(net.parameters(), config.lr, momentum=0.9, weight_decay=5e-4)
    for rate, batches in epochs_order:
        for group in optimizer.param_groups:
            group["lr"] = rate
        for index in batches:
            loss = torch.nn.functional.cross_entropy(feed(net, x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@pytest.mark.parametrize(("model", "repeat"), [("loop:width=6", None), ("step", 4)])
def test_training_is_a_loop_written_by_hand(nets, model, repeat):
    config = settings(model, epochs=1, repeat_input=repeat)
    run = Run(config, nets / "run")
    dataset, order = run.dataset, []

    from mpdviz.training.schedule import _order, epoch_generator

    visited = _order(config, dataset, epoch_generator(config.seed, 0))
    order.append((config.lr, visited.split(16)))
    run.fit()
    import own_nets

    def feed(net, x):
        if repeat is None:
            return net(x)
        net.v = None
        return torch.stack([net(x) for _ in range(repeat)]).mean(0)

    made = {"loop:width=6": lambda: own_nets.loop(width=6), "step": own_nets.step}[model]
    net = by_hand(config, dataset.train.x.float(), dataset.train.y, made, feed, order)
    saved = torch.load(nets / "run" / "checkpoints" / "last.pt", weights_only=True)["state"]
    assert saved.keys() == net.state_dict().keys()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(saved[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "others"),
    [
        ("loop", {"ema": 0.9, "mixup": 0.2}),
        ("step", {"repeat_input": 3}),
        ("step", {"data": "npz:frames.npz"}),
    ],
)
def test_interrupted_and_resumed_is_the_uninterrupted_run(nets, model, others):
    config = settings(model, **others)
    fit(config, nets / "whole")

    def stop(info):
        if (info.epoch, info.step) == (2, 2):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        Run(config, nets / "run").fit(on_step=stop)
    fit(config, nets / "run", resume=True)
    states = [
        torch.load(nets / name / "checkpoints" / "last.pt", weights_only=True) for name in ("whole", "run")
    ]
    assert all(torch.equal(states[0]["state"][name], states[1]["state"][name]) for name in states[0]["state"])
    mpd = [pd.read_csv(nets / name / "mpd.csv") for name in ("whole", "run")]
    pd.testing.assert_frame_equal(*mpd, check_exact=True)


def test_the_recording_is_the_one_made_by_hand(nets):
    run = Run(settings("loop", epochs=1), nets / "run")
    run.fit()
    import own_nets

    net = own_nets.loop()
    net.load_state_dict(torch.load(nets / "run" / "checkpoints" / "last.pt", weights_only=True)["state"])
    with torch.no_grad(), mpdviz.record(net.eval()) as recording:
        net(run.dataset.val.x[:16].float())
    mine, table = recording.table(), pd.read_csv(nets / "run" / "mpd.csv")
    for column in ("available_ratio", "mean", "firing_rate"):
        np.testing.assert_allclose(table[column], mine[column], rtol=1e-6)
    assert table["timestep"].tolist() == [1, 2, 3]
    assert table["available_ratio"].between(0.01, 1).all()


def test_its_checkpoint_is_inspected_with_its_function_named(nets):
    fit(settings("loop:width=5", epochs=1), nets / "run")
    with pytest.raises(BadInput, match=r"network of your own, own_nets:loop:width=5; name its function"):
        mpdviz.inspect(nets / "run")
    from mpdviz.inspection.theirs import build

    recording = mpdviz.inspect(build("own_nets:loop:width=5"), weights=nets / "run")
    assert recording.table()["timestep"].tolist() == [1, 2, 3]
    assert "npz:data.npz" in str(recording.contents.origin)


def test_fine_tuning_starts_from_its_weights(nets):
    fit(settings("loop:width=5", epochs=1), nets / "run")
    before = torch.load(nets / "run" / "checkpoints" / "best.pt", weights_only=True)["state"]
    run = Run(settings("loop:width=5", init=nets / "run"), nets / "same")
    run.folder.release()
    state = run.network.state_dict()
    assert all(torch.equal(state[name], before[name]) for name in before)
    # What a file brings is what the network is at rest: a batch in evaluation mode leaves it so.
    run.network.eval()(run.dataset.val.x.float())
    assert all(torch.equal(run.network.state_dict()[name], before[name]) for name in before)
    with pytest.warns(MpdvizWarning, match=r"5 weights are not in .* first\.weight"):
        other = Run(settings("loop:width=6", init=nets / "run"), nets / "wider")
    other.folder.release()
    assert torch.equal(other.network.state_dict()["head.bias"], before["head.bias"])


def test_batch_norms_of_several_processes_are_told_of(nets):
    from mpdviz.training.fresh import cautions

    run = Run(settings("loop", epochs=1), nets / "run")
    run.folder.release()
    assert cautions(run.network, 1) == []
    (said,) = cautions(run.network, 2)
    assert "batch norm" in said


def test_a_stepped_one_is_inspected_as_it_was_trained(nets):
    fit(settings("step", repeat_input=3, epochs=1), nets / "run")
    from mpdviz.inspection.theirs import build

    recording = mpdviz.inspect(build("own_nets:step"), weights=nets / "run")
    assert recording.table()["timestep"].tolist() == [1, 2, 3]


def test_figures_record_it_where_its_function_is_named(nets):
    from mpdviz.inspection.study import study as recorded

    fit(settings("loop:width=5", epochs=1), nets / "run")
    assert "names code, own_nets:loop:width=5" in recorded([nets / "run"]).missing["recorded"]
    made = recorded([nets / "run"], model="own_nets:loop")
    assert made["recorded"]["timestep"].tolist() == [1, 2, 3]
    with pytest.raises(BadInput, match="compare recordings"):
        mpdviz.compare.checkpoints([nets / "run", "sample:fixed"])


@pytest.mark.thorough
def test_arms_may_be_networks_of_ones_own(nets):
    sides = arms.crossed({"model": ["own_nets:loop", "own_nets:loop:width=4"], "lr": [0.1, 0.01]})
    shared = {"data": "npz:data.npz", "epochs": 1, "batch_size": 16, "device": "cpu"}
    collected = study(sides, seeds=[0, 1], out=nets / "study", on_event=lambda _: None, **shared)
    assert not collected.failures
    assert collected.accuracy["n"].tolist() == [2, 2, 2, 2]
    assert collected.accuracy["available"].notna().all()


def test_spikingjelly_s_neurons_are_reset_between_batches(nets):
    pytest.importorskip("spikingjelly")
    result = fit(settings("jelly", repeat_input=4, epochs=2), nets / "run")
    assert result.epochs == 2
    assert set(pd.read_csv(nets / "run" / "mpd.csv")["timestep"]) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("model", "others", "problem"),
    [
        ("wrong", {}, "no layer of the model could be read"),
        ("five", {}, r"returns \[2, 5\] for 2 samples of 3 classes"),
        ("missing", {}, "has no attribute 'missing'"),
        ("loop:width=wide", {}, "own_nets:loop"),
        ("loop", {"compile": True}, "`compile`"),
        ("loop", {"decay": 0.5}, "`decay` with the model"),
        ("step", {}, "a call of the model is one timestep"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(nets, model, others, problem):
    with pytest.raises(BadInput, match=problem) as caught:
        Run(settings(model, **others), nets / "run")
    assert "\n" not in str(caught.value)
    assert not (nets / "run").exists()


@pytest.mark.parametrize("kind", ["config.toml", "recipe", "arms", "comparison.toml"])
def test_no_file_runs_code_that_the_user_has_not_named(nets, kind):
    """Files that would make a folder if what they name ran."""
    bait = nets / "ran"
    model = f"os:mkdir:path={bait}"
    (nets / "run").mkdir()
    (nets / "study").mkdir()
    files = {
        "run/config.toml": f'model = "{model}"\ndata = "npz:data.npz"\n',
        "recipe.toml": f'model = "{model}"\ndata = "npz:data.npz"\n',
        "arms.toml": f'[[arms]]\nname = "a"\nmodel = "{model}"\n',
        "study/comparison.toml": 'seeds = [0]\n[settings]\ndata = "npz:data.npz"\n[[arms]]\nname = "a"\n'
        f'settings = {{model = "{model}"}}\n',
    }
    for name, text in files.items():
        (nets / name).write_text(text, encoding="utf-8")
    shared = {"seeds": [0], "on_event": lambda _: None, "data": "npz:data.npz"}
    runs = {
        "config.toml": lambda: mpdviz.train(out=nets / "run", resume=True),
        "recipe": lambda: mpdviz.train(recipe=nets / "recipe.toml", out=nets / "other"),
        "arms": lambda: arms.read(nets / "arms.toml"),
        "comparison.toml": lambda: study(arms.crossed({"lr": [0.1]}), out=nets / "study", **shared),
    }
    said = r"names code, os:mkdir:path=.* which no file can have run; name it: `model`"
    with pytest.raises(BadInput, match=said):
        runs[kind]()
    assert not bait.exists()


def test_a_run_goes_on_with_its_function_named(nets):
    fit(settings("loop:width=5", epochs=1), nets / "run")
    with pytest.raises(BadInput, match="name it: `model` own_nets:loop:width=5"):
        mpdviz.train(out=nets / "run", resume=True)
    assert mpdviz.train(out=nets / "run", resume=True, model="own_nets:loop:width=5").epochs == 1


def test_a_checkpoint_never_names_code_to_run(nets):
    """One whose network is code by name is not built from the file, whoever wrote the name."""
    fit(settings("loop", epochs=1), nets / "run")
    path = RunFolder(nets / "run").best
    content = torch.load(path, weights_only=True)
    content["network"]["name"] = content["config"]["model"] = "os:system"
    torch.save(content, path)
    with pytest.raises(BadInput, match="network of your own, os:system"):
        checkpoint.load(path)
