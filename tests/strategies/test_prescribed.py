"""Widths from a file: which layer gets which, what a checkpoint keeps, and every file that is refused."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import torch
from networks import TRAINING, small
from reference import DERIVATIVES, lif_backward

from mpdviz import checkpoint, networks, strategies
from mpdviz.config import validate
from mpdviz.errors import BadInput, Interrupted
from mpdviz.strategies import Place
from mpdviz.training.run import Run, fit

NAMES = ("encode", "features.0", "features.2", "features.3", "hidden")
WIDTHS = {"default": 2.0, "layers": {"1": [0.5, 0.25, 0.125], "features.2": 3, "hidden": [1.0, 1.5, 4.0]}}
OF_LAYERS = [[0.5, 0.25, 0.125], [2.0] * 3, [3.0] * 3, [2.0] * 3, [1.0, 1.5, 4.0]]
"""The same by hand; all are exact in single precision."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.json").write_text(json.dumps(WIDTHS))
    return tmp_path


def found(network):
    return [layer.widths(network.timesteps).tolist() for _, layer in network.spiking_layers()]


def test_layers_go_by_number_or_name_and_others_have_the_default(here):
    network = small(strategy="prescribed:w.json")
    assert tuple(name for name, _ in network.spiking_layers()) == NAMES
    assert found(network) == OF_LAYERS
    assert found(small(strategy="prescribed:file=w.json")) == OF_LAYERS
    assert found(small(strategy=f"prescribed:{here / 'w.json'}")) == OF_LAYERS


@pytest.mark.parametrize("shape", sorted(DERIVATIVES))
def test_the_gradient_is_that_of_the_widths(here, shape):
    layer = small(seed=8, strategy=f"prescribed:w.json:shape={shape}", decay=0.4).double().train().encode
    seen = []
    layer.neuron.observers.append(lambda *parts: seen.append(parts))
    spikes = layer(torch.randn(3, 5, 1, 8, 8, dtype=torch.float64))
    grad = torch.randn(spikes.shape, dtype=torch.float64)
    current, v, s, kappa, *_ = seen.pop()
    current.retain_grad()
    spikes.backward(grad)
    assert kappa.tolist() == OF_LAYERS[0]
    parts = (part.detach().numpy() for part in (grad, v, s))
    expected, _ = lif_backward(*parts, 0.4, np.full(3, 0.5), np.array(OF_LAYERS[0]), DERIVATIVES[shape])
    np.testing.assert_allclose(current.grad, expected, rtol=1e-9, atol=1e-12)


def test_a_checkpoint_needs_no_file(here):
    options = {"name": "convsnn", "strategy": "prescribed:w.json", "timesteps": 3, "num_classes": 3}
    made_by = networks.NetworkConfig.of(options)
    network = made_by.build()
    checkpoint.save(here / "one.pt", network, architecture=made_by, config=None, metrics={})
    (here / "w.json").unlink()
    loaded = checkpoint.load(here / "one.pt").network
    assert found(loaded) == OF_LAYERS
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(loaded(x), network.eval()(x))
    (here / "w.json").write_text(json.dumps({"default": 9, "layers": {}}))
    assert found(checkpoint.load(here / "one.pt").network) == OF_LAYERS
    with pytest.raises(BadInput, match="T=3, not of T=2"):
        checkpoint.load(here / "one.pt", timesteps=2).network(x)


@pytest.mark.parametrize("name", ["prescribed:w.json", "observed"])
def test_counting_potentials_asks_no_strategy_for_one_timestep(here, name):
    network = small(strategy=name).train()
    x = torch.randn(4, 1, 8, 8)
    network(x)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    counted = network.count_potentials(x)
    assert counted == 4 * (4 * 64 + 4 * 64 + 2 * 6 * 16 + 8)
    assert list(before) == list(network.state_dict())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_initial_weights_are_those_of_any_other_strategy(here):
    one, other = (small(seed=3, strategy=name) for name in ("prescribed:w.json", "fixed"))
    assert one.weights_hash() == other.weights_hash()


# Runs


def settings(**more):
    return validate(TRAINING | {"strategy": "prescribed:w.json", "epochs": 2, "data": "npz:data.npz"} | more)


@pytest.fixture
def begun(here):
    """A run that stopped after its first epoch."""
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 1, 8, 8)).astype(np.float32)
    np.savez(here / "data.npz", x=x, y=np.arange(60) % 3)
    (here / "w.json").write_text(json.dumps({"default": 1.5, "layers": {"1": [0.5, 0.75]}}))

    def stop(_):
        os.kill(os.getpid(), 2)

    with pytest.raises(Interrupted):
        Run(settings(), here / "run").fit(on_epoch=stop)
    return here


def test_a_run_is_resumed_without_the_file_and_in_another_folder(begun, monkeypatch):
    fit(settings(), begun / "whole")
    (begun / "elsewhere").mkdir()
    shutil.move(begun / "run", begun / "elsewhere" / "run")
    (begun / "w.json").unlink()
    fit(settings(), begun / "elsewhere" / "run", resume=True)
    one, other = (
        torch.load(begun / place / "checkpoints" / "last.pt", weights_only=True)["state"]
        for place in ("whole", "elsewhere/run")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["encode.strategy.kappas"].tolist() == [0.5, 0.75]
    assert one["hidden.strategy.kappas"].tolist() == [1.5, 1.5]


def test_a_run_is_not_resumed_with_other_widths(begun):
    (begun / "w.json").write_text(json.dumps({"default": 1.5, "layers": {"1": [0.5, 0.7500001]}}))
    with pytest.raises(BadInput, match=r"other widths for layer 1 \(encode\) than the run has"):
        fit(settings(), begun / "run", resume=True)
    (begun / "w.json").write_text(
        '{"layers": {"encode": [0.5, 0.75]},\n "default": 1.5}'
    )  # the same, rewritten
    fit(settings(), begun / "run", resume=True)


def test_a_new_run_without_the_file_is_refused_before_anything_is_written(begun):
    (begun / "w.json").unlink()
    with pytest.raises(BadInput, match=r"file of widths w\.json"):
        fit(settings(), begun / "new")
    assert not (begun / "new").exists()


# Refused


def test_a_file_of_other_content_is_refused(here):
    digest = hashlib.sha256((here / "w.json").read_bytes()).hexdigest()
    for digits in (digest, digest[:12]):
        assert found(small(strategy=f"prescribed:w.json:sha256={digits}")) == OF_LAYERS
    (here / "w.json").write_text(json.dumps(WIDTHS) + " ")
    with pytest.raises(BadInput, match="has changed"):
        small(strategy=f"prescribed:w.json:sha256={digest[:12]}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "is none"),
        ('{"layers": []}', "is none"),
        ('{"layers": {}, "more": 1}', "is none"),
        ('{"layers": {}}', "lacks layer 1 (encode)"),
        ('{"layers": {"1": 1, "2": 1, "3": 1, "4": 1}}', "lacks layer 5 (hidden)"),
        ('{"default": 1, "layers": {"6": 1}}', "unknown layer"),
        ('{"default": 1, "layers": {"hiden": 1}}', "did you mean 'hidden'"),
        ('{"default": 1, "layers": {"5": 1, "hidden": 1}}', "layer 5 twice"),
        ('{"default": 1, "layers": {"5": [1, 2]}}', "2 widths for T=3"),
        ('{"default": [1, 2, 3, 4], "layers": {}}', "4 widths for T=3"),
        *(
            (f'{{"default": 1, "layers": {{"5": [1, {value}, 1]}}}}', "is no width")
            for value in ("0", "-1", "NaN", "Infinity", "1e39", '"1"', "true", "null", "[1]", "9" * 400)
        ),
    ],
)
def test_files_that_do_not_fit_are_refused_in_a_line(here, content, words):
    (here / "w.json").write_text(content)
    with pytest.raises(BadInput) as error:
        small(strategy="prescribed:w.json")
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_names_that_are_none(here):
    for text, words in (
        ("prescribed", "names no file"),
        ("prescribed:w.json:sha256=xyz", "sha256=xyz"),
        ("prescribed:w.json:kappa=1", "no option 'kappa'"),
        ("fixed:w.json", "is no option"),
    ):
        with pytest.raises(BadInput, match=words):
            strategies.get(text)
    with pytest.raises(BadInput, match="was not told which layer"):
        strategies.get("prescribed:w.json").kappa(3, 0.2, 0.5, torch.ones(2))
    strategy = strategies.get("prescribed:w.json")
    strategy.place(Place(5, NAMES, 3))
    assert strategy.kappa(3, 0.2, 0.5, torch.ones(2)).tolist() == OF_LAYERS[4]
