"""Runs of every kind of neuron and every reset: they learn, are saved and go on as if never interrupted."""

import os
import signal

import numpy as np
import pytest
import torch
from networks import TRAINING, small

import mpdviz
from mpdviz import checkpoint
from mpdviz.config import validate
from mpdviz.errors import BadInput, Interrupted
from mpdviz.kernels import RESETS
from mpdviz.training.run import Run, fit

CASES = [
    {"neuron": "klif", "strategy": "mpd-agl"},
    {"neuron": "klif", "reset": "soft-detached", "strategy": "fixed"},
    {"neuron": "clif", "strategy": "mpd-agl", "decay": 0.5},
    {"neuron": "psn", "strategy": "observed"},
    {"neuron": "psn", "strategy": "ds-atgo"},
    {"neuron": "plif", "reset": "soft", "strategy": "lsg"},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60 images of 3 classes that differ in their brightness: 3 steps of 16 an epoch."""
    random, y = np.random.default_rng(0), np.arange(60) % 3
    x = (random.normal(size=(60, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32)
    path = tmp_path_factory.mktemp("data") / "sample.npz"
    np.savez(path, x=x, y=y)
    return f"npz:{path}"


def state(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_interrupted_and_resumed_is_the_uninterrupted_run(data, tmp_path, case):
    config = validate({"data": data, "epochs": 2, **TRAINING, **case})
    first = {
        name: value.clone() for name, value in Run(config, tmp_path / "fresh").network.named_parameters()
    }
    fit(config, tmp_path / "whole")

    def stop(now):
        if (now.epoch, now.step) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        Run(config, tmp_path / "run").fit(on_step=stop)
    fit(config, tmp_path / "run", resume=True)
    whole, resumed = state(tmp_path / "whole")["state"], state(tmp_path / "run")["state"]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert whole.keys() == resumed.keys()
    own = [name for name in first if ".neuron." in name]
    assert len(own) == 5 * {"klif": 1, "plif": 1, "psn": 2, "clif": 0}[case["neuron"]]
    assert all(not torch.equal(first[name], whole[name]) for name in own)

    loaded = checkpoint.load(tmp_path / "whole" / "checkpoints" / "last.pt")
    reset = {"clif": "own", "psn": "none"}.get(case["neuron"], case.get("reset", "hard"))
    assert {layer.neuron.dynamics.reset for _, layer in loaded.network.spiking_layers()} == {reset}
    recording = mpdviz.inspect(tmp_path / "whole")
    assert {layer.info.reset for layer in recording.layers.values()} == {reset}
    assert recording.table()["available_ratio"].between(0, 1).all()


@pytest.mark.parametrize("reset", RESETS)
def test_a_reset_reaches_every_layer_and_changes_what_it_says(reset):
    network = small(reset=reset, seed=0, strategy="fixed", decay=0.9)
    assert {layer.neuron.dynamics.resets for _, layer in network.spiking_layers()} == {RESETS[reset]}
    hard = small(seed=0, strategy="fixed", decay=0.9)
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 3
    assert torch.equal(network(x), hard(x)) == ("hard" in reset)


def test_a_checkpoint_from_before_resets_loads_as_hard(data, tmp_path):
    config = validate({"data": data, "epochs": 1, **TRAINING})
    fit(config, tmp_path / "run")
    content = state(tmp_path / "run", "best")
    del content["config"]["reset"], content["network"]["reset"]
    torch.save(content, tmp_path / "old.pt")
    loaded = checkpoint.load(tmp_path / "old.pt")
    assert (loaded.config.reset, loaded.architecture.reset) == ("hard", "hard")
    assert {layer.neuron.dynamics.reset for _, layer in loaded.network.spiking_layers()} == {"hard"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"neuron": "psn"}, ["'mpd-agl' needs a decay", "'psn' has none", "fixed or observed"]),
        ({"neuron": "psn", "strategy": "lsg"}, ["'lsg' needs a decay", "'psn' has none"]),
        (
            {"neuron": "clif", "strategy": "mpd-agl-reset"},
            ["'mpd-agl-reset' needs a hard reset", "'clif' is own"],
        ),
        ({"reset": "soft", "strategy": "mpd-agl-reset"}, ["needs a hard reset", "'lif' is soft"]),
        (
            {"neuron": "psn", "strategy": "fixed", "reset": "soft"},
            ["'psn'", "`reset` soft", "leave `reset` out"],
        ),
        ({"neuron": "psn", "strategy": "fixed", "decay": 0.5}, ["'psn' has no decay", "leave `decay` out"]),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(data, tmp_path, settings, words):
    with pytest.raises(BadInput) as caught:
        fit(validate({"data": data, **TRAINING, **settings}), tmp_path / "run")
    assert all(word in str(caught.value) for word in words), caught.value
    assert not (tmp_path / "run").exists()


def test_a_psn_network_of_another_t_is_refused_and_its_potentials_are_counted():
    network = small(neuron="psn", strategy="fixed", timesteps=4)
    lif = small(timesteps=4)
    x = torch.zeros(2, 1, 8, 8)
    frames = x.repeat(4, 1, 1, 1, 1)
    assert [net.count_potentials(given) for net in (network, lif) for given in (x, frames)] == [
        network.count_potentials(x)
    ] * 4
    network.timesteps = 3
    with pytest.raises(BadInput, match="psn neurons of T=4 given T=3"):
        network(x)
