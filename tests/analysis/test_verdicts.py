"""Each check on recordings built to pass it and to fail it."""

import math

import numpy as np
import pytest
import torch
from recording_twin import rng
from torch import nn

import mpdviz
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import CHECKS
from mpdviz.neurons import LIF
from mpdviz.norm import TDBatchNorm1d


class Layer(nn.Module):
    """Batch norm and neurons in evaluation mode: the current is weight * v_th * x + bias."""

    def __init__(self, channels=4, decay=0.0):
        super().__init__()
        self.norm, self.neuron = TDBatchNorm1d(channels, eps=0.0), LIF(decay)
        self.eval()

    def forward(self, x, kappa=None):
        return self.neuron(self.norm(x), kappa)


def healthy():
    """v ~ N(.25, .5^2), half of it in the interval of width 1, every neuron spiking at times."""
    model = Layer()
    with torch.no_grad():
        model.norm.bias.fill_(0.25)
    return model, torch.randn(2, 400, 4, generator=rng())


def judged(model, *batches, kappa=None, limits=None, recorded=None):
    with mpdviz.record(model) as mpd:
        for x in batches:
            model(x, kappa)
    if recorded is not None:
        recorded.append(mpd)
    return {verdict.check: verdict for verdict in mpd.verdicts(limits)}


def test_a_healthy_layer_passes_everything():
    model, x = healthy()
    verdicts = judged(model, x)
    assert list(verdicts) == list(CHECKS) == list(Limits.__dataclass_fields__)
    for verdict in verdicts.values():
        assert verdict.passed, verdict
        assert math.isfinite(verdict.value)
        assert (verdict.layer, verdict.name) == (1, "Layer" if verdict.name == "Layer" else "neuron")


def starved():
    model, x = healthy()
    x[1] = -8
    return model, x


def degenerate():
    model, x = healthy()
    x[1, 10:] = -2
    return model, x


def saturated():
    model, x = healthy()
    x[0] += 4
    return model, x


def silent():
    model, x = healthy()
    x[:, :, 1:] = x[:, :, 1:].clamp(max=0.4)
    return model, x


def dead():
    model, x = healthy()
    x[:, :, :3] = 5
    return model, x


def undriven():
    model, x = healthy()
    x[:, :, :3] = 0
    return model, x


def negative():
    model, x = healthy()
    with torch.no_grad():
        model.norm.weight[2] = -1
    return model, x


def negative_mean():
    model, x = healthy()
    with torch.no_grad():
        model.norm.weight.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0]))
    return model, x


def wide():
    model, x = healthy()
    return model, 0.2 * x


def off():
    model, x = healthy()
    return model, x + 3


def broken():
    model, x = healthy()
    x[1, 7, 2] = float("nan")
    return model, x


WRONG = {
    "starved": starved,
    "degenerate": degenerate,
    "saturated": saturated,
    "silent_neurons": silent,
    "dead_neurons": dead,
    "silent_input": undriven,
    "negative_gamma": negative,
    "too_wide": wide,
    "prediction_off": off,
    "nonfinite": broken,
}


@pytest.mark.parametrize("check", list(CHECKS))
def test_each_check_finds_its_disease(check):
    recorded = []
    verdict = judged(*WRONG[check](), recorded=recorded)[check]
    assert not verdict.passed
    table, layers = recorded[0].table(), recorded[0].layer_table().iloc[0]
    expected = {
        "starved": table["available_ratio"].min(),
        "degenerate": table["below_ratio"].max(),
        "saturated": table["above_ratio"].max(),
        "silent_neurons": layers["silent"] / 4,
        "dead_neurons": layers["gradient_dead"] / 4,
        "silent_input": 3 / 4,
        "negative_gamma": 1 / 4,
        "too_wide": (0.5 / table["std"]).max(),
        "prediction_off": (table["predicted_ratio"] - table["available_ratio"]).abs().max(),
        "nonfinite": 1 / 1600,
    }[check]
    assert verdict.value == pytest.approx(expected)
    assert verdict.limit == getattr(Limits(), check)
    assert "\n" not in verdict.sentence


@pytest.mark.parametrize("check", list(CHECKS))
def test_each_limit_can_be_set(check):
    ours = judged(*WRONG[check]())[check].value
    loose, strict = (ours - 1e-6, ours + 1e-6) if check == "starved" else (ours + 1e-6, ours - 1e-6)
    for limit, passes in ((loose, True), (ours, True), (strict, False)):
        verdict = judged(*WRONG[check](), limits=Limits(**{check: limit}))[check]
        assert verdict.passed is passes
        assert verdict.limit == limit


def test_the_worst_timestep_is_named():
    assert "t=2" in judged(*starved())["starved"].sentence
    assert "t=1" in judged(*saturated())["saturated"].sentence
    assert "t=2" in judged(*broken())["nonfinite"].sentence


def test_the_worst_channel_is_named():
    model, x = healthy()
    x[:, :, 2] = -5
    verdict = judged(model, x, limits=Limits(silent_neurons=0.1))["silent_neurons"]
    assert verdict.value == 0.25
    assert "channel 2" in verdict.sentence


def test_a_mean_gamma_that_is_not_positive_fails_without_one_negative():
    verdict = judged(*negative_mean())["negative_gamma"]
    assert verdict.value == 0
    assert not verdict.passed


def test_a_silent_input_is_told_from_starvation():
    model, x = healthy()
    with torch.no_grad():
        model.norm.bias.fill_(-3.0)
    silent, hungry = judged(model, 0 * x), judged(model, x)
    assert not silent["starved"].passed
    assert not hungry["starved"].passed
    assert "silent" in silent["starved"].sentence
    assert "silent" not in hungry["starved"].sentence
    assert not silent["silent_input"].passed
    assert hungry["silent_input"].passed


def test_what_cannot_be_measured_passes():
    neuron = LIF()
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 3, 4), 0.4))
    verdicts = {verdict.check: verdict for verdict in mpd.verdicts()}
    for check in ("negative_gamma", "prediction_off", "too_wide"):
        assert math.isnan(verdicts[check].value)
        assert verdicts[check].passed
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 3, 4), float("nan")))
    verdicts = {verdict.check: verdict for verdict in mpd.verdicts()}
    assert verdicts["starved"].passed
    assert math.isnan(verdicts["starved"].value)
    assert not verdicts["nonfinite"].passed
    assert verdicts["nonfinite"].value == 1


def test_a_constant_layer_is_not_too_wide(monkeypatch):
    from mpdviz.recording.measure import meter

    monkeypatch.setattr(meter, "COMPILE_AFTER", 0)
    neuron = LIF(decay=0.0)
    with mpdviz.record(neuron) as mpd:
        neuron(torch.full((2, 30, 400), 0.1))
    (verdict,) = (verdict for verdict in mpd.verdicts() if verdict.check == "too_wide")
    assert np.isnan(verdict.value)


def test_every_layer_is_judged_in_order():
    from mpdviz import networks

    network = networks.build(
        "convsnn", timesteps=2, num_classes=3, encode_channels=4, planes=(4, 6), hidden=8
    )
    with mpdviz.record(network) as mpd:
        network(torch.randn(4, 1, 8, 8, generator=rng()))
    verdicts = mpd.verdicts()
    assert [verdict.layer for verdict in verdicts] == np.repeat(range(1, 6), len(CHECKS)).tolist()
    assert [verdict.check for verdict in verdicts] == list(CHECKS) * 5
    assert {verdict.name for verdict in verdicts} == set(mpd.table()["name"])
